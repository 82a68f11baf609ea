"""What the drawn families share: brushes on top of `shapes`, named dyes, words, and one painter."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from storybook.shapes import Colour, Layer, Shape, polygon
from storybook.world import PALETTE

Rng = np.random.Generator
Item = TypeVar("Item")

DYES: dict[str, Colour] = PALETTE | {
    "brown": (126, 78, 46),
    "black": (38, 36, 44),
    "grey": (150, 152, 160),
    "blond": (234, 200, 116),
}


def pick(rng: Rng, items: Sequence[Item], chances: Sequence[float] | None = None) -> Item:
    """One of the items, all as likely unless `chances` (which need not sum to 1) says otherwise."""
    if chances is None:
        return items[int(rng.integers(len(items)))]
    shares = np.asarray(chances, float)
    return items[int(rng.choice(len(items), p=shares / shares.sum()))]


def dye(name: str, rng: Rng, spread: float = 12) -> Colour:
    """A shade of a named colour; no two pots are alike."""
    return vary(DYES[name], rng, spread)


def vary(colour: Colour, rng: Rng, spread: float = 12) -> Colour:
    """A colour near another one: lighter or darker, and a little off in hue."""
    off = rng.normal(0, spread) + rng.normal(0, spread / 2, 3)
    red, green, blue = np.clip(np.asarray(colour) + off, 0, 255).astype(int).tolist()
    return red, green, blue


def a(words: str) -> str:
    """`an orange tree`, `a red one`."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def petal(x, y, angle, length, width, colour, tip=1.0, layer: Layer = "subject") -> Shape:
    """A leaf from (x, y) outwards, `width` at its broadest; `tip` above 1 makes it pointed."""
    along = np.linspace(0, 1, 11)
    half = width / 2 * np.sin(np.pi * along**0.8) ** tip
    across = np.concatenate([half, -half[-2:0:-1]])
    forth = length * np.concatenate([along, along[-2:0:-1]])
    cos, sin = np.cos(angle), np.sin(angle)
    return polygon(
        np.stack([x + forth * cos - across * sin, y + forth * sin + across * cos], 1), colour, layer
    )


def stroke(points, start: float, end: float, colour: Colour, layer: Layer = "subject") -> Shape:
    """A brush along `points` [k, 2], `start` wide where it begins and `end` where it ends."""
    points = np.asarray(points, float)
    forth = np.gradient(points, axis=0)
    normal = np.stack([-forth[:, 1], forth[:, 0]], 1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
    half = np.linspace(start, end, len(points))[:, None] / 2
    return polygon(
        np.concatenate([points + normal * half, (points - normal * half)[::-1]]), colour, layer
    )


def bend(x0, y0, x1, y1, sag: float, count: int = 9) -> np.ndarray:
    """Points [count, 2] from one place to another, `sag` off the straight line in the middle."""
    t = np.linspace(0, 1, count)[:, None]
    straight = (1 - t) * np.array([x0, y0]) + t * np.array([x1, y1])
    return straight + 4 * t * (1 - t) * sag * np.array([-(y1 - y0), x1 - x0])


def blob(x, y, r, rng: Rng, colour: Colour, layer: Layer = "subject", ry=None, rough=0.12) -> Shape:
    """An uneven round: a crown of leaves, a cloud's part, a stone."""
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    bumps = sum(rng.normal(0, rough / k) * np.cos(k * angle + rng.uniform(0, 6)) for k in (2, 3, 5))
    around = np.stack([r * np.cos(angle), (ry or r) * np.sin(angle)], 1)
    return polygon(around * (1 + np.asarray(bumps))[:, None] + (x, y), colour, layer)


def dome(x, base, rx, ry, colour: Colour, layer: Layer = "subject") -> Shape:
    """The upper half of an ellipse, standing on `base`."""
    angle = np.linspace(np.pi, 2 * np.pi, 16)
    return polygon(np.stack([x + rx * np.cos(angle), base + ry * np.sin(angle)], 1), colour, layer)


def stretch(shapes: Iterable[Shape], x, y, rx, ry) -> list[Shape]:
    """Shapes from their own [-1, 1] square into the box of half axes rx, ry around (x, y)."""
    return [replace(shape, points=shape.points * (rx, ry) + (x, y)) for shape in shapes]


def mirrored(shapes: Iterable[Shape]) -> list[Shape]:
    """Left and right exchanged."""
    return [replace(shape, points=shape.points * (-1, 1) + (1, 0)) for shape in shapes]


def ridge(rng: Rng, height: float, rough: float, colour: Colour, layer: Layer = "ground") -> Shape:
    """Ground whose edge runs near `height` from side to side."""
    x = np.linspace(-0.02, 1.02, 16)
    waves = (rng.normal(0, rough / k) * np.sin(k * 2 * x + rng.uniform(0, 6)) for k in (1, 2, 4))
    y = height + np.sum(list(waves), axis=0)
    edge = np.stack([x, y], 1)
    return polygon(np.concatenate([edge, [(1.02, 1.02), (-0.02, 1.02)]]), colour, layer)


def washes(bands: Sequence[Colour], side: int) -> Image.Image:
    """A square of colours that run into each other from top to bottom."""
    at = np.linspace(0, 1, len(bands)) if len(bands) > 1 else np.array([0.0])
    rows = np.linspace(0, 1, side)
    columns = [np.interp(rows, at, [band[k] for band in bands]) for k in range(3)]
    pixels = np.repeat(np.stack(columns, 1)[:, None], side, axis=1)
    return Image.fromarray(pixels.round().astype(np.uint8))


def paint(
    shapes: Sequence[Shape],
    ground: Sequence[Colour],
    side: int,
    *,
    soft: Sequence[Shape] = (),
    pen: float = 0.0,
    ink: Colour | None = None,
) -> Image.Image:
    """Shapes on a ground of washes, each a square of `side` px; `soft` ones lie behind, blurred.

    Subjects are drawn around by a pen of `pen` heights, in `ink` or in their own colour, darker.
    """
    image = washes(ground, side)
    if soft:
        _fill(ImageDraw.Draw(image), soft, side, 0, None)
        image = image.filter(ImageFilter.GaussianBlur(side * 0.035))
    _fill(ImageDraw.Draw(image), shapes, side, max(1, round(pen * side)) if pen else 0, ink)
    return image


def _fill(draw, shapes: Sequence[Shape], side: int, pen: int, ink: Colour | None) -> None:
    for shape in shapes:
        points = [tuple(p) for p in shape.points * side]
        draw.polygon(points, fill=shape.colour)
        if pen and shape.layer == "subject":
            red, green, blue = shape.colour
            own = (red * 5 // 8, green * 5 // 8, blue * 5 // 8)
            draw.line([*points, points[0], points[1]], ink or own, pen, joint="curve")


def on_paper(image: Image.Image, rng: Rng, amount: float = 8) -> Image.Image:
    """The picture on paper with fibres: brightness uneven by `amount` of 255."""
    side = image.width
    coarse = Image.fromarray(rng.normal(0, 1, (16, 16)).astype(np.float32))
    fine = Image.fromarray(rng.normal(0, 1, (64, 64)).astype(np.float32))
    fibres = [
        np.asarray(part.resize((side, side), Image.Resampling.BILINEAR)) for part in (coarse, fine)
    ]
    pixels = np.asarray(image, float) + amount * (fibres[0] + fibres[1])[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
