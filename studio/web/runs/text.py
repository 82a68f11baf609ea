"""An experiment as text, for what has no form of its own: read, made of a run, and queued."""

import json
from collections.abc import Mapping
from itertools import islice
from typing import Any

from pydantic import ValidationError

from lab.config import Section
from lab.errors import UserError
from lab.tree import parse
from studio import cli
from studio.web.bench import Bench
from studio.web.experiments import as_yaml
from studio.web.places import Places, short
from studio.web.runs.listing import changed

SUFFIXES = (".yaml", ".yml")
LONGEST = 100_000  # letters
MOST = 200


def files_in(places: Places) -> list[str]:
    """The experiment files in the folders that may be read, results left out."""
    found: list[str] = []
    for root in places.roots:
        if root != places.outputs and root.is_dir():
            listed = sorted(path for path in root.iterdir() if path.suffix in SUFFIXES)
            found += [str(short(path)) for path in islice(listed, MOST) if path.is_file()]
    return found


def read(places: Places, file: str) -> str:
    """The text of an experiment file, which says its name: what it is called otherwise.

    Raises:
        UserError: it may not be read, or is no experiment file.
    """
    path = places.inside(file)
    if path.suffix not in SUFFIXES or not path.is_file() or path.stat().st_size > LONGEST:
        raise UserError(f"{file} is no experiment file; choose a .yaml file")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise UserError(f"{file} cannot be read; choose a .yaml file") from None
    return text if "name" in parse(text, file).values else f"name: {path.stem}\n{text}"


def again(configuration: Any, job: str, name: str, models: Mapping[str, type[Section]]) -> str:
    """The text that makes a run again, by its manifest's configuration, without what is as it is by
    default. A search has the sections that it tries with it.

    Raises:
        UserError: the manifest does not say how the run was made.
    """
    if not isinstance(configuration, Mapping) or not isinstance(configuration.get(job), Mapping):
        raise UserError("how this run was made is not written in its manifest.json")
    wanted = [section for section in models if section == job or job == cli.SEARCH]
    sections = {
        section: _short(configuration[section], models[section])
        for section in wanted
        if isinstance(configuration.get(section), Mapping)
    }
    return as_yaml({"name": name, **sections})


def _short(section: Mapping[str, Any], model: type[Section]) -> Mapping[str, Any]:
    """The section without its defaults, where it means the same so."""
    kept = changed(section, model)
    try:
        whole, part = (model.model_validate_json(json.dumps(one)) for one in (section, kept))
    except ValidationError:
        return section
    return kept if whole == part else section


def begin(bench: Bench, text: Any) -> str:
    """Queue what a text says, and return its name.

    Raises:
        UserError: a sentence for every mistake, with its line where the text is no YAML.
    """
    if not isinstance(text, str) or not text.strip():
        raise UserError("write an experiment first, or open a file")
    if len(text) > LONGEST:
        raise UserError(f"that has more than {LONGEST:,} letters; run the file in a terminal")
    tree = parse(text, "")
    if tree.mistakes:
        raise UserError(
            "\n".join(f"line {one.place.line}: {one.sentence}" for one in tree.mistakes)
        )
    sections = [key for key in tree.values if key != "name"]
    bench.queue.submit(tree.values, f"run {', '.join(map(str, sections))}")
    return tree.values["name"]
