"""Experiment files: one YAML file -> frozen pydantic models, every mistake at once.

`load_experiment` knows no jobs: it is told which sections there are and which model each has.
Overrides edit the tree before the one validation, so that there is one spelling and one error path.
"""

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from lab import tree as trees
from lab import wording
from lab.errors import UserError
from lab.explain import explain, json_schema
from lab.tree import Mistake, Tree

__all__ = [
    "ConfigError",
    "Experiment",
    "Section",
    "explain",
    "json_schema",
    "load_entries",
    "load_experiment",
]


class ConfigError(UserError):
    """Everything that is wrong with an experiment, one line for each mistake."""

    def __init__(self, mistakes: Sequence[Mistake]):
        ordered = sorted(dict.fromkeys(mistakes), key=lambda mistake: mistake.place.order)
        self.mistakes = tuple(ordered)
        super().__init__("\n".join(str(mistake) for mistake in ordered))


class Section(BaseModel):
    """Base of every job's configuration and of the settings nested in it.

    A field's docstring is its help. Values are strict: `"3"` is no number, though `3` is a float. A
    list in the file may be a tuple in the model.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


@dataclass(frozen=True)
class Experiment:
    """One experiment file, read and validated."""

    path: Path
    name: str
    """Names the folder under outputs/: the key `name`, else the file's stem."""
    sections: dict[str, Section]
    """The sections that the file has, in running order."""
    resolved: dict[str, Any]
    """The whole experiment as JSON-able values, with every default filled in."""
    overrides: tuple[str, ...]
    written: dict[str, Any]
    """The file's own values with the overrides, no default filled in: the same experiment again."""


def load_experiment(
    path: str | Path, overrides: Sequence[str], models: Mapping[str, type[Section]]
) -> Experiment:
    """Read an experiment file and apply `section.setting=value` overrides to it.

    `models` has the model of each section there is, in running order; the result's sections are in
    that order, whatever the file's. An empty section means all defaults.

    Raises:
        ConfigError: with every mistake of the file and of the overrides, one line each.
    """
    path = Path(path)
    tree = trees.parse(_read(path), str(path))
    if tree.mistakes and not tree.values:
        raise ConfigError(tree.mistakes)
    unreadable = {mistake.place for mistake in tree.mistakes}
    for text in overrides:
        trees.override(tree, text)
    _check_top_level(tree, models)
    sections: dict[str, Section] = {}
    for section, model in models.items():
        if section in tree.values:
            validated = _validate(tree, section, model)
            if validated is not None:
                sections[section] = validated
    if tree.mistakes:
        # A value that could not be read is a hole, which is not worth a second complaint.
        first = {mistake.place: mistake for mistake in reversed(tree.mistakes)}
        raise ConfigError(
            [m for m in tree.mistakes if m.place not in unreadable or m is first[m.place]]
        )
    if not sections:
        raise UserError(f"{path} has no section; give it one or more of {', '.join(models)}")
    name = tree.values.get("name", path.stem)
    resolved = {"name": name} | {
        section: config.model_dump(mode="json", by_alias=True)
        for section, config in sections.items()
    }
    return Experiment(path, name, sections, resolved, tuple(overrides), tree.values)


Entry = TypeVar("Entry", bound=Section)


def load_entries(path: str | Path, model: type[Entry], known: Sequence[str]) -> dict[str, Entry]:
    """Read a YAML file of the kind `name: settings`, where each of the names has the same model.

    Raises:
        ConfigError: with every mistake, one line each; a name that is not `known` is one.
    """
    path = Path(path)
    tree = trees.parse(_read(path), str(path))
    entries: dict[str, Entry] = {}
    for name in tree.values:
        if name not in known:
            sentence = f"{name} is not there"
            if close := wording.suggest(name, list(known)):
                sentence += f"; did you mean {close}?"
            tree.mistakes.append(Mistake(tree.place_of((name,), key=True), sentence))
        elif (entry := _validate(tree, name, model)) is not None:
            entries[name] = entry
    if tree.mistakes:
        raise ConfigError(tree.mistakes)
    return entries


def _read(path: Path) -> str:
    try:
        return trees.read_text(path)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist" + _similar_file(path)) from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder; name an experiment file in it") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not a text file in UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None


def _similar_file(path: Path) -> str:
    """`; did you mean experiments/storybook.yaml?`, also for a bare name."""
    if "=" in path.name:
        return "; the experiment file comes first, then the overrides"
    candidates = [
        str(found)
        for folder in {path.parent: None, Path("experiments"): None}
        if folder.is_dir()
        for found in sorted(folder.glob("*.y*ml"))
    ]
    by_stem = {Path(candidate).stem: candidate for candidate in reversed(candidates)}
    close = difflib.get_close_matches(path.stem, by_stem, n=1, cutoff=0.6)
    return f"; did you mean {by_stem[close[0]]}?" if close else "; name an experiment file"


def _check_top_level(tree: Tree, models: Mapping[str, type[Section]]) -> None:
    for key in tree.values:
        if key == "name" or key in models:
            continue
        sentence = f"{key} is not a section"
        if close := wording.suggest(key, ["name", *models]):
            sentence += f"; did you mean {close}?"
        elif homes := [name for name, model in models.items() if key in wording.settings(model)]:
            sentence += f"; did you mean {homes[0]}.{key}?"
        else:
            sentence += f"; the sections are {', '.join(models)}"
        tree.mistakes.append(Mistake(tree.place_of((key,), key=True), sentence))
    if "name" in tree.values and (problem := _problem_with_name(tree.values["name"])):
        tree.mistakes.append(Mistake(tree.place_of(("name",)), problem))


def _problem_with_name(name: Any) -> str | None:
    """The experiment's name becomes a folder on any system."""
    if not isinstance(name, str):
        quotes = "; put it in quotes" if isinstance(name, bool | int | float) else ""
        return f"name should be text, not {wording.show(name)}{quotes}"
    if not re.fullmatch(r"[^\x00-\x1f/\\:*?\"<>|]{1,100}", name) or name.strip(". ") != name:
        return f"name should be fit for a folder (letters, digits, -, _), not {wording.show(name)}"
    return None


def _validate(tree: Tree, section: str, model: type[Entry]) -> Entry | None:
    """The section's model; None after noting its mistakes in the tree."""
    values = tree.values[section]
    if values is None:  # `cropping:` with nothing below it
        values = {}
    if not isinstance(values, dict):
        sentence = f"{section} should be a mapping of settings, not {wording.show(values)}"
        tree.mistakes.append(Mistake(tree.place_of((section,)), sentence))
        return None
    try:
        # Through JSON, because strictness there is about kinds of values (a list may be a tuple),
        # and not about Python's types.
        return model.model_validate_json(json.dumps(values))
    except ValidationError as error:
        for keys, at_key, sentence in wording.mistakes(error, section, model, values):
            tree.mistakes.append(Mistake(tree.place_of(keys, key=at_key), sentence))
        return None
