"""Polygons in a square of height 1: the only thing the illustrator draws.

Coordinates are (x, y), y downwards, in units of the picture's height, so that every drawing looks
the same at 64 and at 512 px. Colours are RGB triples of 0..255.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Colour = tuple[int, int, int]
Layer = Literal["sky", "ground", "decor", "subject", "detail"]

BLACK: Colour = (28, 26, 34)
WHITE: Colour = (250, 250, 246)


@dataclass(frozen=True)
class Shape:
    """A filled polygon; `layer` tells a style how much care it deserves."""

    points: np.ndarray  # [k, 2]
    colour: Colour
    layer: Layer = "subject"


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """The colour `share` of the way from `a` to `b`."""
    return (
        round(a[0] + (b[0] - a[0]) * share),
        round(a[1] + (b[1] - a[1]) * share),
        round(a[2] + (b[2] - a[2]) * share),
    )


def shade(colour: Colour) -> Colour:
    """A darker companion of a colour, for the side away from the light."""
    return mix(colour, (20, 16, 40), 0.38)


def tint(colour: Colour) -> Colour:
    """A lighter companion of a colour, for bellies and highlights."""
    return mix(colour, (255, 255, 255), 0.55)


def polygon(points: Sequence[tuple[float, float]] | np.ndarray, colour: Colour, layer: Layer):
    """A polygon from its corners."""
    return Shape(np.asarray(points, dtype=float), colour, layer)


def ellipse(x, y, rx, ry, colour: Colour, layer: Layer = "subject", turn=0.0, corners=28) -> Shape:
    """An ellipse around (x, y) with half axes rx, ry, turned by `turn` radians."""
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    local = np.stack([rx * np.cos(angle), ry * np.sin(angle)], axis=1)
    cos, sin = np.cos(turn), np.sin(turn)
    return Shape(local @ np.array([[cos, sin], [-sin, cos]]) + (x, y), colour, layer)


def box(x0, y0, x1, y1, colour: Colour, layer: Layer = "subject") -> Shape:
    """An upright rectangle."""
    return polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour, layer)


def place(shapes: Iterable[Shape], x: float, y: float, scale: float, flip: bool) -> list[Shape]:
    """Shapes from their own [-1, 1] square, scaled, mirrored if asked, moved to (x, y)."""
    size = np.array([-scale if flip else scale, scale])
    return [replace(shape, points=shape.points * size + (x, y)) for shape in shapes]


def bounds(shapes: Iterable[Shape]) -> tuple[float, float, float, float]:
    """The smallest upright box (x0, y0, x1, y1) around all shapes."""
    points = np.concatenate([shape.points for shape in shapes])
    (x0, y0), (x1, y1) = points.min(0), points.max(0)
    return float(x0), float(y0), float(x1), float(y1)
