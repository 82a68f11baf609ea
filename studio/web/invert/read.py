"""What a run of inversion has come to so far, read from its folder while it is at work or after."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inversion.config import Config, variants
from inversion.stopping import Measured, early_ending, how_it_ended, is_enough, planned_ending
from lab.errors import UserError
from studio.web.runs.listing import is_held

Curve = tuple[tuple[int, float], ...]
"""(step, value) pairs, the steps rising."""
LEARNED, REPORT, VECTORS, METRICS = "learned.json", "report.html", "vectors.jsonl", "metrics.jsonl"


@dataclass(frozen=True)
class Vector:
    """One vector of a word as it is now."""

    norm: float
    nearest: tuple[tuple[str, float], ...]
    """Words of the vocabulary with their cosine, the nearest first."""


@dataclass(frozen=True)
class Look:
    """A row of previews: the pictures of all prompts side by side in one file."""

    label: str
    path: Path
    version: int
    """Changes with the file's content, for its address."""


@dataclass(frozen=True)
class Word:
    """One word of a run, and how its training goes."""

    token: str
    step: int
    """The newest step."""
    planned: int
    """The step that is the last if no rule speaks."""
    objective: Curve
    held_out: Curve
    loss: Curve
    norm: Curve
    """The mean length of the vectors, at every step."""
    rate: Curve
    lengths: tuple[Curve, ...]
    """Each vector's length, whenever the objective was looked at."""
    vocabulary_norm: float | None
    vectors: tuple[Vector, ...]
    looks: tuple[Look, ...]
    best_step: int | None
    stopped: int | None
    """Where the rule said that it is enough."""
    verdict: str
    file: Path | None
    """The word as programs load it; while it is being learned, the best so far."""
    finished: bool


@dataclass(frozen=True)
class Learning:
    """A run of inversion: what it is of, how far it is."""

    name: str
    folder: Path
    status: str
    """waiting, running, complete, interrupted, failed."""
    failure: str
    config: Config
    words: tuple[Word, ...]
    notes: tuple[str, ...]
    report: Path | None

    @property
    def prompts(self) -> tuple[str, ...]:
        """Of the previews."""
        return self.config.previews.prompts

    @property
    def step(self) -> int:
        """Steps taken, of all words."""
        return sum(word.step for word in self.words)


def read_learning(folder: Path) -> Learning:
    """The run in `folder`, OUTPUTS/NAME/inversion.

    Raises:
        UserError: there is none that can be read.
    """
    manifest = _json(folder / "manifest.json")
    configuration = manifest.get("configuration", {})
    section = configuration.get("inversion")
    if not isinstance(section, dict):
        raise UserError(f"{folder.parent.name} has no word that was learned, or is being learned")
    try:
        config = Config.model_validate_json(json.dumps(section))
    except ValueError:
        raise UserError(
            f"{folder.parent.name} was learned with settings that this version does not know"
        ) from None
    lines = _lines(folder / METRICS)
    try:
        words = [_word(folder, config, one, lines) for one in variants(config)]
    except (AttributeError, LookupError, TypeError, ValueError):
        raise UserError(f"the files of {folder.parent.name} are damaged; learn it again") from None
    report, status = folder / REPORT, str(manifest.get("status", "waiting"))
    if status == "running" and not is_held(folder):
        status = "interrupted"  # killed: it could not say so
    return Learning(
        name=folder.parent.name,
        folder=folder,
        status=status,
        failure=str(manifest.get("failure", "")),
        config=config,
        words=tuple(words),
        notes=tuple(map(str, manifest.get("notes", ()))),
        report=report if report.exists() and status == "complete" else None,
    )


