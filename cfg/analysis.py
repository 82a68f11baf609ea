"""What the pictures of a sweep show: measures of each, distances of neighbours, and over seeds.

One line of a sweep says what happens at one seed. What several seeds of the same prompt share is a
`Group`, with bootstrap intervals over the seeds; the two are never mixed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from cfg.cells import Frame, Line, Sweep
from cfg.frames import read_frame
from cfg.judge import Judge
from cfg.showing import Analysis
from cfg.transitions import (
    SharedTransition,
    Transition,
    evenly,
    find_transitions,
    log_speed,
    settled_at,
    shared_transitions,
)
from metrics import perceptual
from metrics.appearance import appearance, root_mean_square
from metrics.statistics import bootstrap_interval

APPEARANCE = ("saturation", "contrast", "clipped", "sharpness")
JUDGED_AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured of a line's frames; arrays over its rendered scales, or over the gaps
    between them."""

    line: Line
    frames: tuple[Frame, ...]
    scales: np.ndarray
    """[n], rising."""
    pixel: np.ndarray
    """[n - 1] root mean square difference of neighbours, as a share of the full range."""
    perceptual: np.ndarray
    """[n - 1] just noticeable differences between neighbours (metrics/perceptual.py)."""
    features: np.ndarray | None
    """[n - 1] cosine distance of neighbours in the features of the judge."""
    to_last: np.ndarray
    """[n] just noticeable differences to the picture of the largest scale."""
    appearance: dict[str, np.ndarray]
    """[n] each: saturation, contrast, clipped, sharpness."""
    match: np.ndarray | None
    """[n] how well the pictures fit the prompt (cfg/judge.py)."""
    recognised: np.ndarray | None
    """[n] likewise, by storybook's classifier."""
    vectors: np.ndarray | None
    """[n, d] the judge's features, unit vectors."""
    latent: np.ndarray | None = None
    """[n - 1] root mean square difference of neighbours in the latents, if they were asked for."""


@dataclass(frozen=True)
class Group:
    """Lines that differ in their seed alone, and what they say together."""

    lines: tuple[Measured, ...]
    own: tuple[tuple[Transition, ...], ...]
    """The transitions of each line."""
    shared: tuple[SharedTransition, ...]
    """Those of the mean over the seeds; none are claimed of fewer than three seeds."""
    settled: tuple[float | None, ...]
    """For each line, from which scale on its pictures no longer change; None: they never settle."""
    step: float
    """Of the even scales on which the curves were compared."""

    @property
    def line(self) -> Line:
        """The first seed's line, for what the others have in common with it."""
        return self.lines[0].line


def measure(sweep: Sweep, line: Line, judge: Judge) -> Measured:
    """Measure the frames of a line, reading one after another and keeping none."""
    frames = tuple(sorted(sweep.of(line), key=lambda frame: frame.scale))
    last = perceptual.features(read_frame(frames[-1]))
    pixel, visible, to_last = [], [], []
    looks: list[tuple[float, ...]] = []
    judged = []
    waiting: list[np.ndarray] = []
    before: tuple[np.ndarray, tuple[np.ndarray, ...]] | None = None
    for frame in frames:
        picture = read_frame(frame)
        now = perceptual.features(picture)
        if before:
            pixel.append(root_mean_square(before[0], picture))
            visible.append(perceptual.between(before[1], now))
        to_last.append(perceptual.between(now, last))
        looks.append(tuple(asdict(appearance(picture))[name] for name in APPEARANCE))
        before = picture, now
        waiting.append(picture)
        if len(waiting) == JUDGED_AT_ONCE or frame is frames[-1]:
            judged.append(judge.look(waiting, line.prompt))
            waiting = []
    match, recognised, vectors, latents = (
        _joined([getattr(one, name) for one in judged])
        for name in ("match", "recognised", "vectors", "latents")
    )
    moved = None if latents is None else np.sqrt(((latents[1:] - latents[:-1]) ** 2).mean(axis=1))
    apart = None if vectors is None else 1 - (vectors[1:] * vectors[:-1]).sum(axis=1)
    return Measured(
        line, frames, np.array([float(frame.scale) for frame in frames]),
        np.array(pixel), np.array(visible), apart, np.array(to_last),
        dict(zip(APPEARANCE, np.array(looks).T, strict=True)), match, recognised, vectors, moved,
    )  # fmt: skip


def _joined(parts: Sequence[np.ndarray | None]) -> np.ndarray | None:
    there = [part for part in parts if part is not None]
    return np.concatenate(there) if there else None


