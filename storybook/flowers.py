"""A drawn family of flowers, each from near, as in a field guide."""

import numpy as np
from PIL import Image

from storybook.shapes import Colour, Shape, ellipse, mix, shade, tint
from storybook.sketch import Rng, a, bend, blob, dye, paint, petal, pick, stroke, vary

LEAF: Colour = (64, 136, 62)

FLOWERS: dict[str, tuple[str, ...]] = {
    "daisy": ("white", "yellow", "pink", "purple"),
    "sunflower": ("yellow",),
    "rose": ("red", "pink", "white", "yellow", "orange"),
    "tulip": ("red", "yellow", "pink", "purple", "orange", "white"),
    "poppy": ("red", "orange"),
    "lily": ("white", "pink", "orange", "yellow"),
    "violet": ("purple", "blue", "yellow"),
    "dahlia": ("red", "pink", "purple", "orange", "white", "fuchsia"),
}
GROUNDS = {
    "on a meadow": ((122, 172, 84), (72, 128, 58)),
    "in the dark": ((20, 26, 30), (34, 40, 38)),
    "against the sky": ((118, 178, 236), (196, 224, 246)),
    "in the shade": ((46, 78, 52), (28, 50, 38)),
    "on white": ((248, 247, 242), (232, 230, 224)),
}


def _ring(x, y, count, start, length, width, colour, rng: Rng, tip=1.0, inner=0.0) -> list[Shape]:
    """Petals around a middle, each a shade of the colour."""
    angles = start + np.arange(count) * 2 * np.pi / count + rng.normal(0, 0.05, count)
    return [
        petal(
            x + inner * np.cos(t),
            y + inner * np.sin(t),
            t,
            length * rng.uniform(0.92, 1.06),
            width,
            vary(colour, rng, 7),
            tip,
        )
        for t in angles
    ]


def _daisy(x, y, r, colour, rng: Rng) -> list[Shape]:
    count = int(rng.integers(9, 15))
    middle = dye("gold", rng) if colour[2] > 90 else (110, 66, 30)
    return [
        *_ring(x, y, count, rng.uniform(0, 1), r, 4.6 * r / count, colour, rng),
        ellipse(x, y, 0.3 * r, 0.3 * r, middle),
    ]


def _sunflower(x, y, r, colour, rng: Rng) -> list[Shape]:
    turn, brown = rng.uniform(0, 1), vary((84, 50, 26), rng)
    return [
        *_ring(x, y, 15, turn, r, 0.36 * r, shade(colour), rng, 1.3),
        *_ring(x, y, 15, turn + 0.2, 0.92 * r, 0.34 * r, colour, rng, 1.3),
        ellipse(x, y, 0.45 * r, 0.45 * r, brown),
        ellipse(x, y, 0.27 * r, 0.27 * r, shade(brown), "detail"),
    ]


def _rose(x, y, r, colour, rng: Rng) -> list[Shape]:
    shapes, turn = [], rng.uniform(0, 6)
    for ring, (share, count) in enumerate(((1.0, 6), (0.76, 5), (0.5, 4), (0.28, 3))):
        hue = mix(colour, shade(colour), 0.3 * ring)
        for k in range(count):
            t = turn + ring * 0.7 + k * 2 * np.pi / count
            away = 0.42 * share * r
            shapes.append(
                ellipse(
                    x + away * np.cos(t),
                    y + away * np.sin(t),
                    0.5 * share * r,
                    0.42 * share * r,
                    vary(hue, rng, 7),
                    turn=-t,
                )
            )
    return shapes


def _tulip(x, y, r, colour, rng: Rng) -> list[Shape]:
    up, low = -np.pi / 2, y + 0.62 * r
    lean, wide = rng.uniform(0.22, 0.34), rng.uniform(0.62, 0.8)
    return [
        petal(x, low, up - lean, 1.5 * r, wide * r, shade(colour), 0.8),
        petal(x, low, up + lean, 1.5 * r, wide * r, shade(colour), 0.8),
        petal(x - 0.1 * r, low, up - 0.62 * lean, 1.36 * r, wide * r, colour, 0.7),
        petal(x + 0.1 * r, low, up + 0.62 * lean, 1.36 * r, wide * r, vary(colour, rng, 8), 0.7),
        petal(x, low, up, 1.24 * r, 0.7 * r, mix(colour, tint(colour), 0.35), 0.8),
    ]


def _poppy(x, y, r, colour, rng: Rng) -> list[Shape]:
    turn = rng.uniform(0, 1.5)
    shapes: list[Shape] = []
    for k, t in enumerate(turn + np.arange(4) * np.pi / 2):
        hue = shade(colour) if k < 2 else colour
        t = t if k % 2 == 0 else t + 0.1
        near = (x + 0.45 * r * np.cos(t), y + 0.45 * r * np.sin(t))
        shapes.append(blob(*near, 0.6 * r, rng, mix(hue, colour, 0.6), rough=0.05))
    dots, dark = [], (30, 24, 30)
    for t in np.linspace(0, 2 * np.pi, 9):
        at = (x + 0.27 * r * np.cos(t), y + 0.27 * r * np.sin(t))
        dots.append(ellipse(*at, 0.06 * r, 0.06 * r, dark, "detail"))
    return [*shapes, ellipse(x, y, 0.2 * r, 0.2 * r, (44, 54, 40), "detail"), *dots]


