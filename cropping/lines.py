"""Thin lines that go across a picture, whatever else is in it."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

SIGMA = 1.3  # px: lines up to about three times as thick are found
FAINTEST = 0.01  # curvature of a line, in brightness 0..1
AROUND = 25  # px: a point counts by what it is among the points this near
TURNS = 240  # directions that are told apart, over half a turn
SPREAD = 5  # directions, to either side, that a point votes for
BIN = 2.0  # px
LEAST_VOTES = 0.05  # of a line's way across


@dataclass(frozen=True)
class Line:
    """The points p with p . (cos `turn`, sin `turn`) = `rho`, inside the picture.

    `votes` is about the share of its way on which there is a thin line; `ends` are its first and
    last point, float64 [2, 2] (x, y).
    """

    votes: float
    turn: float
    rho: float
    ends: np.ndarray


def lines_across(grey: np.ndarray, count: int) -> list[Line]:
    """At most `count` lines of a picture, float32 [h, w], those with the most votes first.

    A Hough transform in which every point of a thin line votes for its own direction alone, and
    the less the more it is one of many.
    """
    height, width = grey.shape
    votes, middle = _votes(*_line_points(grey), np.hypot(height, width))
    low, high = _chords(height, width)
    long_enough = high - low > 0.5 * min(height, width)
    share = np.where(long_enough, cv2.blur(votes, (3, 1)) * 3 / np.maximum(high - low, 1), 0)
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


def _line_points(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
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
    x: np.ndarray, y: np.ndarray, across: np.ndarray, weight: np.ndarray, diagonal: float
) -> tuple[np.ndarray, int]:
    """The sums of weights, float32 [TURNS, 2 n], and the column n at which rho is 0."""
    middle = int(np.ceil(diagonal / BIN)) + 2
    votes = np.zeros(TURNS * 2 * middle)
    nearest = np.round(across * TURNS / np.pi).astype(int)
    turns = np.arange(TURNS) * np.pi / TURNS
    cos, sin = np.cos(turns), np.sin(turns)
    for spread in range(-SPREAD, SPREAD + 1):
        k = (nearest + spread) % TURNS
        column = np.floor((x * cos[k] + y * sin[k]) / BIN + middle + 0.5).astype(int)
        votes += np.bincount(k * 2 * middle + column, weight, votes.size)
    return votes.reshape(TURNS, 2 * middle).astype(np.float32), middle


@lru_cache(maxsize=4)
def _chords(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the line of every vote enters and leaves the picture, in px along it: [TURNS, 2 n]."""
    middle = int(np.ceil(np.hypot(height, width) / BIN)) + 2
    turn = (np.arange(TURNS) * np.pi / TURNS)[:, None]
    rho = ((np.arange(2 * middle) - middle) * BIN)[None]
    low, high = np.full((2, TURNS, 2 * middle), -1e9)
    high = -high
    for start, way, last in (
        (rho * np.cos(turn), -np.sin(turn), width - 1),
        (rho * np.sin(turn), np.cos(turn), height - 1),
    ):
        way = np.where(np.abs(way) < 1e-9, 1e-9, way)
        first, second = -start / way, (last - start) / way
        low = np.maximum(low, np.minimum(first, second))
        high = np.minimum(high, np.maximum(first, second))
    return low, high
