"""Rectangles: where the square goes.

A square as large as the picture's short side can move along the long side alone. So the search is
one-dimensional: the saliency is summed across the short side into a profile, and every offset of
the square is scored at once from the profile's cumulative sum.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from cropping.subject import saliency

# Weights against the share of the saliency kept, which is 1 where nothing is lost.
EDGE_WEIGHT = 0.1  # for cutting through something: the profile's height where the square ends
CENTRE_WEIGHT = 0.1  # for being off-centre: 0 in the middle, 1/2 at either end of the long side
TOP_WEIGHT = 0.25  # in portrait pictures, for being low: 1 at the bottom. Heads are above bodies


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


@dataclass(frozen=True)
class Window:
    """A square chosen in a picture, and why."""

    box: Box
    lost_mass: float
    """Share of the picture's saliency outside the box, 0..1."""
    reason: str


@dataclass(frozen=True)
class Profile:
    """A picture's saliency along its long side, in cells, and how long the square is on it."""

    mass: np.ndarray  # [n]
    length: float
    is_portrait: bool

    @property
    def slack(self) -> float:
        """How far the square can move, in cells."""
        return max(len(self.mass) - self.length, 0.0)


def focal(image: Image.Image, size: int) -> Window:
    """The largest square, placed so that it keeps what matters and cuts through little of it."""
    profile = profile_of(image)
    offset = best_offset(profile.mass, profile.length, TOP_WEIGHT if profile.is_portrait else 0.0)
    return _window(image, profile, offset, "the largest square around what matters")


def centre(image: Image.Image, size: int) -> Window:
    """The largest square in the middle, whatever it cuts."""
    profile = profile_of(image)
    return _window(image, profile, profile.slack / 2, "the largest square in the middle")


# The values of `cropping.strategy`: a further one is a function here and its name in config.py.
STRATEGIES: dict[str, Callable[[Image.Image, int], Window]] = {"focal": focal, "centre": centre}


def best_square(image: Image.Image, size: int) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1), in source pixels, of the largest square that keeps what matters in an RGB
    picture. `size`, the side it will be drawn at, has a say only in how often it is enlarged."""
    return focal(image, size).box.corners


def profile_of(image: Image.Image) -> Profile:
    """The saliency of an RGB picture, summed across its short side."""
    width, height = image.size
    mass = saliency(image).sum(axis=1 if height > width else 0)
    length = len(mass) * min(width, height) / max(width, height)
    return Profile(mass, length, is_portrait=height > width)


def best_offset(mass: np.ndarray, length: float, top_weight: float = 0.0) -> float:
    """Where a window of `length` begins on the profile `mass` [n], in cells: 0 <= it <= n - length.

    Maximises the share of the mass inside, less `EDGE_WEIGHT` times the profile at the cut edges,
    less `CENTRE_WEIGHT` times the distance from the middle, less `top_weight` times the position.
    Offsets are tried in steps of at most a quarter cell.
    """
    slack = len(mass) - length
    if slack <= 1e-9:
        return 0.0
    offsets = np.linspace(0, slack, 2 * int(np.ceil(2 * slack)) + 1)  # odd: the middle is one
    position = offsets / slack
    score = kept_mass(mass, offsets, length)
    score -= EDGE_WEIGHT * edge_height(mass, offsets, length)
    score -= CENTRE_WEIGHT * np.abs(position - 0.5) + top_weight * position
    return float(offsets[np.argmax(score)])


def kept_mass(mass: np.ndarray, offsets: np.ndarray, length: float) -> np.ndarray:
    """Share of the mass in [offset, offset + length] for every offset, linear within a cell."""
    cumulative = np.concatenate([[0.0], np.cumsum(mass, dtype=np.float64)])
    cells = np.arange(len(cumulative))
    inside = np.interp(offsets + length, cells, cumulative) - np.interp(offsets, cells, cumulative)
    return inside / max(cumulative[-1], 1e-12)


def edge_height(mass: np.ndarray, offsets: np.ndarray, length: float) -> np.ndarray:
    """Height of the profile, 1 at its maximum, at both ends of each window, summed. An end that
    lies on the picture's own edge cuts nothing."""
    peak = max(float(mass.max()), 1e-12)
    middles = np.arange(len(mass)) + 0.5
    height = np.zeros(len(offsets))
    for ends in (offsets, offsets + length):
        is_cut = (ends > 1e-9) & (ends < len(mass) - 1e-9)
        height += np.where(is_cut, np.interp(ends, middles, mass) / peak, 0.0)
    return height


def square_at(width: int, height: int, offset: float) -> Box:
    """The largest square in a picture of width x height, `offset` pixels along its long side."""
    side = min(width, height)
    start = min(max(round(offset), 0), max(width, height) - side)
    return (
        Box(start, 0, start + side, side) if width > height else Box(0, start, side, start + side)
    )


def _window(image: Image.Image, profile: Profile, offset: float, reason: str) -> Window:
    width, height = image.size
    kept = float(kept_mass(profile.mass, np.array([offset]), profile.length)[0])
    box = square_at(width, height, offset * max(width, height) / len(profile.mass))
    if width == height:
        reason = "the whole picture, which is square"
    return Window(box, round(min(max(1 - kept, 0.0), 1.0), 4), reason)
