"""Creases: thin lines across the page that what is drawn shines through."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from cropping.lines import Line, lines_across
from cropping.view import Finding, View, log_odds

LINES = (
    10  # looked at: of the creases of the development set one in fifty was not among the first 8
)
SIDE = 12  # px to either side of a line that are looked at
STEP = 1.5  # px along it
RIDGE = 0.03  # least brightness, 0..1, by which a fold differs from its surroundings
SHORTEST_RUN = 9  # steps: dots in a row are no fold
# Of `Fold.measures`, fitted by benchmarks/cropping/scan_fit.py; the last one alone.
WEIGHTS = (0.9314, -35.9, -9.168, -1.152, -0.2068, 4.532, 15.7, -29.77, -3.186, -0.5416, 2.35)


@dataclass(frozen=True)
class Fold:
    """What may be a fold: the path it takes, int32 [n, 1, 2] (x, y), and what speaks for it.

    `measures`: the share of the way with a fold, of that where one could be seen; the share, at one
    end, that could show one and does not (a fold goes over the edge of the page, where a frame or a
    line of text ends before); how far it covers what is below, and how much that varies; its
    thickness in px; its brightness, and how much that varies; how much of its contrast is a colour
    of its own, that is, neither lighter nor darker nor paler; how it wanders, in px; how many
    lines are parallel to it.
    """

    path: np.ndarray
    measures: np.ndarray


def find_crease(view: View) -> Finding:
    """Thin, nearly straight lines right across the picture that what is drawn shines through."""
    found = [(log_odds(fold.measures, WEIGHTS), fold) for fold in folds(view)]
    found = [(odds, fold) for odds, fold in found if odds > 0]
    if not found:
        return None
    weights = np.full(view.fine.shape[:2], 255, np.uint8)
    thick = max(5, round(0.011 * max(weights.shape)))
    for _, fold in found:
        cv2.polylines(weights, [fold.path], False, (0,), thick)
    return 1 + max(odds for odds, _ in found), weights


def folds(view: View) -> Iterator[Fold]:
    """The lines across a picture, and their measures."""
    grey = cv2.cvtColor(view.fine, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    lines = lines_across(grey, LINES)
    for line in lines:
        fold = _fold(view.fine, line, _parallels(line, lines))
        if fold:
            yield fold


def _parallels(line: Line, lines: Sequence[Line]) -> int:
    """How many of the others run the same way and are nearly as plain: those of a pattern do."""
    turns = [abs((other.turn - line.turn + np.pi / 2) % np.pi - np.pi / 2) for other in lines]
    plain = [other.votes > 0.6 * line.votes for other in lines]
    return sum(turn < 0.04 and is_so for turn, is_so in zip(turns, plain, strict=True)) - 1


def _fold(picture: np.ndarray, line: Line, parallels: int) -> Fold | None:
    """The fold on a line, if there is a trace of one.

    Around every point of the line, brightness is taken up to 12 px to both sides. Where the two
    sides differ, an edge of what is drawn hides whatever there is. Elsewhere the darkest or
    lightest place near the line counts, if it differs from the sides.
    """
    around, places = _beside(picture, line)
    grey = cv2.transform(around, np.full((1, 3), 1 / 3, np.float32)).reshape(around.shape[:2])
    left, right = np.median(grey[:, :5], axis=1), np.median(grey[:, 20:], axis=1)
    ground = (left + right) / 2
    rough = np.ptp(grey[:, :5], axis=1) + np.ptp(grey[:, 20:], axis=1)
    plain = (np.abs(left - right) < 0.08) & (rough < 0.25)
    apart = grey[:, 6:19] - ground[:, None]
    nearer = np.abs(apart) - 0.002 * np.abs(np.arange(-6, 7))
    place = np.argmax(nearer, axis=1)
    rows = np.arange(len(place))
    contrast = np.abs(apart[rows, place])
    run = np.ones((1, SHORTEST_RUN), np.uint8)
    is_fold = (plain & (contrast > RIDGE)).astype(np.uint8)
    is_fold = cv2.morphologyEx(is_fold[None], cv2.MORPH_OPEN, run)[0] > 0
    if is_fold.sum() < 10:
        return None
    path = places[rows, np.where(is_fold, place + 6, SIDE)]
    on = rows[is_fold]
    colour = around[on, place[on] + 6]
    beside = (around[on, :5].mean(axis=1) + around[on, 20:].mean(axis=1)) / 2
    darker = apart[on, place[on]] < 0
    cover = contrast[on] / np.maximum(np.where(darker, ground[on], 1 - ground[on]), 0.05)
    low, middle, high = np.percentile(cover, (20, 50, 80))
    thick = (np.abs(grey[on] - ground[on, None]) > 0.5 * contrast[on, None]).sum(axis=1)
    measures = [
        is_fold.sum() / max(plain.sum(), 1),
        min(_lead(is_fold, plain), _lead(is_fold[::-1], plain[::-1])),
        middle,
        (high - low) / middle,
        np.median(thick),
        float(np.median(colour)),
        min(float(colour.mean(axis=1).std()), 0.15),
        _own_colour(colour, beside),
        np.abs(np.diff(place[on])).mean(),
        parallels,
    ]
    return Fold(path.round().astype(np.int32)[:, None], np.array(measures, float))


def _beside(picture: np.ndarray, line: Line) -> tuple[np.ndarray, np.ndarray]:
    """The colours along a line and to its sides, float32 [n, 25, 3], blurred along it, and the
    places they are from, float32 [n, 25, 2] (x, y)."""
    way = line.ends[1] - line.ends[0]
    length = float(np.linalg.norm(way))
    along = way / length
    across = np.array([-along[1], along[0]])
    t = np.arange(2, length - 2, STEP)[:, None, None]
    u = np.arange(-SIDE, SIDE + 1)[None, :, None]
    places = (line.ends[0] + t * along + u * across).astype(np.float32)
    around = cv2.remap(
        picture, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return cv2.blur(around.astype(np.float32) / 255, (1, 5)), places


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
