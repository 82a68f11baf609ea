"""Patterned grounds in a few colours: the second half of what a style can be made of."""

from collections.abc import Callable, Sequence

import numpy as np

from storybook.shapes import Colour, Shape, box, ellipse, mix, polygon

Rng = np.random.Generator
CELLS = 8  # cells in the picture's height: large enough to survive at 64 px
Palette = Sequence[Colour]


def _pick(palette: Palette, rng: Rng) -> Colour:
    """One of the palette's colours, a little lighter or darker, as hand-cut paper is."""
    colour = palette[int(rng.integers(len(palette)))]
    return mix(colour, (255, 255, 255) if rng.random() < 0.5 else (0, 0, 0), rng.uniform(0, 0.16))


def _cells(width: float):
    step = 1 / CELLS
    for row in range(CELLS):
        for column in range(int(np.ceil(width * CELLS - 1e-9))):
            yield row, column, column * step, row * step, step


def triangles(width: float, palette: Palette, rng: Rng) -> list[Shape]:
    shapes = []
    for _, _, x, y, s in _cells(width):
        corners = [(x, y), (x + s, y), (x + s, y + s), (x, y + s)]
        shapes.append(polygon(corners, _pick(palette, rng), "sky"))
        start = int(rng.integers(4))
        half = [corners[(start + k) % 4] for k in range(3)]
        shapes.append(polygon(half, _pick(palette, rng), "sky"))
    return shapes


def squares(width: float, palette: Palette, rng: Rng) -> list[Shape]:
    return [box(x, y, x + s, y + s, _pick(palette, rng), "sky") for _, _, x, y, s in _cells(width)]


def dots(width: float, palette: Palette, rng: Rng) -> list[Shape]:
    shapes = [box(0, 0, width, 1, palette[0], "sky")]
    for row, _, x, y, s in _cells(width):
        shift = s / 2 if row % 2 else 0.0
        colour = _pick(palette[1:] or palette, rng)
        shapes.append(
            ellipse(x + s / 2 + shift, y + s / 2, s * 0.36, s * 0.36, colour, "sky", 0, 16)
        )
    return shapes


def bars(width: float, palette: Palette, rng: Rng) -> list[Shape]:
    step, first = 1 / CELLS, int(rng.integers(len(palette)))
    return [
        box(k * step, 0, (k + 1) * step, 1, palette[(first + k) % len(palette)], "sky")
        for k in range(int(np.ceil(width * CELLS)))
    ]


def zigzags(width: float, palette: Palette, rng: Rng) -> list[Shape]:
    shapes, first = [], int(rng.integers(len(palette)))
    step = 1 / CELLS
    for k in range(-1, CELLS + 1):
        x = np.arange(0, width + step, step)
        top = k * step + np.where(np.arange(len(x)) % 2, step, 0.0)
        points = np.concatenate([np.stack([x, top], 1), [[width + step, 1.2], [0.0, 1.2]]])
        shapes.append(polygon(points, palette[(first + k) % len(palette)], "sky"))
    return shapes


def rings(width: float, palette: Palette, rng: Rng) -> list[Shape]:
    x, y = rng.uniform(0.3, 0.7) * width, rng.uniform(0.3, 0.7)
    count = round(CELLS * max(width, 1.0))
    return [
        ellipse(x, y, k / CELLS, k / CELLS, palette[k % len(palette)], "sky", corners=40)
        for k in range(count, 0, -1)
    ]


PATTERNS: dict[str, Callable[[float, Palette, Rng], list[Shape]]] = {
    "triangles": triangles,
    "squares": squares,
    "dots": dots,
    "bars": bars,
    "zigzags": zigzags,
    "rings": rings,
}
