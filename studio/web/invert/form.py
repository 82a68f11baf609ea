"""The form of the tab Invert: its fields become an experiment, an experiment fills its fields.

Every field holds text or a tick, so that whatever is typed can be answered with a sentence. A
field that says what the setting is anyway adds nothing to the experiment.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from diffusion.config import SchedulerName
from inversion.config import Balance, Config, Evaluate
from lab import tree, wording
from lab.errors import UserError

Kind = Literal["text", "number", "lines", "list", "pairs", "choice", "tick"]
Value = str | bool


@dataclass(frozen=True)
class Field:
    """One input: which setting of `inversion` it is, and how a person writes it."""

    setting: str
    label: str
    kind: Kind = "number"
    choices: tuple[str, ...] = ()

    @property
    def help(self) -> str:
        """The setting's meaning, as `pseudoword explain` tells it."""
        model, info = Config, None
        for key in self.setting.split("."):
            info = wording.settings(model)[key]
            model = next((m for m in wording.members(info) if wording.is_section(m)), model)
        assert info is not None
        text = " ".join((info.description or "").split())
        text += " One a line." if self.kind == "lines" else ""
        return text.replace("<", "&lt;").replace("`", "")


FIRST = (
    Field("model", "Model", "text"),
    Field("data", "Pictures to learn from", "text"),
    Field("word", "Your word", "text"),
    Field("num_vectors", "Vectors", "list"),
    Field("train.steps", "Most steps"),
)
EVEN = (
    Field("overwrite", "Learn anew what the model means by a word that it knows", "tick"),
    Field("balance.attribute", "What is to be evened out", "text"),
    Field("balance.values", "Its values", "list"),
    Field("balance.from", "Where a picture's value stands", "choice", ("captions", "metadata")),
    Field("balance.how", "How", "choice", ("together", "subset", "weights")),
    Field("balance.wanted", "Not evenly, but so", "pairs"),
)
LEARNING = (
    Field("train.learning_rate", "Learning rate"),
    Field("train.batch_size", "Pictures a step"),
    Field("train.optimizer", "Optimizer", "choice", ("adamw", "schedule_free")),
    Field("train.schedule", "Rate over the steps", "choice", ("constant", "cosine")),
    Field("initial_words", "Words to begin with", "text"),
    Field("norm", "Length of the vectors", "choice", ("free", "clip", "project")),
    Field("templates", "Templates", "lines"),
    Field("train.timesteps", "Noise that is trained on", "list"),
    Field("train.flip", "Mirror half of the pictures", "tick"),
    Field("seed", "Seed"),
)
ENOUGH = (
    Field("stop.rule", "Rule", "choice", ("plateau", "dvar", "never")),
    Field("stop.tolerance", "Tolerance"),
    Field("stop.earliest", "Not before step"),
    Field("objective.held_out", "Share of pictures held out"),
)
LOOKS = (
    Field("previews.prompts", "Prompts of the previews", "lines"),
    Field("previews.every", "Steps between previews"),
    Field("previews.guidance_scale", "Guidance scale"),
    Field("previews.steps", "Denoising steps"),
    Field("previews.scheduler", "Sampler", "choice", get_args(SchedulerName)),
    Field("previews.seed", "Seed of the previews"),
    Field("evaluate.pictures", "Afterwards, compare with the pictures in", "text"),
    Field("evaluate.subjects", "Subjects that are drawn for that", "lines"),
)
MACHINE = (
    Field("resolution", "Size of the pictures, px"),
    Field("dtype", "Numbers", "choice", ("auto", "fp32", "bf16", "fp16")),
    Field("memory", "Memory, GB"),
    Field("device", "Device", "text"),
)
FIELDS = (*FIRST, *EVEN, *LEARNING, *ENOUGH, *LOOKS, *MACHINE)
OPTIONAL = {
    "balance": Balance(attribute="x", values=("a", "b")),
    "evaluate": Evaluate(pictures="x", subjects=("x",)),
}
"""Sections that are absent unless one of their fields says something."""
ASKED = ("balance.attribute", "balance.values", "evaluate.pictures", "evaluate.subjects")
"""What has to be said for these, so that no default stands in for it."""