def metrics_of(measured: Measured, number: int) -> Iterator[dict[str, Any]]:
    """A line of metrics.jsonl for each frame; distances are to the rendered scale before it."""
    for k, frame in enumerate(measured.frames):
        gaps = {
            "distance": measured.pixel,
            "distance_seen": measured.perceptual,
            "distance_features": measured.features,
            "distance_latents": measured.latent,
        }
        judged = {"match": measured.match, "recognised": measured.recognised}
        yield {
            "line": number,
            "index": frame.index,
            "guidance_scale": float(frame.scale),
            **{
                name: float(values[k - 1]) if k and values is not None else None
                for name, values in gaps.items()
            },
            "to_last": float(measured.to_last[k]),
            **{name: float(values[k]) for name, values in measured.appearance.items()},
            **{
                name: float(values[k]) for name, values in judged.items() if values is not None
            },
        }  # fmt: skip


def grouped(measured: Sequence[Measured], config: Analysis) -> tuple[Group, ...]:
    """The lines in groups that differ in nothing but the seed, each with its transitions."""
    groups: dict[Line, list[Measured]] = {}
    for one in measured:
        groups.setdefault(replace(one.line, seed=0), []).append(one)
    return tuple(_group(tuple(lines), config) for lines in groups.values())


def _group(lines: tuple[Measured, ...], config: Analysis) -> Group:
    gaps = [np.diff(one.scales) for one in lines]
    step = float(min((gap.min() for gap in gaps if len(gap)), default=1.0))
    settled = tuple(settled_at(one.scales, one.to_last, config.settled) for one in lines)
    if any(len(gap) == 0 for gap in gaps):
        return Group(lines, ((),) * len(lines), (), settled, step)
    middles, curves = speeds(lines, step)
    own = tuple(find_transitions(middles, curve, config.widest) for curve in curves)
    return Group(lines, own, shared_transitions(middles, curves, config.widest), settled, step)


def speeds(lines: Sequence[Measured], step: float) -> tuple[np.ndarray, np.ndarray]:
    """Log speeds [lines, gaps] of several lines over the even middles [gaps] of their scales."""
    even = [evenly(one.scales, one.perceptual, step) for one in lines]
    return even[0][0], log_speed(np.stack([distances for _, distances in even]))


def settled_over_seeds(group: Group) -> tuple[float, tuple[float, float]] | None:
    """The mean scale at which the lines settle, and its 95% bootstrap interval over the seeds; None
    where that is not known, because a line never settles or there are fewer than three."""
    known = [scale for scale in group.settled if scale is not None]
    if len(known) < len(group.settled) or len(known) < 3:
        return None
    return float(np.mean(known)), bootstrap_interval(known)


def common_scales(lines: Sequence[Measured]) -> np.ndarray:
    """The scales that every one of the lines has."""
    common = set(lines[0].scales.tolist())
    for one in lines[1:]:
        common &= set(one.scales.tolist())
    return np.array(sorted(common))


def mean_over_seeds(group: Group, name: str) -> np.ndarray | None:
    """[scales, 3]: a quantity's mean over the seeds at the scales that all have, and the 95%
    bootstrap interval of the mean. None where it was not measured.

    `name` is match, recognised, or one of APPEARANCE.
    """
    rows = []
    for one in group.lines:
        values = one.appearance.get(name)
        values = getattr(one, name) if values is None else values
        if values is None:
            return None
        rows.append(values[np.isin(one.scales, common_scales(group.lines))])
    columns = np.stack(rows).T
    return np.array([(column.mean(), *bootstrap_interval(column)) for column in columns])


def diversity_over_seeds(group: Group, draws: int = 1000) -> np.ndarray | None:
    """[scales, 3]: the mean cosine distance of all pairs of seeds, with its 95% bootstrap interval
    over the seeds. None where there are fewer than three seeds or no features.

    A resampling may draw a seed twice; the pair of a seed with itself is left out.
    """
    if len(group.lines) < 3 or any(one.vectors is None for one in group.lines):
        return None
    common = common_scales(group.lines)
    vectors = np.stack(
        [one.vectors[np.isin(one.scales, common)] for one in group.lines if one.vectors is not None]
    ).transpose(1, 0, 2)  # fmt: skip
    count = len(group.lines)
    chosen = np.random.default_rng(0).integers(0, count, (draws, count))
    weights = np.stack([np.bincount(row, minlength=count) for row in chosen]).astype(float)
    different = 1 - np.eye(count)
    pairs = np.einsum("di,ij,dj->d", weights, different, weights)
    rows = []
    for some in vectors:
        apart = (1 - some @ some.T) * different
        resampled = np.einsum("di,ij,dj->d", weights, apart, weights) / np.maximum(pairs, 1)
        low, high = np.quantile(resampled[pairs > 0], [0.025, 0.975])
        rows.append((apart.sum() / (count * (count - 1)), low, high))
    return np.array(rows)
