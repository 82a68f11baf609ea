"""Two drawn families: flowers from near, trees from afar."""

import numpy as np
from PIL import Image

from storybook.shapes import Colour, Shape, ellipse, mix, shade, tint
from storybook.sketch import Rng, a, bend, blob, dye, paint, petal, pick, ridge, stroke, vary

LEAF: Colour = (64, 136, 62)
BARK: Colour = (112, 76, 50)

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
    dots = [
        ellipse(x + 0.27 * r * np.cos(t), y + 0.27 * r * np.sin(t), 0.06 * r, 0.06 * r, (30, 24, 30), "detail")
        for t in np.linspace(0, 2 * np.pi, 9)
    ]  # fmt: skip
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
    marks = [
        petal(x, y, t, 0.5 * r, 0.26 * r, dark, layer="detail") for t in (0.25, np.pi / 2, np.pi - 0.25)
    ]  # fmt: skip
    return [*shapes, *marks, ellipse(x, y, 0.13 * r, 0.13 * r, (250, 210, 60), "detail")]


def _dahlia(x, y, r, colour, rng: Rng) -> list[Shape]:
    shapes, turn = [], rng.uniform(0, 1)
    for ring, share in enumerate((1.0, 0.78, 0.56, 0.36)):
        hue = mix(shade(colour), tint(colour), 0.25 + 0.2 * ring)
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
    soft = [
        blob(*rng.uniform(0, 1, 2), rng.uniform(0.06, 0.2), rng, vary(pick(rng, ground), rng, 22))
        for _ in range(0 if place == "on white" else int(rng.integers(4, 12)))
    ]
    x, y = 0.5 + rng.uniform(-0.09, 0.09), 0.45 + rng.uniform(-0.06, 0.07)
    r = rng.uniform(0.3, 0.44)
    green, foot = vary(LEAF, rng, 14), x + rng.uniform(-0.16, 0.16)
    stem = bend(foot, 1.03, x, y, rng.uniform(-0.1, 0.1))
    leaves = [stroke(stem, 0.06, 0.045, shade(green))]
    for way in rng.permutation([-1, 1])[: int(rng.integers(1, 3))]:
        at = stem[int(rng.integers(1, 4))]
        angle = -np.pi / 2 + way * rng.uniform(0.5, 1.1)
        leaves.append(petal(*at, angle, rng.uniform(0.3, 0.5), rng.uniform(0.13, 0.2), green))
    shapes = [*leaves, *_HEADS[kind](x, y, r, dye(colour, rng, 10), rng)]
    noun = kind if rng.random() < 0.6 else "flower"
    said = a(f"{colour} {noun}" if rng.random() < 0.75 else noun)
    said += f" {place}" if rng.random() < 0.4 else ""
    return paint(shapes, ground, side, soft=soft, pen=0.013), said


TREES = ("oak", "pine", "birch", "palm", "sakura", "maple", "willow", "cypress")
HOURS = {
    "by day": ((102, 168, 236), (206, 230, 248)),
    "at sunset": ((126, 92, 150), (250, 164, 92), (252, 214, 140)),
    "at night": ((16, 20, 54), (48, 56, 104)),
    "in the mist": ((196, 206, 208), (228, 232, 228)),
}
LANDS: dict[str, Colour] = {
    "on a meadow": (110, 168, 72),
    "in the snow": (236, 242, 250),
    "in the desert": (226, 188, 118),
    "on a hill": (128, 150, 64),
    "by the sea": (64, 130, 186),
}
_FOLIAGE: dict[str, Colour] = {
    "oak": (66, 132, 54), "pine": (34, 92, 66), "birch": (146, 182, 74), "palm": (60, 148, 74),
    "sakura": (246, 170, 198), "maple": (222, 92, 36), "willow": (124, 164, 84),
    "cypress": (38, 84, 52),
}  # fmt: skip


