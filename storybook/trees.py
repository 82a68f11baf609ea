"""A drawn family of trees: one tree in a landscape."""

import numpy as np
from PIL import Image

from storybook.landscape import HOURS, LANDS, NIGHT, landscape
from storybook.shapes import Colour, Shape, ellipse, mix, shade, tint
from storybook.sketch import Rng, a, bend, blob, paint, petal, pick, stroke, vary

BARK: Colour = (112, 76, 50)
TREES = ("oak", "pine", "birch", "palm", "sakura", "maple", "willow", "cypress")
_FOLIAGE: dict[str, Colour] = {
    "oak": (66, 132, 54), "pine": (34, 92, 66), "birch": (146, 182, 74), "palm": (60, 148, 74),
    "sakura": (246, 170, 198), "maple": (222, 92, 36), "willow": (124, 164, 84),
    "cypress": (38, 84, 52),
}  # fmt: skip


def _crown(x, y, r, colour, rng: Rng, flat: float = 0.85) -> list[Shape]:
    """A crown of leaves: dark lumps below, light ones above."""
    dark, light = mix(colour, shade(colour), 0.7), mix(colour, tint(colour), 0.8)
    shapes = [blob(x, y, r, rng, dark, ry=flat * r)]
    for t in np.sort(rng.uniform(0, 2 * np.pi, 12)):
        away = np.sqrt(rng.uniform(0.02, 0.6)) * r
        px, py = x + away * np.cos(t), y + flat * away * np.sin(t)
        hue = mix(dark, light, np.clip(0.55 - (py - y) / r, 0.1, 0.75))
        shapes.append(blob(px, py, rng.uniform(0.24, 0.42) * r, rng, hue, "decor"))
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
    nuts = [ellipse(top[0] + d, top[1] + 0.03, 0.028, 0.03, BARK) for d in (-0.03, 0.03)]
    return shapes + nuts


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
    flames = []
    for lean in (0, -0.05, 0.06):
        hue = vary(mix(colour, tint(colour), 0.25 if lean else 0), rng, 8)
        far, broad = tall * (0.94 - abs(lean)), wide * (1 - 3 * abs(lean))
        flames.append(petal(x + lean, low - 0.08, lean - np.pi / 2, far, broad, hue))
    return [trunk, *flames]


_GROWTHS = {"pine": _pine, "palm": _palm, "willow": _willow, "cypress": _cypress}


def trees(rng: Rng, side: int) -> tuple[Image.Image, str]:
    """One tree in a landscape, at some hour."""
    kind, hour = pick(rng, TREES), pick(rng, tuple(HOURS), (4, 2, 2, 1))
    place = pick(rng, ("by the sea", "in the desert") if kind == "palm" else tuple(LANDS))
    low = rng.uniform(0.84, 0.93)
    behind, sky, _ = landscape(place, hour, low, rng)
    leaf = vary(_FOLIAGE[kind], rng, 14)
    if place == "in the snow" and kind in ("pine", "cypress"):
        leaf = mix(leaf, (240, 246, 252), 0.3)
    leaf = mix(leaf, NIGHT, 0.35) if hour == "at night" else leaf
    bark = vary((226, 222, 214) if kind == "birch" else BARK, rng, 8)
    grow, x = _GROWTHS.get(kind, _broad), rng.uniform(0.34, 0.66)
    tree = grow(x, low, rng.uniform(0.6, 0.8), leaf, rng, bark)
    said = a(f"{kind} tree") if rng.random() < 0.75 else "a tree"
    said += f" {place}" if rng.random() < 0.5 else ""
    said += f" {hour}" if rng.random() < 0.5 else ""
    return paint([*behind, *tree], sky, side, pen=0.01), said