def _word(folder: Path, config: Config, one: Config, lines: Sequence[dict]) -> Word:
    inner = folder if isinstance(config.num_vectors, int) else _folder(folder, one)
    mine = [line for line in lines if line.get("word") == one.word]
    facts = _json(inner / LEARNED)
    seen = _lines(inner / VECTORS)
    history = [
        Measured(line["step"], line["objective"], line.get("held_out"))
        for line in mine
        if line.get("objective") is not None
    ]
    best = _best(history) if not facts else facts.get("best_step")
    stopped = facts["stopped"] if facts else _stopped(history, one)
    planned = one.train.steps
    if stopped is not None:
        planned = early_ending(stopped, one.train, one.stop).last
    return Word(
        token=one.word,
        step=max((line["step"] for line in mine), default=0),
        planned=planned,
        objective=tuple((m.step, m.objective) for m in history),
        held_out=tuple((m.step, m.held_out) for m in history if m.held_out is not None),
        loss=_curve(mine, "loss"),
        norm=_curve(mine, "norm"),
        rate=_curve(mine, "learning_rate"),
        lengths=_lengths(seen),
        vocabulary_norm=seen[-1]["vocabulary_norm"] if seen else facts.get("vocabulary_norm"),
        vectors=_vectors(facts, seen),
        looks=_looks(inner / "previews", best),
        best_step=best,
        stopped=stopped,
        verdict=_verdict(facts, history, best, stopped),
        file=_file(folder, inner, one, finished=bool(facts)),
        finished=bool(facts),
    )


def _folder(folder: Path, one: Config) -> Path:
    return folder / "words" / one.word.strip("<>")


def _file(folder: Path, inner: Path, one: Config, finished: bool) -> Path | None:
    name = f"{one.word.strip('<>')}.safetensors"
    path = folder / name if finished else inner / "checkpoints" / f"best-{name}"
    return path if path.exists() else None


def _curve(lines: Iterable[Mapping[str, Any]], key: str) -> Curve:
    """JSON has no NaN: where a value was none, there is null, and the curve has a gap."""
    return tuple((line["step"], line[key]) for line in lines if line.get(key) is not None)


def _lengths(seen: Sequence[Mapping[str, Any]]) -> tuple[Curve, ...]:
    count = len(seen[-1]["vectors"]) if seen else 0
    return tuple(
        tuple((line["step"], line["vectors"][k]["norm"]) for line in seen) for k in range(count)
    )


def _vectors(facts: Mapping[str, Any], seen: Sequence[Mapping[str, Any]]) -> tuple[Vector, ...]:
    if facts:
        found = [vector for vectors in facts["vectors"].values() for vector in vectors]
    else:
        found = seen[-1]["vectors"] if seen else []
    return tuple(
        Vector(v["norm"], tuple((word, cosine) for word, cosine in v["nearest"])) for v in found
    )


def _looks(folder: Path, best: int | None) -> tuple[Look, ...]:
    rows = sorted(folder.glob("step-[0-9][0-9][0-9][0-9][0-9][0-9].png"))
    looks = [Look(f"step {int(p.stem.removeprefix('step-'))}", p, _version(p)) for p in rows]
    path = folder / "best.png"
    if path.exists():
        looks.append(Look(f"kept: step {best}", path, _version(path)))
    return tuple(looks)


def _best(history: Sequence[Measured]) -> int | None:
    return min(history[1:], key=lambda one: one.judged).step if len(history) > 1 else None


def _stopped(history: Sequence[Measured], config: Config) -> int | None:
    """The step at which the rule said that it is enough, while training still cools down."""
    asked = [m for m in history if m.step <= planned_ending(config.train, config.stop).first]
    for count in range(1, len(asked) + 1):
        if is_enough(asked[:count], config.stop):
            return asked[count - 1].step
    return None


def _verdict(
    facts: Mapping[str, Any], history: Sequence[Measured], best: int | None, stopped: int | None
) -> str:
    """What is kept, and why, in a sentence or two."""
    if not history:
        return ""
    if best is None:
        return "The start is measured; the first steps are being taken."
    held = history[-1].held_out is not None
    lowest = "lowest on the pictures held out" if held else "lowest objective"
    if facts:
        ended = how_it_ended(facts).partition("; ")[2].partition("; ")[2]
        said = f"Step {best} is kept: {lowest}."
        if stopped is not None:
            said += f" At step {stopped} the rule said that it is enough."
        return f"{said} {ended[:1].upper()}{ended[1:]}." if ended else said
    said = f"So far step {best} is the best: {lowest}."
    if stopped is not None:
        said += f" At step {stopped} the rule said that it is enough, the last steps settle it."
    return said


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file that may be growing."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    found = []
    for line in text.rpartition("\n")[0].splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict) and isinstance(value.get("step"), int):
            found.append(value)
    return found


def _version(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
