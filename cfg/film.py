"""The film of a sweep: which picture is seen when, its scale below it, several lines side by side.

One picture of each line is in memory at a time, so a film of any length can be made.
"""

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageDraw

from cfg.analysis import Measured, speeds
from cfg.cells import Frame, Line, Sweep, plain
from cfg.frames import read_frame
from cfg.showing import Video
from cfg.strip import NIGHT, Strip, curve_panel, mark_scale, shortened
from lab.images import enlarge, font
from lab.video import write_video

Chosen = TypeVar("Chosen")
GAP = 4  # px between pictures that stand side by side


@dataclass(frozen=True)
class Reel:
    """The rendered frames of a line, by their place in the whole range."""

    line: Line
    indices: tuple[int, ...]
    frames: tuple[Frame, ...]

    @classmethod
    def of(cls, sweep: Sweep, line: Line) -> "Reel":
        frames = tuple(sorted(sweep.of(line), key=lambda frame: frame.index))
        return cls(line, tuple(frame.index for frame in frames), frames)

    def at(self, index: int) -> Frame:
        """The frame of a place in the range; where none was rendered, the one before it."""
        return self.frames[max(0, bisect.bisect_right(self.indices, index) - 1)]


def moments(sweep: Sweep, lines: Sequence[Measured], retime: str) -> list[int]:
    """Which place of the range each frame of the film shows; as many as there are scales.

    `none` is every place once, in order. `perceptual` moves through the rising scales in equal
    steps of the distance travelled, averaged over the lines: a place is skipped where little
    changes, and held where much does. Nothing is ever blended.
    """
    count = len(sweep.scales)
    if retime == "none" or count < 2:
        return list(range(count))
    rising = sorted(range(count), key=lambda index: sweep.scales[index])
    scales = [float(sweep.scales[index]) for index in rising]
    travelled = np.mean(
        [
            np.interp(scales, one.scales, np.concatenate([[0.0], np.cumsum(one.perceptual)]))
            for one in lines
        ],
        axis=0,
    )
    if travelled[-1] == 0:
        return rising
    targets = np.linspace(0, travelled[-1], count)
    # the tolerance lets equal steps fall on the places that they were computed from
    reached = np.searchsorted(travelled, targets + travelled[-1] * 1e-9, side="right") - 1
    places = [rising[int(k)] for k in np.maximum(reached, 0)]
    return [rising[0], *places[1:-1], rising[-1]]


def write_film(
    sweep: Sweep,
    lines: Sequence[Line],
    config: Video,
    path: Path,
    *,
    metadata: dict[str, str],
    on_frame: Callable[[int], None] | None = None,
    measured: Sequence[Measured] = (),
) -> None:
    """Film one line, or several side by side; every frame says the scale of what it shows.

    `measured` is what was measured of the lines, for a film that `needs_measures`.
    """
    order = moments(sweep, measured, config.retime)
    if len(lines) == 1:
        look = alone(sweep, Reel.of(sweep, lines[0]), config)
    else:
        look = montage(sweep, measured, config)
    write_video(lambda k: look(order[k]), len(order), config.fps, path, on_frame, metadata)


def needs_measures(lines: Sequence[Line], config: Video) -> bool:
    """Whether a film of these lines shows, or moves by, how fast they change."""
    return len(lines) > 1 or config.retime != "none"


Look = Callable[[int], np.ndarray]
"""A place in the range -> the frame of the film, uint8 [H, W, 3]."""


def alone(sweep: Sweep, reel: Reel, config: Video) -> Look:
    """One line: the picture near `size` pixels wide, and the strip with its scale below it."""
    strip = Strip.of(sweep.scales, reel.line.prompt) if config.label else None

    def look(index: int) -> np.ndarray:
        frame = reel.at(index)
        picture = enlarge(Image.fromarray(read_frame(frame)), config.size)
        if strip is None:
            return np.asarray(picture)
        return np.asarray(_stacked(picture, strip.draw(frame.scale, picture.width)))

    return look