STARTS: dict[str, dict[str, Value]] = {
    "storybook": {
        "train.steps": "400",
        "train.learning_rate": "0.03",
        "train.optimizer": "schedule_free",
        "previews.every": "20",
        "previews.guidance_scale": "4",
        "previews.scheduler": "ddim_eta1",
        "previews.prompts": "a rabbit, [name] style\na house, [name] style\n"
        "a boat, [name] style\na mushroom, [name] style",
    },
    "": {},
}
"""What a form begins with for a model: experiments/storybook.yaml's, else the defaults."""
ANEW: dict[str, Value] = {
    "num_vectors": "1",
    "train.learning_rate": "0.005",
    "train.optimizer": "adamw",
    "train.timesteps": "0.3, 1",
    "templates": "a [name]\na picture of a [name]\na painting of a [name]",
    "previews.prompts": "a [name]\na picture of a [name]",
}
"""What it begins with besides where a word is learned anew: experiments/debias-cat.yaml's."""


def plain(config: Config) -> dict[str, Any]:
    """A configuration as nested values, with every section that the form has fields for."""
    values = config.model_dump(mode="json", by_alias=True)
    for name, section in OPTIONAL.items():
        if values[name] is None:
            values[name] = section.model_dump(mode="json", by_alias=True)
            values[name] |= {key.split(".")[1]: "" for key in ASKED if key.startswith(name)}
    return values


def get(values: Mapping[str, Any], setting: str) -> Any:
    """The value at a dotted name."""
    for key in setting.split("."):
        values = values[key]
    return values


def written(field: Field, value: Any) -> Value:
    """A setting as a person writes it into its field."""
    if field.kind == "tick":
        return bool(value)
    if field.kind == "pairs":
        return ", ".join(f"{key}: {item:g}" for key, item in (value or {}).items())
    if isinstance(value, list | tuple):
        return ("\n" if field.kind == "lines" else ", ").join(map(_shown, value))
    return "" if value is None else _shown(value)


def _shown(value: Any) -> str:
    short = f"{value:g}" if isinstance(value, float) else str(value)
    return short if short == str(value) or float(short) == value else repr(value)


def said(field: Field, value: Any) -> Any:
    """The setting that a field's content stands for.

    Raises:
        UserError: where it cannot be one, such as letters for a number.
    """
    if field.kind == "tick":
        return value is True or str(value).lower() == "true"
    text = str("" if value is None else value).strip()
    if field.kind in ("text", "choice"):
        return text
    if field.kind == "lines":
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return text if len(lines) == 1 and lines[0].endswith(".txt") else lines
    if field.kind == "number":
        return _number(field, text)
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if field.kind == "pairs":
        return _pairs(field, parts)
    if field.setting == "num_vectors":
        counts = [_number(field, part) for part in parts]
        return counts[0] if len(counts) == 1 else counts
    return [_number(field, part) for part in parts] if field.setting == "train.timesteps" else parts


def _number(field: Field, text: str) -> Any:
    """A number; of a learning rate also a list of rates, and of the memory "auto"."""
    text = text.replace("_", "")
    if not text:
        raise UserError(f"{field.label} is empty: write a number")
    if field.setting == "memory" and text == "auto":
        return text
    if field.setting == "train.learning_rate" and (":" in text or "," in text):
        return text
    try:
        number = float(text)
    except ValueError:
        raise UserError(f"{field.label}: {text[:60]!r} is no number") from None
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else number


def _pairs(field: Field, parts: Sequence[str]) -> dict[str, Any]:
    pairs = [part.rpartition(":")[::2] for part in parts]
    if any(not name.strip() for name, _ in pairs):
        raise UserError(f"{field.label}: write value: number, as in female: 2, male: 1")
    return {name.strip(): _number(field, count.strip()) for name, count in pairs}


def bracketed(word: str, overwrite: bool) -> str:
    """The word as it is learned: in angle brackets unless it is one that the model knows."""
    word = " ".join(word.split())
    if not word:
        raise UserError("Your word is empty: write one, such as <patchwork>")
    if overwrite or word.startswith("<"):
        return word
    return f"<{word.replace(' ', '-')}>"


