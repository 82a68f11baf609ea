"""Creases: thin lines across the page that what is drawn shines through."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from cropping.judge import Judge, read_judge
from cropping.lines import Line, lines_across
from cropping.strips import channels
from cropping.view import Finding, View

# Of the creases of the development set one in fifty is not among them.
LINES = 12
SIDE = 20  # px to either side of a line that are looked at
NEAR = 6  # px that a fold may be beside its line
STEP = 1.5  # px along it
RIDGE = 0.03  # least brightness, 0..1, by which a fold differs from its surroundings
SHORTEST_RUN = 9  # steps: dots in a row are no fold
LEAST_SHARE, LONGEST_LEAD = (
    0.12,
    0.45,
)  # of a line with, and before, its fold: others are not asked
JUDGE = Path(__file__).with_name("creases.json")


@dataclass(frozen=True)
class Fold:
    """What may be a fold: the path it takes, int32 [n, 1, 2] (x, y), and what speaks for it: how it
    covers what is below, how straight it runs, and how it stands out of its neighbourhood
    (`_covering`, `_straightness`, `_ridge`); and what is along it and beside it
    (`cropping.strips.channels`), float32 [steps, channels]."""

    path: np.ndarray
    measures: np.ndarray
    strip: np.ndarray


@dataclass(frozen=True)
class Traces:
    """What there is at each step along a line, [n]: whether a trace of a fold; whether one could be
    seen; its place, in px beside the line; the brightness beside it; by how much it differs."""

    is_fold: np.ndarray
    plain: np.ndarray
    place: np.ndarray
    ground: np.ndarray
    contrast: np.ndarray


def find_crease(view: View) -> Finding:
    """Thin, nearly straight lines right across the picture that what is drawn shines through."""
    found = list(folds(view))
    if not found:
        return None
    measures = np.stack([fold.measures for fold in found])
    odds = _judge().evidence(measures, np.stack([fold.strip for fold in found]))
    if odds.max() <= 0:
        return None
    weights = np.full(view.fine.shape[:2], 255, np.uint8)
    thick = max(5, round(0.011 * max(weights.shape)))
    for fold, odd in zip(found, odds, strict=True):
        if odd > 0:
            cv2.polylines(weights, [fold.path], False, (0,), thick)
    return 1 + float(odds.max()), weights


@cache
def _judge() -> Judge:
    return read_judge(JUDGE)


def folds(view: View) -> Iterator[Fold]:
    """The lines across a picture that have the trace of a fold, and their measures."""
    grey = cv2.cvtColor(view.fine, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    lines = lines_across(grey, LINES)
    for rank, line in enumerate(lines):
        around, places = _beside(view.fine, line)
        light = cv2.transform(around, np.full((1, 3), 1 / 3, np.float32)).reshape(around.shape[:2])
        traces = _traces(light)
        covering = _covering(around, light, traces)
        if covering is None:
            continue
        rows = np.arange(len(light))
        path = places[rows, np.where(traces.is_fold, traces.place, 0) + SIDE]
        ridge, place, height = _ridge(around, light)
        measures = [
            *covering,
            _parallels(line, lines),
            len(light),
            *_straightness(traces),
            *ridge,
            line.votes,
            rank,
        ]
        yield Fold(
            path.round().astype(np.int32)[:, None],
            np.array(measures, float),
            channels(around, place, height),
        )


def _parallels(line: Line, lines: Sequence[Line]) -> int:
    """How many of the others run the same way and are nearly as plain: those of a pattern do."""
    turns = [abs((other.turn - line.turn + np.pi / 2) % np.pi - np.pi / 2) for other in lines]
    plain = [other.votes > 0.6 * line.votes for other in lines]
    return sum(turn < 0.04 and is_so for turn, is_so in zip(turns, plain, strict=True)) - 1


def _beside(picture: np.ndarray, line: Line) -> tuple[np.ndarray, np.ndarray]:
    """The colours along a line and to its sides, float32 [n, 2 SIDE + 1, 3], blurred along it, and
    the places they are from, float32 [n, 2 SIDE + 1, 2] (x, y)."""
    way = line.ends[1] - line.ends[0]
    length = float(np.linalg.norm(way))
    along = way / length
    across = np.array([-along[1], along[0]])
    t = np.arange(2, length - 2, STEP)[:, None, None]
    u = np.arange(-SIDE, SIDE + 1)[None, :, None]
    places = (line.ends[0] + t * along + u * across).astype(np.float32)
    around = cv2.remap(
        picture,
        places[..., 0],
        places[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return cv2.blur(around.astype(np.float32) / 255, (1, 5)), places


def _traces(light: np.ndarray) -> Traces:
    """Where a fold can be seen on a line, from the brightness around it, float32 [n, 2 SIDE + 1].

    Where the two sides differ, an edge of what is drawn hides whatever there is. Elsewhere the
    darkest or lightest place near the line counts, if it differs from the sides.
    """
    first, second = light[:, SIDE - 12 : SIDE - 7], light[:, SIDE + 8 : SIDE + 13]
    left, right = np.median(first, axis=1), np.median(second, axis=1)
    ground = (left + right) / 2
    rough = np.ptp(first, axis=1) + np.ptp(second, axis=1)
    plain = (np.abs(left - right) < 0.08) & (rough < 0.25)
    apart = np.abs(light[:, SIDE - NEAR : SIDE + NEAR + 1] - ground[:, None])
    place = np.argmax(apart - 0.002 * np.abs(np.arange(-NEAR, NEAR + 1)), axis=1)
    contrast = apart[np.arange(len(place)), place]
    run = np.ones((1, SHORTEST_RUN), np.uint8)
    is_fold = (plain & (contrast > RIDGE)).astype(np.uint8)
    is_fold = cv2.morphologyEx(is_fold[None], cv2.MORPH_OPEN, run)[0] > 0
    return Traces(is_fold, plain, place - NEAR, ground, contrast)


def _covering(around: np.ndarray, light: np.ndarray, traces: Traces) -> list[float] | None:
    """What a fold does to what is below it: the share of the way with a fold, of that where one
    could be seen; the share, at one end, that could show one and does not (a fold goes over the
    edge of the page, where a frame or a line of text ends before); how far it covers what is below,
    and how much that varies; its thickness in px; its brightness, and how much that varies; how
    much of its contrast is a colour of its own, that is, neither lighter nor darker nor paler; how
    much the ground varies; its contrast; by how much the two sides differ. None: there is no fold.
    """
    on = np.flatnonzero(traces.is_fold)
    share = len(on) / max(traces.plain.sum(), 1)
    if len(on) < 10 or share < LEAST_SHARE:
        return None
    lead = min(
        _lead(traces.is_fold, traces.plain),
        _lead(traces.is_fold[::-1], traces.plain[::-1]),
    )
    if lead > LONGEST_LEAD:
        return None
    ground, contrast = traces.ground[on], traces.contrast[on]
    colour = around[on, SIDE + traces.place[on]]
    left, right = around[on, SIDE - 12 : SIDE - 7], around[on, SIDE + 8 : SIDE + 13]
    beside = (left.mean(axis=1) + right.mean(axis=1)) / 2
    darker = light[on, SIDE + traces.place[on]] < ground
    cover = contrast / np.maximum(np.where(darker, ground, 1 - ground), 0.05)
    low, middle, high = np.percentile(cover, (20, 50, 80))
    wide = np.abs(light[on, SIDE - 12 : SIDE + 13] - ground[:, None]) > 0.5 * contrast[:, None]
    return [
        share,
        lead,
        middle,
        (high - low) / middle,
        float(np.median(wide.sum(axis=1))),
        float(np.median(colour)),
        min(float(colour.mean(axis=1).std()), 0.15),
        _own_colour(colour, beside),
        float(ground.std()),
        float(np.median(contrast)),
        abs(float(np.median(left) - np.median(right))),
    ]


def _lead(is_fold: np.ndarray, plain: np.ndarray) -> float:
    """The share of a line that could show a fold before the first place that does."""
    return float(plain[: int(np.argmax(is_fold))].sum()) / len(plain)


def _own_colour(colour: np.ndarray, beside: np.ndarray) -> float:
    """The part of a line's mean difference from the ground beside it, both [n, 3], that is no
    change of light or of saturation: paint has a colour of its own, a fold has not."""
    ground = beside - beside.mean(axis=1, keepdims=True)
    line = colour - colour.mean(axis=1, keepdims=True)
    richness = np.linalg.norm(ground, axis=1, keepdims=True)
    hue = ground / np.maximum(richness, 0.03)
    paler = np.clip((line * hue).sum(axis=1, keepdims=True), 0, richness) * hue
    size = float(np.linalg.norm(colour - beside, axis=1).mean())
    return float(np.linalg.norm((line - paler).mean(axis=0))) / max(size, 1e-6)


def _straightness(traces: Traces) -> list[float]:
    """How a fold runs: how it wanders from step to step, in px; how far it bends, in px; its
    longest piece in one, as a share of the way. What is ruled is straight to a tenth of a px."""
    on = np.flatnonzero(traces.is_fold)
    place = traces.place[on].astype(float)
    away = place - np.polyval(np.polyfit(on, place, 1), on)
    smooth = np.convolve(away, np.ones(15) / 15, "valid") if len(away) > 15 else away
    ends = np.flatnonzero(np.diff(np.concatenate([[0], traces.is_fold, [0]])))
    longest = (ends[1::2] - ends[::2]).max() / len(traces.is_fold)
    return [float(np.abs(np.diff(place)).mean()), float(smooth.std()), float(longest)]


CLIP = 0.1  # most that one step counts: no part of what is drawn outweighs the rest of the way
PARALLELS = (-13, 13)  # px beside the line: what a line finds where there is no fold
TOGETHER = 21  # steps that are followed together


def _ridge(around: np.ndarray, light: np.ndarray) -> tuple[list[float], np.ndarray, np.ndarray]:
    """How a ridge or valley stands out of its neighbourhood, followed all the way: the most that is
    found beside it in the same manner; the share of the way, at one end, without it; its longest
    gap; how far it is from a straight line (log px); how it moves from step to step (log px); how
    far it bows (log px); by how much it changes the hue; how wide it is (log px). And where it is,
    as columns, and how high it is there, both [n]."""
    padded = np.pad(light, ((0, 0), (6, 6)), mode="edge")
    best, followed = -1.0, None
    for far in (3, 6):
        sides = (padded[:, 6 - far : -6 - far] + padded[:, 6 + far : padded.shape[1] + far - 6]) / 2
        response = np.clip(light - sides, -CLIP, CLIP)
        for signed in (response, -response):
            place, height = _follow(signed, 0)
            mean = float(signed[np.arange(len(place)), place.round().astype(int)].mean())
            if mean > best:
                best, followed = mean, (far, signed, place, height)
    assert followed is not None
    far, signed, place, height = followed
    rows, count = np.arange(len(place)), len(place)
    others = []
    for beside in PARALLELS:
        other, _ = _follow(signed, beside)
        others.append(float(signed[rows, other.round().astype(int)].mean()))
    shown = height > 0.015
    on = np.flatnonzero(shown) if shown.sum() >= 20 else np.sort(np.argsort(-height)[:20])
    edges = np.flatnonzero(np.diff(np.concatenate([[0], ~shown, [0]])))
    gaps = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    lead = min((b - a for a, b in gaps if a == 0), default=0)
    trail = min((b - a for a, b in gaps if b == count), default=0)
    inner = max((b - a for a, b in gaps if a > 0 and b < count), default=0)
    columns = place[on].round().astype(int)
    colour = around[on, columns]
    sides = [around[on, np.clip(columns + way, 0, 2 * SIDE)] for way in (-far, far)]
    hue = np.median(np.log((colour + 0.05) / ((sides[0] + sides[1]) / 2 + 0.05)), axis=0)
    measures = [
        max(others),
        min(lead, trail) / count,
        inner / count,
        *_wandering(on, place[on], count),
        float(np.ptp(hue)),
        _width(light[on], columns, far),
    ]
    return measures, place, height


def _follow(signed: np.ndarray, beside: int) -> tuple[np.ndarray, np.ndarray]:
    """Where, near a place beside the line, the response is highest along the way, as columns to a
    fraction of a px, and how high it is there, smoothed along the way; both [n]."""
    low = SIDE + beside - NEAR
    smooth = cv2.blur(np.ascontiguousarray(signed[:, low : low + 2 * NEAR + 1]), (1, TOGETHER))
    rows, most = np.arange(len(smooth)), smooth.argmax(axis=1)
    inner = np.clip(most, 1, 2 * NEAR - 1)
    before, here, after = (smooth[rows, inner + step] for step in (-1, 0, 1))
    curved = before - 2 * here + after
    shift = np.where(curved < -1e-6, 0.5 * (before - after) / np.minimum(curved, -1e-6), 0)
    shift = np.where(most == inner, np.clip(shift, -0.49, 0.49), 0)
    return low + most + shift, smooth[rows, most]


def _wandering(on: np.ndarray, place: np.ndarray, count: int) -> list[float]:
    """How far places [m] at steps `on` are from a straight line, how they move from step to step,
    and how far they bow over `count` steps; logarithms of px."""
    away = place - np.polyval(np.polyfit(on, place, 1), on)
    for _ in range(2):  # without what strayed
        kept = np.abs(away) < 2.5 * np.abs(away).mean() + 0.3
        away = place - np.polyval(np.polyfit(on[kept], place[kept], 1), on)
    kept = np.abs(away) < 4
    if kept.sum() < 10:
        return [np.log(4.0), np.log(4.0), np.log(6.1)]
    bow = abs(float(np.polyfit(on[kept], away[kept], 2)[0])) * count**2 / 4
    bend = float(np.sqrt((away[kept] ** 2).mean()))
    moves = float(np.abs(np.diff(place)).mean())
    return [np.log(bend + 0.05), np.log(moves + 0.02), np.log(min(bow, 6) + 0.1)]


def _width(light: np.ndarray, columns: np.ndarray, far: int) -> float:
    """The width of the median profile at half its height, log px."""
    rows, last = np.arange(len(light)), light.shape[1] - 1
    sides = [light[rows, np.clip(columns + way, 0, last)] for way in (-far, far)]
    ground = (sides[0] + sides[1]) / 2
    steps = np.clip(columns[:, None] + np.arange(-8, 9)[None], 0, last)
    profile = np.median(np.take_along_axis(light, steps, axis=1) - ground[:, None], axis=0)
    peak = profile[8] if abs(profile[8]) > 1e-3 else 1e-3
    return float(np.log((profile / peak > 0.5).sum() + 1))
