"""Rectangles: where the window goes.

The largest window of a given shape touches two opposite sides of the picture and can move along one
way alone. So the search is one-dimensional: what matters is summed across that way into a profile,
and every offset of the window is scored at once from the profile's cumulative sum.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from cropping.subject import saliency

# Weights against the share of the saliency kept, which is 1 where nothing is lost.
EDGE_WEIGHT = 0.12  # for cutting through something: `ridge` where the window ends
UPPER_WEIGHT = 0.3  # the same for its upper edge, above which are heads
CENTRE_WEIGHT = 0.05  # for being off-centre: 0 in the middle, 1/2 at either end
TOP_WEIGHT = 0.6  # in portrait pictures, for being low: 1 at the bottom. Ground is below feet
TOP_FADES = 10  # exponent: a picture much taller than wide has room for more than its subject
AROUND = 0.1  # of the long side: how far what matters lends weight to what matters beside it
HIGHLIGHTS = 4  # exponent of the importance where losses are judged, and emptiness


@dataclass(frozen=True)
class Box:
    """The pixels x0 <= x < x1, y0 <= y < y1, counted from the upper left corner."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def corners(self) -> tuple[int, int, int, int]:
        """(x0, y0, x1, y1), as Pillow and crops.jsonl have it."""
        return self.x0, self.y0, self.x1, self.y1

    @property
    def width(self) -> int:
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        return self.y1 - self.y0

    def inside(self, picture: tuple[int, int]) -> "Box":
        """The part of the box that lies in a picture of this width and height."""
        width, height = picture
        return Box(max(self.x0, 0), max(self.y0, 0), min(self.x1, width), min(self.y1, height))


@dataclass(frozen=True)
class Window:
    """A rectangle chosen in a picture, and why. Where it leaves the picture it is padded."""

    box: Box
    lost_mass: float
    """Share of the picture's highlights (`highlights`) outside the box, 0..1."""
    reason: str
    cuts: tuple[float, float] = (0.0, 0.0)
    """What it cuts through at its upper and lower, or left and right edge: 0, nothing, to 1, what
    is brightest (`ridge`)."""


def fit(
    importance: np.ndarray,
    picture: tuple[int, int],
    aspect: float = 1.0,
    strategy: str = "focal",
) -> Window:
    """The largest window of an aspect in a picture, placed by a strategy.

    Args:
        importance: [h, w], what matters in the picture (`subject.saliency`), at any scale.
        picture: its width and height in px.
        aspect: width / height of the window.
        strategy: a key of `STRATEGIES`.
    """
    size = largest(picture, aspect)
    is_vertical = size[0] == picture[0]
    along = 1 if is_vertical else 0
    lines = gathered(importance) if is_vertical else gathered(importance).T
    length = len(lines) * size[along] / picture[along]
    offset = STRATEGIES[strategy](lines, length, is_vertical)
    upper, lower = cut_through(ridge(lines), np.array([offset, offset + length])).round(4).tolist()
    box = window_at(picture, size, offset * picture[along] / len(lines))
    if size == picture:
        return Window(box, 0.0, "the whole picture, which has this shape")
    lost = 1 - share_inside(importance, picture, box)
    return Window(box, round(min(max(lost, 0.0), 1.0), 4), REASONS[strategy], (upper, lower))


def largest(picture: tuple[int, int], aspect: float) -> tuple[int, int]:
    """Width and height, in px, of the largest window of this aspect in a picture."""
    width, height = picture
    if width <= height * aspect:
        return width, min(max(round(width / aspect), 1), height)
    return min(max(round(height * aspect), 1), width), height


def focal(lines: np.ndarray, length: float, is_vertical: bool) -> float:
    """Keep what matters and cut through little of it."""
    mass, cuts = lines.sum(axis=1), ridge(lines)
    if not is_vertical:
        return best_offset(mass, cuts, length, (EDGE_WEIGHT, EDGE_WEIGHT))
    top_weight = TOP_WEIGHT * (length / len(mass)) ** TOP_FADES
    return best_offset(mass, cuts, length, (UPPER_WEIGHT, EDGE_WEIGHT), top_weight)


def centre(lines: np.ndarray, length: float, is_vertical: bool) -> float:
    """The middle, whatever it cuts."""
    return max(len(lines) - length, 0.0) / 2


# The values of `cropping.strategy`: from what matters, [n, m], n cells along the way that the
# window can move, and its length there, in cells, to where it begins. A further one is a function
# here, its reason, and its name in config.py.
STRATEGIES: dict[str, Callable[[np.ndarray, float, bool], float]] = {
    "focal": focal,
    "centre": centre,
}
REASONS = {
    "focal": "the largest window around what matters",
    "centre": "the largest window in the middle",
}