def montage(sweep: Sweep, lines: Sequence[Measured], config: Video) -> Look:
    """Lines side by side, each with what it is; below them the scale and the curve of their speed,
    along which a mark moves. Where a line has no picture at that scale, its label says which it
    has."""
    reels = [Reel.of(sweep, one.line) for one in lines]
    columns = columns_for([reel.line for reel in reels])
    rows = -(-len(reels) // columns)
    first = read_frame(reels[0].frames[0])
    side = max(8, min(config.size, (2 * config.size - (columns - 1) * GAP) // columns))
    width, height = _fitted(Image.fromarray(first), side).size
    band = max(14, min(24, width // 8)) if config.label else 0
    names = labels([reel.line for reel in reels])
    total = columns * width + (columns - 1) * GAP
    strip = Strip.of(sweep.scales, _what_is_common([reel.line for reel in reels]))
    panel = _panel(sweep, lines, total) if config.label else None

    def look(index: int) -> np.ndarray:
        canvas = Image.new("RGB", (total, rows * (height + band + GAP) - GAP), NIGHT)
        draw = ImageDraw.Draw(canvas)
        for k, reel in enumerate(reels):
            frame = reel.at(index)
            x, y = (k % columns) * (width + GAP), (k // columns) * (height + band + GAP)
            canvas.paste(_fitted(Image.fromarray(read_frame(frame)), side), (x, y))
            if band:
                name = names[k]
                if frame.scale != sweep.scales[index]:
                    name = f"{name}  s = {strip.written(frame.scale)}".strip()
                chosen = font(band * 0.62)
                text = shortened(draw, name, width - 4, chosen)
                middle = (x + width / 2, y + height + band / 2)
                draw.text(middle, text, fill=(200, 200, 206), font=chosen, anchor="mm")
        if panel is None:
            return np.asarray(canvas)
        scale = sweep.scales[index]
        below = mark_scale(panel, sweep.scales, scale)
        return np.asarray(_stacked(canvas, strip.draw(scale, total), below))

    return look


def _panel(sweep: Sweep, lines: Sequence[Measured], width: int) -> Image.Image | None:
    gaps = [np.diff(one.scales).min() for one in lines if len(one.scales) > 1]
    if not gaps:
        return None
    middles, curves = speeds(lines, float(min(gaps)))
    return curve_panel(sweep.scales, middles, curves, width)


def _fitted(picture: Image.Image, side: int) -> Image.Image:
    """Enlarged by a whole number to at most `side`, or reduced to it."""
    if max(picture.size) > side:
        picture = picture.copy()
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        return picture
    return enlarge(picture, side)


def _stacked(*parts: Image.Image) -> Image.Image:
    canvas = Image.new("RGB", (parts[0].width, sum(part.height for part in parts)), NIGHT)
    y = 0
    for part in parts:
        canvas.paste(part, (0, y))
        y += part.height
    return canvas


def columns_for(lines: Sequence[Line]) -> int:
    """A row for each rule, word or prompt when all have the same seeds; else nearly a square."""
    seeds = len({line.seed for line in lines})
    others = len(lines) // seeds
    if others > 1 and seeds * others == len(lines) and 1 < seeds <= 16:
        return seeds
    return int(np.ceil(np.sqrt(len(lines)))) if len(lines) > 3 else len(lines)


def labels(lines: Sequence[Line]) -> list[str]:
    """For each line what tells it from the others; a word rather than the prompt with it in it."""
    parts: list[Callable[[Line], str]] = []

    def varies(of: Callable[[Line], object]) -> bool:
        return len({of(line) for line in lines}) > 1

    if varies(lambda line: line.template):
        parts.append(lambda line: line.prompt)
    elif varies(lambda line: line.word):
        parts.append(lambda line: line.word or "")
    if varies(lambda line: line.rule):
        parts.append(lambda line: str(line.rule))
    if varies(lambda line: line.steps):
        parts.append(lambda line: f"{line.steps} steps")
    if varies(lambda line: line.seed):
        parts.append(lambda line: f"seed {line.seed}")
    return [", ".join(part(line) for part in parts) for line in lines]


def _what_is_common(lines: Sequence[Line]) -> str:
    prompts = {line.prompt for line in lines}
    templates = {line.template for line in lines}
    if len(prompts) == 1:
        return prompts.pop()
    return templates.pop() if len(templates) == 1 else f"{len(prompts)} prompts"


def chosen_lines(lines: Sequence[Chosen], most: int) -> list[Chosen]:
    """At most so many lines, evenly chosen."""
    if len(lines) <= most:
        return list(lines)
    places = {round(k * (len(lines) - 1) / max(1, most - 1)) for k in range(most)}
    return [lines[k] for k in sorted(places)]


def describe(sweep: Sweep, lines: Sequence[Line], manifest: str) -> dict[str, str]:
    """What a film says of itself: the manifest that has everything else, prompts and scales."""
    prompts = list(dict.fromkeys(line.prompt for line in lines))
    low, high = min(sweep.scales), max(sweep.scales)
    seeds = list(dict.fromkeys(line.seed for line in lines))
    return {
        "title": "; ".join(prompts[:4]),
        "comment": f"{manifest}; guidance scale {plain(low)} to {plain(high)}, "
        f"{len(sweep.scales)} frames; seeds {', '.join(map(str, seeds[:32]))}",
    }
