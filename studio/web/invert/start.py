"""What the tab Invert begins a run from: pictures and names that there are; the experiment.

Torch stays out of it: pictures are listed by inversion's own reader, and the rest are files.
"""

import json
from collections.abc import Sequence
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

from inversion.config import Config, variants
from inversion.data import LISTS, Example, find_examples
from lab.errors import UserError
from lab.images import SUFFIXES, find_images
from lab.run import Run
from studio.web.bench import Bench
from studio.web.invert.form import Value, readable, section_of
from studio.web.models import Choice
from studio.web.places import Places, short
from studio.web.runs.listing import is_held
from studio.web.sheet import sheet

JOB = "inversion"
MOST_CHOICES = 60


def data_choices(bench: Bench) -> list[Choice]:
    """What a word can be learned from: finished crops, the newest first, then folders."""
    crops = sorted(bench.outputs.glob("*/cropping/crops.jsonl"), key=_age)
    choices = [
        (f"the crops of {path.parents[1].name}", str(short(path.parent)))
        for path in crops
        if Run(bench.outputs, path.parents[1].name, "cropping").read_manifest().get("status")
        == "complete"
    ]
    for root in bench.places.roots:
        if root != bench.places.outputs and root.is_dir():
            inner = sorted(path for path in root.iterdir() if path.is_dir())
            choices += [
                (str(short(path)), str(short(path))) for path in (root, *inner) if _pictured(path)
            ]
    return choices[:MOST_CHOICES]


def _pictured(folder: Path) -> bool:
    if any((folder / name).is_file() for name in LISTS):
        return True
    return any(path.suffix.lower() in SUFFIXES for path in islice(folder.iterdir(), 200))


def _age(path: Path) -> float:
    return -path.stat().st_mtime


def run_choices(bench: Bench) -> list[Choice]:
    """The runs that learn a word or have learned one, the newest first."""
    found = sorted(bench.outputs.glob(f"*/{JOB}/manifest.json"), key=_age)
    names = [path.parents[1].name for path in found if not path.parents[1].name.startswith(".")]
    waiting = [
        standing.name
        for standing in reversed(bench.queue.all())
        if JOB in standing.jobs and standing.status in ("waiting", "running")
    ]
    return [(name, name) for name in dict.fromkeys([*waiting, *names])]


def at_work(bench: Bench) -> str:
    """The run that is learning now, in this studio or in a terminal; "" where none is."""
    for standing in bench.queue.all():
        if JOB in standing.jobs and standing.status == "running":
            return standing.name
    for name, _ in run_choices(bench):
        if is_held(bench.outputs / name / JOB):
            return name
    return ""


def pictures_of(bench: Bench, data: str) -> list[Example]:
    """The pictures in the folder that `data` names, with their captions.

    Raises:
        UserError: there are none, or they may not be read; a list or a link may name what lies
            elsewhere.
    """
    folder = bench.places.inside(data)
    if not folder.is_dir():
        raise UserError(f"{data} is no folder; name the folder that the pictures are in")
    examples = find_examples(Config(data=str(folder)), folder)
    for path in (path for one in examples for path in (one.path, one.mask) if path):
        bench.places.inside(str(path))
    return examples


def look_at(bench: Bench, data: str) -> str:
    """The pictures that `data` names as HTML: how many, what is said about them, some of them.

    Raises:
        UserError: as `pictures_of`.
    """
    examples = pictures_of(bench, data)
    first = next((example.caption for example in examples if example.caption), "")
    said = f", with captions such as “{first}”" if first else ", without captions"
    count = len(examples)
    sentence = f"{count} picture{'' if count == 1 else 's'}{said}."
    return sheet(sentence, [(example.path, example.caption) for example in examples])


def experiment_of(bench: Bench, values: Sequence[Value], others: str, name: str) -> dict[str, Any]:
    """The experiment that the form describes. Without a name it is called as its crops or its word,
    and where that name has another word already, with a number behind it.

    Raises:
        UserError: a field that cannot be read, no pictures, a name that another word has.
    """
    section = section_of(values, others)
    if not section.get("data"):
        raise UserError("Choose the pictures to learn from: crops, or a folder")
    if section.get("track", "none") not in ("none", "tensorboard"):
        raise UserError("the studio sends nothing away: leave track out of the other settings")
    pictures_of(bench, section["data"])
    config = _valid(section)
    if config is not None:
        if config.evaluate is not None:
            for path in find_images(bench.places.inside(config.evaluate.pictures)):
                bench.places.inside(str(path))
        _require_new(bench.places, config)
    if name.strip():
        name = bench.places.name(name.strip())
        if not _may_have(bench, name, config):
            raise UserError(
                f"{name} has learned a word with other settings: give this run another name, or "
                "leave the name empty"
            )
        return {"name": name, JOB: section}
    return {"name": _free(bench, config), JOB: section}


def _require_new(places: Places, config: Config) -> None:
    """What the job would say once it has loaded the model, said at once where the model is here."""
    folder = Path(str(files("storybook") / "model"))
    if config.model != "storybook":
        folder = Path(places.model(config.model))
    taken = _added(folder / "tokenizer")
    for word in variants(config):
        if word.word in taken:
            raise UserError(f"Your word: {word.word} is in the model's vocabulary; choose another")


def _added(folder: Path) -> set[str]:
    """The words that were added to a tokenizer: of a model that has learned words already."""
    old, new = (_content(folder / name) for name in ("added_tokens.json", "tokenizer.json"))
    return {*old, *(token["content"] for token in new.get("added_tokens", ()))}


def _content(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _valid(section: dict[str, Any]) -> Config | None:
    """The configuration; None where the queue will say what is wrong with it."""
    try:
        return Config.model_validate_json(json.dumps(section))
    except ValueError:
        return None


def _may_have(bench: Bench, name: str, config: Config | None) -> bool:
    """Whether a run may have this name: it is free, or it is the same run, which then goes on."""
    before = Run(bench.outputs, name, JOB).read_manifest()
    known = before.get("configuration", {}).get(JOB)
    if known is None:
        latest = bench.queue.of(name, JOB)
        return latest is None or latest.status not in ("waiting", "running")
    return config is not None and config.model_dump(mode="json", by_alias=True) == known


def _free(bench: Bench, config: Config | None) -> str:
    if config is None:
        return "word"
    stem = config.word.strip("<>")
    data = Path(config.data)
    stems = [data.parent.name, stem] if data.name == "cropping" else [stem]
    numbered = (f"{stem}-{number}" for number in range(2, 10_000))
    wanted = (bench.places.name(name) for name in (*stems, *numbered))
    return next(name for name in wanted if _may_have(bench, name, config))


def begin(bench: Bench, values: Sequence[Value], others: str, name: str) -> str:
    """Queue the learning of the word that the form describes; returns the run's name.

    Raises:
        UserError: with a sentence for each mistake, in the words of the form.
    """
    try:
        experiment = experiment_of(bench, values, others, name)
        words = variants(_valid(experiment[JOB]) or Config())
        bench.queue.submit(experiment, f"learn {' and '.join(word.word for word in words)}")
    except UserError as problem:
        raise UserError(readable(str(problem))) from None
    return experiment["name"]