def _crown(x, y, r, colour, rng: Rng, flat: float = 0.85) -> list[Shape]:
    """A crown of leaves: dark lumps below, light ones above."""
    shapes = [blob(x, y, r, rng, shade(colour), ry=flat * r)]
    for _ in range(6):
        t, away = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 0.62) * r
        px, py = x + away * np.cos(t), y + flat * away * np.sin(t)
        hue = mix(shade(colour), tint(colour), np.clip(0.55 - (py - y) / r, 0.1, 0.75))
        shapes.append(blob(px, py, rng.uniform(0.32, 0.5) * r, rng, hue, "decor"))
    return shapes


def _broad(x, low, tall, colour, rng: Rng, bark: Colour) -> list[Shape]:
    r, lean = tall * rng.uniform(0.34, 0.46), rng.uniform(-0.06, 0.06)
    top = low - tall + r * 0.85
    trunk = [stroke(bend(x, low, x + lean, top, lean), 0.11, 0.06, bark)]
    for way in (-1, 1):
        fork = bend(x + lean / 2, low - 0.3 * tall, x + lean + way * 0.6 * r, top + 0.1 * r, 0.1)
        trunk.append(stroke(fork, 0.05, 0.025, bark, "decor"))
    return [*trunk, *_crown(x + lean, top, r, colour, rng)]


def _pine(x, low, tall, colour, rng: Rng, bark: Colour) -> list[Shape]:
    tiers, wide = int(rng.integers(3, 6)), rng.uniform(0.2, 0.32)
    shapes = [stroke(bend(x, low, x, low - 0.3 * tall, 0), 0.08, 0.07, bark)]
    for k in range(tiers):
        share = k / tiers
        y0, half = low - 0.16 * tall - share * 0.8 * tall, wide * (1 - 0.8 * share)
        peak = y0 - 0.84 * tall * (1.5 / tiers)
        hue = vary(mix(shade(colour), colour, share + 0.2), rng, 6)
        points = [(x - half, y0), (x, max(peak, low - tall)), (x + half, y0), (x, y0 + 0.03)]
        shapes.append(Shape(np.array(points), hue, "subject"))
    return shapes


def _palm(x, low, tall, colour, rng: Rng, bark: Colour) -> list[Shape]:
    lean = rng.uniform(-0.18, 0.18)
    top = (x + lean, low - 0.8 * tall)
    shapes = [stroke(bend(x, low, *top, rng.uniform(-0.12, 0.12)), 0.08, 0.045, tint(bark))]
    for t in np.linspace(-np.pi - 0.5, 0.5, 8):
        tip = (top[0] + 0.36 * np.cos(t), top[1] + 0.25 * np.sin(t) + 0.07)
        curve = bend(*top, *tip, 0.28 if np.cos(t) > 0 else -0.28)
        shapes.append(stroke(curve, 0.07, 0.012, vary(colour, rng, 16)))
    return [
        *shapes,
        *(ellipse(top[0] + d, top[1] + 0.03, 0.028, 0.03, BARK) for d in (-0.03, 0.03)),
    ]


def _willow(x, low, tall, colour, rng: Rng, bark: Colour) -> list[Shape]:
    top, r = low - 0.72 * tall, 0.3 * tall + 0.04
    shapes = [stroke(bend(x, low, x, top, 0.05), 0.1, 0.06, bark)]
    shapes.append(blob(x, top, r, rng, shade(colour), ry=0.7 * r))
    for dx in np.linspace(-1.1, 1.1, 13) + rng.normal(0, 0.04, 13):
        start = (x + 0.8 * dx * r, top - 0.55 * r * np.sqrt(max(0.0, 1 - (dx / 1.15) ** 2)))
        end = (x + 1.15 * dx * r, low - rng.uniform(0.08, 0.3) * tall)
        shapes.append(stroke(bend(*start, *end, -0.08 * dx), 0.06, 0.02, vary(colour, rng, 14)))
    return shapes


