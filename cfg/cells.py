"""What a sweep consists of: lines of pictures over the scale, and a file for each picture.

A *line* is everything that decides a picture but the guidance scale, so it is what a film shows. A
*cell* is a line at one scale, a *frame* is a cell with its file. The study is the product of
prompts, words, seeds, rules and steps; each combination is one line.
"""

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from cfg.config import Config, Rule
from lab.run import Run

NAME = "[name]"


@dataclass(frozen=True)
class Line:
    """One trajectory of the study, at every scale: a film."""

    template: str
    """The prompt as the experiment says it, perhaps with [name] in it."""
    prompt: str
    """The prompt that the model sees."""
    negative_prompt: str
    word: str | None
    """What [name] stands for here; None where the prompts have no [name]."""
    seed: int
    rule: Rule
    steps: int
    scheduler: str

    def about(self) -> dict[str, Any]:
        """The line as JSON, for sweep.json and for a frame's text."""
        return {
            "prompt": self.prompt,
            "negative_prompt": self.negative_prompt,
            "template": self.template,
            "word": self.word,
            "seed": self.seed,
            "rule": self.rule.essence(),
            "steps": self.steps,
            "scheduler": self.scheduler,
        }


@dataclass(frozen=True)
class Cell:
    """One picture of the study."""

    line: Line
    scale: Decimal


@dataclass(frozen=True)
class Frame:
    """A cell and the file of its picture."""

    index: int
    """Which of its line's scales it has, counted in the order of the whole range: the place of the
    frame in a film that shows every scale, whether or not the others are rendered."""
    cell: Cell
    path: Path
    key: str
    """A hash of everything that decides the pixels, the scale included."""

    @property
    def scale(self) -> Decimal:
        return self.cell.scale

    @property
    def line(self) -> Line:
        return self.cell.line


@dataclass(frozen=True)
class Jump:
    """Neighbours at the smallest step of an adaptive sweep that still differ visibly."""

    line: Line
    below: Decimal
    above: Decimal
    distance: float
    """In just noticeable differences (metrics/perceptual.py)."""


@dataclass(frozen=True)
class Sweep:
    """A finished sweep: what was rendered of what."""

    lines: tuple[Line, ...]
    scales: tuple[Decimal, ...]
    """Every scale of the range, rendered or not."""
    frames: tuple[Frame, ...]
    """What was rendered, line after line, by index."""
    batch_size: int
    threshold: float | None = None
    """Of an adaptive sweep, in just noticeable differences; None: every scale was rendered."""
    jumps: tuple[Jump, ...] = ()

    def of(self, line: Line) -> tuple[Frame, ...]:
        """The frames of a line, in the order of their indices."""
        return tuple(frame for frame in self.frames if frame.line == line)

    def jumps_of(self, line: Line) -> tuple[Jump, ...]:
        return tuple(jump for jump in self.jumps if jump.line == line)


def lines_of(config: Config, words: Sequence[str]) -> tuple[Line, ...]:
    """The product of the prompts (with each of `words` for [name]), seeds, rules and steps."""

    def prompts() -> Iterator[tuple[str, str, str, str | None]]:
        for template in config.prompts:
            negative = config.negative_prompt
            for word in words if NAME in template + negative else (None,):
                prompt, away = (text.replace(NAME, word or NAME) for text in (template, negative))
                yield template, prompt, away, word

    return tuple(
        Line(*said, seed=seed, rule=rule, steps=steps, scheduler=config.scheduler)
        for said, rule, steps, seed in itertools.product(
            prompts(), config.rules, config.step_counts, config.seeds
        )
    )


def frames_of(
    line: Line,
    scales: Sequence[Decimal],
    folder: Path,
    settings: Mapping[str, Any],
    indices: Sequence[int] | None = None,
) -> tuple[Frame, ...]:
    """The frames folder/LINE/SCALE.png of a line, all of them or those of some indices.

    `settings` are what decides the pixels beside line and scale. A frame's place follows from its
    own content, so that a sweep can be widened or refined without moving one.
    """
    key = Run.fingerprint({**settings, **line.about(), "template": None, "word": None})
    place = folder / f"{_slug(line.prompt)}-{key[:8]}"
    chosen = range(len(scales)) if indices is None else indices
    return tuple(
        Frame(
            index,
            Cell(line, scales[index]),
            place / f"{file_stem(scales[index])}.png",
            Run.fingerprint([key, plain(scales[index])]),
        )
        for index in chosen
    )


def plain(scale: Decimal) -> str:
    """A scale as one writes it: 7.5, 20, 0.02."""
    return format(scale.normalize(), "f")


def file_stem(scale: Decimal) -> str:
    """A scale as a file's name, which sorts as the scales do: 007.50, 000.02, -001.00."""
    whole, _, decimals = plain(abs(scale)).partition(".")
    return f"{'-' if scale < 0 else ''}{whole:0>3}.{decimals:0<2}"


def _slug(prompt: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")
    return words[:40].rstrip("-") or "no-prompt"


def listing(sweep: Sweep, folder: Path) -> dict[str, Any]:
    """What sweep.json says: enough to read the frames without anything else.

    `scales` are those of the whole range, as text, because 0.02 is no float; `lines` say what each
    is and its jumps; `frames` name line, scale, place in the range and file of every picture.
    """
    numbers = {line: number for number, line in enumerate(sweep.lines)}
    return {
        "batch_size": sweep.batch_size,
        "threshold": sweep.threshold,
        "scales": [plain(scale) for scale in sweep.scales],
        "lines": [
            {
                **line.about(),
                "jumps": [
                    {"from": plain(j.below), "to": plain(j.above), "distance": j.distance}
                    for j in sweep.jumps_of(line)
                ],
            }
            for line in sweep.lines
        ],
        "frames": [
            {
                "file": frame.path.relative_to(folder).as_posix(),
                "line": numbers[frame.line],
                "index": frame.index,
                "guidance_scale": float(frame.scale),
                "key": frame.key,
            }
            for frame in sweep.frames
        ],
    }


def read_listing(folder: Path) -> Sweep:
    """The sweep that a finished job left in `folder`, from its sweep.json."""
    said = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
    scales = tuple(Decimal(scale) for scale in said["scales"])
    lines = tuple(_line(entry) for entry in said["lines"])
    frames = []
    for entry in said["frames"]:
        cell = Cell(lines[entry["line"]], scales[entry["index"]])
        frames.append(Frame(entry["index"], cell, folder / entry["file"], entry["key"]))
    jumps = tuple(
        Jump(line, Decimal(jump["from"]), Decimal(jump["to"]), jump["distance"])
        for line, entry in zip(lines, said["lines"], strict=True)
        for jump in entry["jumps"]
    )
    return Sweep(lines, scales, tuple(frames), said["batch_size"], said["threshold"], jumps)


def _line(entry: Mapping[str, Any]) -> Line:
    rule = Rule.model_validate_json(json.dumps(entry["rule"]))
    fields = {key: value for key, value in entry.items() if key not in ("rule", "jumps")}
    return Line(**fields, rule=rule)
