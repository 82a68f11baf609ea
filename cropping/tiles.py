"""Several squares of one picture: evenly spaced tiles, and the focal one where none is like it."""

import math

import numpy as np
from PIL import Image

from cropping.subject import saliency
from cropping.window import Box, Window, fit, share_inside

OVERLAP = 0.2  # least share of a tile that the next one repeats
NEAR = 0.08  # of a tile's side: a tile this close to the focal square takes its place
EMPTY = 0.02  # share of what matters in the picture, below which a tile is left out


def plan_tiles(image: Image.Image, size: int) -> list[tuple[int, int, int, int]]:
    """(x0, y0, x1, y1), in source pixels, of the squares that an RGB picture is cut into, each to
    be drawn at `size` px."""
    return [tile.box.corners for tile in tiles_of(saliency(image), image.size, size)]


def tiles_of(
    importance: np.ndarray, picture: tuple[int, int], size: int, aspect: float = 1.0
) -> list[Window]:
    """The focal window, tiles along the picture, and, where it has the pixels, smaller ones.

    Args:
        importance: [h, w], what matters in the picture, at any scale.
        picture: its width and height in px.
        size: longer side that a tile is drawn at: no tile of a level below the largest has fewer
            pixels than that, so that nothing is enlarged which is not enlarged anyway.
        aspect: width / height of the tiles.
    """
    first = fit(importance, picture, aspect)
    windows = _level(importance, picture, first.box.width, first.box.height)
    if not any(_distance(tile.box, first.box) <= NEAR for tile in windows):
        windows.insert(0, first)
    level = 2
    while max(first.box.width, first.box.height) / level >= size:
        width, height = first.box.width // level, first.box.height // level
        windows += _level(importance, picture, width, height)
        level *= 2
    return windows


def _level(
    importance: np.ndarray, picture: tuple[int, int], width: int, height: int
) -> list[Window]:
    """Evenly spaced tiles of one size, those with next to nothing in them left out."""
    found = []
    for y in _starts(picture[1], height):
        for x in _starts(picture[0], width):
            box = Box(x, y, x + width, y + height)
            kept = share_inside(importance, picture, box)
            if kept >= EMPTY:
                found.append(Window(box, round(1 - kept, 4), f"a tile of {width} x {height} px"))
    return found


def _starts(length: int, tile: int) -> list[int]:
    """Where tiles begin so that they cover a length, evenly, each overlapping the next by at least
    `OVERLAP`."""
    if length <= tile:
        return [0]
    gaps = math.ceil((length - tile) / (tile * (1 - OVERLAP)) - 1e-9)
    return [round(k * (length - tile) / gaps) for k in range(gaps + 1)]


def _distance(one: Box, other: Box) -> float:
    """How far two windows of one size are apart, in their longer sides."""
    moved = max(abs(one.x0 - other.x0), abs(one.y0 - other.y0))
    return moved / max(one.width, one.height)