def _lily(x, y, r, colour, rng: Rng) -> list[Shape]:
    turn, rust = rng.uniform(0, 1), (150, 70, 24)
    threads = []
    for t in turn + 0.5 + np.arange(5) * 2 * np.pi / 5:
        tip = (x + 0.42 * r * np.cos(t), y + 0.42 * r * np.sin(t))
        threads.append(
            stroke(bend(x, y, *tip, 0.05), 0.05 * r, 0.04 * r, (190, 200, 110), "detail")
        )
        threads.append(ellipse(*tip, 0.08 * r, 0.06 * r, rust, "detail"))
    return [
        *_ring(x, y, 3, turn, 1.08 * r, 0.56 * r, mix(colour, shade(colour), 0.3), rng, 1.5),
        *_ring(x, y, 3, turn + np.pi / 3, 1.08 * r, 0.62 * r, colour, rng, 1.5),
        ellipse(x, y, 0.14 * r, 0.14 * r, (150, 186, 92), "detail"),
        *threads,
    ]  # fmt: skip


def _violet(x, y, r, colour, rng: Rng) -> list[Shape]:
    dark = mix(colour, (40, 10, 70), 0.6)
    shapes = [
        blob(x + dx * r, y + dy * r, size * r, rng, hue, rough=0.04)
        for dx, dy, size, hue in (
            (-0.36, -0.45, 0.5, shade(colour)),
            (0.36, -0.45, 0.5, shade(colour)),
            (-0.46, 0.1, 0.46, colour),
            (0.46, 0.1, 0.46, colour),
            (0.0, 0.48, 0.56, tint(colour)),
        )
    ]
    ways = (0.25, np.pi / 2, np.pi - 0.25)
    marks = [petal(x, y, t, 0.5 * r, 0.26 * r, dark, layer="detail") for t in ways]
    return [*shapes, *marks, ellipse(x, y, 0.13 * r, 0.13 * r, (250, 210, 60), "detail")]


def _dahlia(x, y, r, colour, rng: Rng) -> list[Shape]:
    shapes, turn = [], rng.uniform(0, 1)
    for ring, share in enumerate((1.0, 0.78, 0.56, 0.36)):
        hue = mix(mix(colour, shade(colour), 0.6), tint(colour), 0.17 * ring)
        start = turn + ring * 0.24
        shapes += _ring(x, y, 13 - 2 * ring, start, share * r, 0.4 * share * r, hue, rng, 1.1)
    return [*shapes, ellipse(x, y, 0.12 * r, 0.12 * r, dye("gold", rng), "detail")]


_HEADS = {
    "daisy": _daisy, "sunflower": _sunflower, "rose": _rose, "tulip": _tulip, "poppy": _poppy,
    "lily": _lily, "violet": _violet, "dahlia": _dahlia,
}  # fmt: skip


def flowers(rng: Rng, side: int) -> tuple[Image.Image, str]:
    """One flower from near, as in a field guide."""
    kind = pick(rng, tuple(FLOWERS))
    colour, place = pick(rng, FLOWERS[kind]), pick(rng, tuple(GROUNDS))
    if colour == "white" and place == "on white":
        place = "in the dark"
    ground = [vary(c, rng, 10) for c in GROUNDS[place]]
    soft = []
    for _ in range(0 if place == "on white" else int(rng.integers(4, 12))):
        (px, py), r = rng.uniform(0, 1, 2), rng.uniform(0.06, 0.2)
        soft.append(blob(px, py, r, rng, vary(pick(rng, ground), rng, 22)))
    x, y = 0.5 + rng.uniform(-0.09, 0.09), 0.45 + rng.uniform(-0.06, 0.07)
    r = rng.uniform(0.3, 0.44)
    green, foot = vary(LEAF, rng, 14), x + rng.uniform(-0.16, 0.16)
    stem = bend(foot, 1.03, x, y, rng.uniform(-0.1, 0.1))
    leaves = [stroke(stem, 0.06, 0.045, shade(green))]
    for way in rng.permutation([-1, 1])[: int(rng.integers(1, 3))]:
        px, py = stem[int(rng.integers(1, 4))]
        angle = -np.pi / 2 + way * rng.uniform(0.5, 1.1)
        far, broad = rng.uniform(0.3, 0.5), rng.uniform(0.13, 0.2)
        leaves.append(petal(px, py, angle, far, broad, green))
    shapes = [*leaves, *_HEADS[kind](x, y, r, dye(colour, rng, 10), rng)]
    noun = kind if rng.random() < 0.6 else "flower"
    said = a(f"{colour} {noun}" if rng.random() < 0.75 else noun)
    said += f" {place}" if rng.random() < 0.4 else ""
    return paint(shapes, ground, side, soft=soft, pen=0.013), said