def best_square(image: Image.Image, size: int) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1), in source pixels, of the largest square that keeps what matters in an RGB
    picture. `size`, the side it will be drawn at, has a say only in how often it is enlarged."""
    return fit(saliency(image), image.size).box.corners


def best_offset(
    mass: np.ndarray,
    cuts: np.ndarray,
    length: float,
    edge_weights: tuple[float, float],
    top_weight: float = 0.0,
) -> float:
    """Where a window of `length` begins on the profile `mass` [n], in cells: 0 <= it <= n - length.

    Maximises the share of the mass inside, less the edge weights times what the window's first and
    last edge cut through by `cuts` [n], less `CENTRE_WEIGHT` times the distance from the middle,
    less `top_weight` times the position. Offsets are tried in steps of at most a quarter cell.
    """
    slack = len(mass) - length
    if slack <= 1e-9:
        return 0.0
    offsets = np.linspace(0, slack, 2 * int(np.ceil(2 * slack)) + 1)  # odd: the middle is one
    position = offsets / slack
    score = kept_mass(mass, offsets, length)
    score -= edge_weights[0] * cut_through(cuts, offsets)
    score -= edge_weights[1] * cut_through(cuts, offsets + length)
    score -= CENTRE_WEIGHT * np.abs(position - 0.5) + top_weight * position
    return float(offsets[np.argmax(score)])


def kept_mass(mass: np.ndarray, offsets: np.ndarray, length: float) -> np.ndarray:
    """Share of the mass in [offset, offset + length] for every offset, linear within a cell."""
    cumulative = np.concatenate([[0.0], np.cumsum(mass, dtype=np.float64)])
    cells = np.arange(len(cumulative))
    inside = np.interp(offsets + length, cells, cumulative) - np.interp(offsets, cells, cumulative)
    return inside / max(cumulative[-1], 1e-12)


def cut_through(cuts: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The profile `cuts` [n] at places on it. A place on the picture's own edge cuts nothing."""
    is_cut = (places > 1e-9) & (places < len(cuts) - 1e-9)
    return np.where(is_cut, np.interp(places, np.arange(len(cuts)) + 0.5, cuts), 0.0)


def ridge(lines: np.ndarray) -> np.ndarray:
    """How bad it is to cut along each line of what matters, [n, m] -> [n], 0..1. The fourth power
    stands between a line's sum, where a thin neck is nothing, and its highest place, where a speck
    is everything; the root of it all, because an ear cut off is nearly as bad as half a head."""
    height = lines.astype(np.float64) / max(float(lines.max()), 1e-12)
    cuts = (height**4).mean(axis=1) ** (1 / 8)
    return cuts / max(float(cuts.max()), 1e-12)


def gathered(importance: np.ndarray) -> np.ndarray:
    """What matters, [h, w], times how much of it there is around: flowers and stones that lie about
    matter as much as a part of a subject of their size, but each by itself."""
    around = cv2.GaussianBlur(importance, (0, 0), AROUND * max(importance.shape))
    return importance * (around / max(float(around.max()), 1e-12))


def highlights(importance: np.ndarray) -> np.ndarray:
    """What matters most, [h, w] with sum 1. A map that finds thin legs is never quite dark where
    nothing is; raised to a power it is, and says what a loss would be a loss of."""
    peaks = (importance / max(float(importance.max()), 1e-12)).astype(np.float64) ** HIGHLIGHTS
    return peaks / max(float(peaks.sum()), 1e-12)


def share_inside(importance: np.ndarray, picture: tuple[int, int], box: Box) -> float:
    """Share of the highlights of an importance [h, w] in a box given in the picture's px; 0..1."""
    rows, columns = importance.shape
    down = _covered(rows, box.y0 * rows / picture[1], box.y1 * rows / picture[1])
    across = _covered(columns, box.x0 * columns / picture[0], box.x1 * columns / picture[0])
    return float(down @ highlights(importance) @ across)


def _covered(cells: int, low: float, high: float) -> np.ndarray:
    """How much of every cell lies between two places on an axis; 0..1."""
    ends = np.arange(cells + 1, dtype=np.float64)
    return np.clip(np.minimum(ends[1:], high) - np.maximum(ends[:-1], low), 0, 1)


def window_at(picture: tuple[int, int], size: tuple[int, int], offset: float) -> Box:
    """A window of this size, `offset` px along the one side on which it is shorter than the
    picture."""
    width, height = size
    along = 1 if width == picture[0] else 0
    start = min(max(round(offset), 0), picture[along] - size[along])
    return Box(0, start, width, start + height) if along else Box(start, 0, start + width, height)
