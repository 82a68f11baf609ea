"""Thin lines that go across a picture, whatever else is in it."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np

SIGMA = 1.3  # px: lines up to about three times as thick are found
FAINTEST = 0.01  # curvature of a line, in brightness 0..1
AROUND = 25  # px: a point counts by what it is among the points this near
TURNS = 240  # directions that are told apart, over half a turn
SPREAD = 4  # directions, to either side, that a point votes for
BIN = 2.0  # px
LEAST_VOTES = 0.02  # of a line's way across
PIECES = 4  # of a line's way
MOST = 0.5  # that the votes of a piece count, of its length: a short drawn line is one piece


@dataclass(frozen=True)
class Line:
    """The points p with p . (cos `turn`, sin `turn`) = `rho`, inside the picture.

    `votes` is about the share of its way on which there is a thin line, at most `MOST`; `ends` are
    its first and last point, float64 [2, 2] (x, y).
    """

    votes: float
    turn: float
    rho: float
    ends: np.ndarray


def lines_across(grey: np.ndarray, count: int) -> list[Line]:
    """At most `count` lines of a picture, float32 [h, w], those with the most votes first.

    A Hough transform in which every point of a thin line votes for its own direction alone, and
    the less the more it is one of many. Each piece of the way across has its own votes.
    """
    height, width = grey.shape
    low, high, most = _chords(height, width)
    middle = low.shape[1] // 2
    votes = _votes(*_line_points(grey), height, width)
    for piece, limit in zip(votes, most, strict=True):
        np.minimum(cv2.blur(piece, (3, 1)) * 3, limit, out=piece)
    long_enough = high - low > 0.5 * min(height, width)
    share = np.where(long_enough, votes.sum(axis=0) / np.maximum(high - low, 1), 0)
    found: list[Line] = []
    reach = int(0.025 * max(height, width) / BIN) + 1
    while len(found) < count:
        k, column = np.unravel_index(int(np.argmax(share)), share.shape)
        if share[k, column] <= LEAST_VOTES:
            break
        turn, rho = k * np.pi / TURNS, (column - middle) * BIN
        normal = np.array([np.cos(turn), np.sin(turn)])
        along = np.array([-normal[1], normal[0]])
        ends = np.stack([rho * normal + u[k, column] * along for u in (low, high)])
        found.append(Line(float(share[k, column]), float(turn), float(rho), ends))
        for row in range(k - 6, k + 7):  # beyond half a turn, rho changes its sign
            place = column if 0 <= row < TURNS else 2 * middle - column
            share[row % TURNS, max(place - reach, 0) : place + reach + 1] = 0
    return found


def _line_points(
    grey: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(x, y, direction across, weight) of the middles of thin lines (Steger 1998, "An Unbiased
    Detector of Curvilinear Structures", section 3): the second derivative is large one way and
    small the other, and the first one passes zero within the pixel."""
    light = cv2.GaussianBlur(grey, (0, 0), SIGMA)
    xx, yy, xy = (cv2.Sobel(light, -1, *way, scale=0.25) for way in ((2, 0), (0, 2), (1, 1)))
    both, root = np.abs(xx + yy), cv2.magnitude(xx - yy, 2 * xy)
    most, least = (both + root) * (SIGMA**2 / 2), np.abs(both - root) * (SIGMA**2 / 2)
    around = np.sqrt(np.maximum(cv2.blur(most * most, (AROUND, AROUND)), 1e-12))
    y, x = np.nonzero((most > FAINTEST) & (least < 0.5 * most))
    is_light = (xx + yy)[y, x] < 0
    across = 0.5 * np.arctan2(2 * xy[y, x], (xx - yy)[y, x]) + np.where(is_light, np.pi / 2, 0)
    dx, dy = (cv2.Sobel(light, -1, *way, scale=0.125)[y, x] for way in ((1, 0), (0, 1)))
    slope = np.abs(dx * np.cos(across) + dy * np.sin(across))
    is_middle = slope * SIGMA**2 < 0.7 * most[y, x]
    weight = np.minimum(1, most[y, x] / around[y, x])
    return x[is_middle], y[is_middle], across[is_middle], weight[is_middle]


def _votes(
    x: np.ndarray,
    y: np.ndarray,
    across: np.ndarray,
    weight: np.ndarray,
    height: int,
    width: int,
) -> np.ndarray:
    """The sums of weights in every piece of the way, float32 [PIECES, TURNS, 2 n]; rho is 0 at
    column n."""
    middle = _middle(height, width)
    turns = np.arange(TURNS) * np.pi / TURNS
    cos, sin = np.cos(turns).astype(np.float32), np.sin(turns).astype(np.float32)
    spread = np.arange(-SPREAD, SPREAD + 1)[:, None]
    k = (np.round(across * TURNS / np.pi).astype(np.int32) + spread) % TURNS
    c, s = cos[k], sin[k]
    column = ((x * c + y * s) / BIN + (middle + 0.5)).astype(np.int32)
    start, long = _extent(height, width)
    piece = ((y * c - x * s - start[k]) * (PIECES / long)[k]).astype(np.int32)
    place = (np.clip(piece, 0, PIECES - 1) * TURNS + k) * 2 * middle + column
    weights = np.broadcast_to(weight, place.shape).ravel()
    votes = np.bincount(place.ravel(), weights, PIECES * TURNS * 2 * middle)
    return votes.reshape(PIECES, TURNS, 2 * middle).astype(np.float32)


def _middle(height: int, width: int) -> int:
    """The column at which rho is 0."""
    return int(np.ceil(np.hypot(height, width) / BIN)) + 2


@lru_cache(maxsize=4)
def _extent(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Where, along the lines of each turn, the picture begins, and how long it is, px: [TURNS]."""
    turn = np.arange(TURNS) * np.pi / TURNS
    start = -width * np.sin(turn) + height * np.minimum(np.cos(turn), 0)
    long = width * np.sin(turn) + height * np.abs(np.cos(turn))
    return start.astype(np.float32), long.astype(np.float32)


@lru_cache(maxsize=4)
def _chords(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the line of every vote enters and leaves the picture, in px along it, [TURNS, 2 n], and
    the most that the votes of each of its pieces count, [PIECES, TURNS, 2 n]."""
    middle = _middle(height, width)
    turn = (np.arange(TURNS) * np.pi / TURNS)[:, None]
    rho = ((np.arange(2 * middle) - middle) * BIN)[None]
    low, high = np.full((2, TURNS, 2 * middle), -1e9, np.float32)
    high = -high
    for start, way, last in (
        (rho * np.cos(turn), -np.sin(turn), width - 1),
        (rho * np.sin(turn), np.cos(turn), height - 1),
    ):
        way = np.where(np.abs(way) < 1e-9, 1e-9, way)
        first, second = -start / way, (last - start) / way
        low = np.maximum(low, np.minimum(first, second))
        high = np.minimum(high, np.maximum(first, second))
    start, long = (one[:, None] for one in _extent(height, width))
    ends = [np.clip(start + k / PIECES * long, low, high) for k in range(PIECES + 1)]
    most = [MOST * (end - begin) for begin, end in pairwise(ends)]
    return low, high, np.array(most, np.float32)