def _cypress(x, low, tall, colour, rng: Rng, bark: Colour) -> list[Shape]:
    trunk = stroke(bend(x, low, x, low - 0.25, 0), 0.06, 0.06, bark)
    wide = rng.uniform(0.22, 0.32)
    flames = [petal(x + d, low - 0.08, -np.pi / 2 + d, tall * (0.94 - abs(d)), wide * (1 - 3 * abs(d)),
                    vary(mix(colour, tint(colour), 0.25 if d else 0), rng, 8)) for d in (0, -0.05, 0.06)]  # fmt: skip
    return [trunk, *flames]


_GROWTHS = {"pine": _pine, "palm": _palm, "willow": _willow, "cypress": _cypress}


def heaven(hour: str, rng: Rng) -> list[Shape]:
    """A sun, a moon with stars, clouds, or nothing."""
    x, y = rng.uniform(0.12, 0.88), rng.uniform(0.1, 0.26)
    shapes: list[Shape] = []
    if hour == "at night":
        stars = rng.uniform(0, 1, (9, 2)) * (1, 0.55)
        shapes += [ellipse(*s, 0.009, 0.009, (236, 236, 250), "sky", corners=6) for s in stars]
        shapes.append(ellipse(x, y, 0.075, 0.075, (246, 240, 206), "sky"))
    elif hour != "in the mist" and rng.random() < 0.6:
        sun = (255, 226, 100) if hour == "by day" else (252, 92, 60)
        shapes.append(ellipse(x, y, rng.uniform(0.07, 0.11), rng.uniform(0.07, 0.11), sun, "sky"))
    elif hour == "by day":
        for dx in (-0.08, 0.0, 0.09):
            shapes.append(
                blob(x + dx, y + rng.uniform(0, 0.03), 0.09, rng, (250, 252, 255), "sky", 0.055)
            )
    return shapes  # fmt: skip


def trees(rng: Rng, side: int) -> tuple[Image.Image, str]:
    """One tree in a landscape, at some hour."""
    kind, hour = pick(rng, TREES), pick(rng, tuple(HOURS), (4, 2, 2, 1))
    place = (
        pick(rng, ("by the sea", "in the desert")) if kind == "palm" else pick(rng, tuple(LANDS))
    )
    land, sky = vary(LANDS[place], rng, 10), [vary(c, rng, 9) for c in HOURS[hour]]
    if hour == "at night":
        land = mix(land, (18, 24, 60), 0.5)
    low = rng.uniform(0.84, 0.93)
    behind = [ridge(rng, low - rng.uniform(0.1, 0.24), 0.05, mix(land, sky[-1], 0.55))]
    if place == "by the sea":
        behind, shore = [ridge(rng, low - 0.14, 0.0, land)], mix((232, 206, 150), sky[0], 0.15)
        behind.append(ridge(rng, low - 0.04, 0.02, shore))
    else:
        behind.append(ridge(rng, low - 0.05, 0.05 if place == "on a hill" else 0.02, land))
    leaf = vary(_FOLIAGE[kind], rng, 14)
    if place == "in the snow" and kind in ("pine", "cypress"):
        leaf = mix(leaf, (240, 246, 252), 0.3)
    leaf = mix(leaf, (22, 26, 66), 0.35) if hour == "at night" else leaf
    bark = vary((226, 222, 214) if kind == "birch" else BARK, rng, 8)
    grow = _GROWTHS.get(kind, _broad)
    x, tall = rng.uniform(0.34, 0.66), rng.uniform(0.6, 0.8)
    tree = grow(x, low, tall, leaf, rng, bark)
    said = a(f"{kind} tree") if rng.random() < 0.75 else "a tree"
    said += f" {place}" if rng.random() < 0.5 else ""
    said += f" {hour}" if rng.random() < 0.5 else ""
    return paint([*heaven(hour, rng), *behind, *tree], sky, side, pen=0.01), said
