"""What a window does to the subjects of a picture, and what a perfect one would do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scene import Rectangle, Sample, Subject

WHOLE = 0.95  # share of a box that has to be kept for it to count as whole
BODY = 0.5  # share of a subject's box from which on its body is kept
HEAD = 0.9  # share of a head below which it is cut


@dataclass(frozen=True)
class Score:
    """One window (or set of windows) on one picture."""

    subjects_whole: bool
    heads_whole: bool
    headless: bool
    """Some subject has half of its box in the window and a head that is cut."""


def kept(box: Rectangle, window: Sequence[float]) -> float:
    """Share of a box's area inside a window."""
    width = min(box[2], window[2]) - max(box[0], window[0])
    height = min(box[3], window[3]) - max(box[1], window[1])
    area = (box[2] - box[0]) * (box[3] - box[1])
    return max(width, 0) * max(height, 0) / area


def score(subjects: Sequence[Subject], window: Sequence[float]) -> Score:
    """What one window does."""
    headed = [one for one in subjects if one.head]
    return Score(
        all(kept(one.box, window) >= WHOLE for one in subjects),
        all(kept(one.head, window) >= WHOLE for one in headed if one.head),
        any(
            kept(one.box, window) >= BODY and kept(one.head, window) < HEAD
            for one in headed
            if one.head
        ),
    )


@dataclass(frozen=True)
class Best:
    """What the largest square can do at its best place in a picture."""

    window: Rectangle
    score: Score


def best_of(sample: Sample, steps: int = 400) -> Best:
    """The oracle: of all places of the largest square that which keeps most, by the order of the
    table's columns."""
    width, height = sample.image.size
    side = min(width, height)

    def at(offset: float) -> Rectangle:
        if width > height:
            return offset, 0.0, offset + side, float(side)
        return 0.0, offset, float(side), offset + side

    def rank(window: Rectangle):
        found = score(sample.subjects, window)
        mass = sum(kept(one.box, window) for one in sample.subjects)
        return found.subjects_whole, found.heads_whole, not found.headless, mass

    windows = [at(offset) for offset in np.linspace(0, max(width, height) - side, steps + 1)]
    window = max(windows, key=rank)
    return Best(window, score(sample.subjects, window))


@dataclass(frozen=True)
class Row:
    """A line of the table; shares in percent."""

    subjects_whole: float
    """ok95: of the pictures whose subjects all fit into one square."""
    heads_whole: float
    """Of the pictures whose heads all fit into one square."""
    headless: float
    """Of all pictures."""
    anyway: float
    """Every subject at least 95% kept, of all pictures: what padding is for."""


def row(
    samples: Sequence[Sample],
    bests: Sequence[Best],
    windows: Sequence[Sequence[float]],
) -> Row:
    """A method, by its window in every picture."""
    scores = [score(s.subjects, window) for s, window in zip(samples, windows, strict=True)]
    fit = [s.subjects_whole for s, b in zip(scores, bests, strict=True) if b.score.subjects_whole]
    heads = [
        s.heads_whole
        for s, b, sample in zip(scores, bests, samples, strict=True)
        if b.score.heads_whole and any(one.head for one in sample.subjects)
    ]
    return Row(
        _percent(fit),
        _percent(heads),
        _percent([s.headless for s in scores]),
        _percent([s.subjects_whole for s in scores]),
    )


def _percent(values: Sequence[bool]) -> float:
    return 100 * float(np.mean(values)) if values else float("nan")


def tiles_whole(
    samples: Sequence[Sample], method: Callable[[Sample], Sequence[Sequence[float]]]
) -> tuple[float, float]:
    """Percentage of subjects that fit into a square and are whole in some tile; tiles a picture."""
    whole, count = [], 0
    for sample in samples:
        tiles = method(sample)
        count += len(tiles)
        side = min(sample.image.size)
        for one in sample.subjects:
            if max(one.box[2] - one.box[0], one.box[3] - one.box[1]) * WHOLE <= side:
                whole.append(any(kept(one.box, tile) >= WHOLE for tile in tiles))
    return _percent(whole), count / len(samples)