def section_of(values: Sequence[Value], others: str = "") -> dict[str, Any]:
    """The section `inversion:` of what FIELDS hold, in their order, and of `others`.

    `others` has further settings, one a line, as behind the terminal's command: train.warmup=10.

    Raises:
        UserError: a field that cannot be read.
    """
    default = plain(Config())
    given = {f.setting: said(f, value) for f, value in zip(FIELDS, values, strict=True)}
    given["word"] = bracketed(given["word"], given["overwrite"])
    for name in OPTIONAL:
        if not any(given[key] for key in ASKED if key.startswith(name)):
            given = {key: value for key, value in given.items() if not key.startswith(f"{name}.")}
    section: dict[str, Any] = {}
    for setting, value in given.items():
        if setting != "word" and value == get(default, setting):
            continue
        *above, last = setting.split(".")
        inner = section
        for key in above:
            inner = inner.setdefault(key, {})
        inner[last] = value
    return _with_others(section, others)


def _with_others(section: dict[str, Any], others: str) -> dict[str, Any]:
    whole = tree.Tree("", {"inversion": section})
    for line in (others or "").splitlines():
        if line.strip():
            setting = line.strip().removeprefix("inversion.")
            tree.override(whole, f"inversion.{setting}")
    if whole.mistakes:
        raise UserError(f"Other settings: {whole.mistakes[0].sentence}, not {others[:60]!r}")
    return whole.values["inversion"]


def filled(section: Mapping[str, Any]) -> tuple[list[Value], str]:
    """What FIELDS hold for a section `inversion:`, and the text of the other settings.

    Raises:
        UserError: where it is no valid section.
    """
    try:
        config = Config.model_validate_json(json.dumps(section))
    except ValueError:
        raise UserError("these settings are of another version and cannot be used again") from None
    values, default = plain(config), plain(Config())
    shown = [written(field, get(values, field.setting)) for field in FIELDS]
    rest = _differences(values, default)
    known = {field.setting for field in FIELDS}
    lines = [f"{key}={_yaml(value)}" for key, value in rest.items() if key not in known]
    return shown, "\n".join(lines)


def _differences(values: Any, default: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(values, dict) and isinstance(default, dict) and prefix != "balance.wanted":
        found: dict[str, Any] = {}
        for key, value in values.items():
            inner = f"{prefix}.{key}" if prefix else key
            found |= _differences(value, default.get(key), inner)
        return found
    return {} if values == default else {prefix: values}


def _yaml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def begin(data: str = "") -> list[Value]:
    """What FIELDS hold when the page opens, with pictures that are chosen already."""
    shown, _ = filled({"word": "<w>"})
    values = dict(zip((field.setting for field in FIELDS), shown, strict=True))
    return list((values | STARTS["storybook"] | {"word": "", "data": data}).values())


def started(values: Sequence[Value]) -> list[Value]:
    """The fields' content for the model and the kind of word in it: what still stood as it began
    for another, begins anew. A word that is learned anew begins with what it means."""
    keys = [field.setting for field in FIELDS]
    now = dict(zip(keys, values, strict=True))
    default = dict(zip(keys, filled({"word": "<w>"})[0], strict=True))
    starts = [start | anew for start in STARTS.values() for anew in ({}, ANEW)]
    wanted = default | STARTS.get(str(now["model"]), {}) | (ANEW if now["overwrite"] else {})
    for key in {key for start in starts for key in start}:
        if any((default | start)[key] == now[key] for start in starts):
            now[key] = wanted[key]
    if now["overwrite"]:
        now["initial_words"] = now["initial_words"] or now["word"]
    elif now["initial_words"] == now["word"]:
        now["initial_words"] = ""
    return list(now.values())


def readable(problem: str) -> str:
    """A complaint with the fields' labels in the place of the settings' names."""
    problem = re.sub(r"^\S+\.ya?ml(:\d+:\d+)?: ", "", problem, flags=re.MULTILINE)
    for field in sorted(FIELDS, key=lambda field: -len(field.setting)):
        pattern = rf"\binversion\.{re.escape(field.setting)}(?![\w.])"
        problem = re.sub(pattern, lambda _, label=field.label: label, problem)
    return problem.replace("inversion.", "")
