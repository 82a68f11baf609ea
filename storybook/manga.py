"""A drawn family of manga faces: black ink on white paper, greys as screen tone.

As in `faces`, a head is drawn around the unit circle and stretched into its place.
"""

import itertools

import numpy as np
from PIL import Image

from storybook.faces import glasses
from storybook.shapes import Colour, Shape, ellipse, polygon
from storybook.sketch import Rng, a, bend, paint, petal, pick, stretch, stroke

CUTS = ("spiky", "long", "bob", "twin-tailed", "short")
MOODS = ("smiling", "laughing", "shouting", "sad", "angry")
PAPER: Colour = (252, 252, 252)
INK: Colour = (16, 16, 16)


def _grey(value: float) -> Colour:
    level = int(np.clip(value, 0, 255))
    return level, level, level


def _bangs(tone: Colour, rng: Rng) -> list[Shape]:
    """Locks that fall over the forehead, each ending in a point."""
    shapes: list[Shape] = []
    for left, right in itertools.pairwise(np.linspace(-1.06, 1.06, int(rng.integers(4, 7)) + 1)):
        tip = (left + right) / 2 + rng.uniform(-0.15, 0.15)
        drop = rng.uniform(-0.3, -0.02) + 0.25 * tip**2
        roof = [-0.98 * np.sqrt(max(0.0, 1.12 - e * e)) for e in (left, right)]
        sides = [-0.45 + 0.3 * e * e for e in (left, right)]
        lock = [(left, roof[0]), (right, roof[1]), (right, sides[1]), (tip, drop), (left, sides[0])]
        shapes.append(polygon(lock, tone, "subject"))
    return shapes


def _hair_behind(cut: str, tone: Colour, rng: Rng) -> list[Shape]:
    if cut == "spiky":
        count = 2 * int(rng.integers(5, 9)) + 1
        angles = np.linspace(np.pi * 0.92, np.pi * 2.08, count)
        far = np.where(np.arange(count) % 2 == 0, 1.0, rng.uniform(1.3, 1.6, count))
        points = np.stack([1.08 * far * np.cos(angles), 0.95 * far * np.sin(angles) - 0.1], 1)
        return [polygon(points, tone, "subject")]
    shapes = [ellipse(0, -0.15, 1.14, 1.05, tone)]
    if cut in ("long", "bob"):
        down, wide = 1.5 if cut == "long" else 0.75, rng.uniform(1.15, 1.35)
        falling = [(-1.14, -0.2), (1.14, -0.2), (wide, down), (-wide, down)]
        shapes.append(polygon(falling, tone, "subject"))
    if cut == "twin-tailed":
        for way in (-1, 1):
            angle = np.pi / 2 - way * rng.uniform(0.3, 0.7)
            shapes.append(petal(way * 0.9, -0.5, angle, 2.0, 0.75, tone))
    return shapes


def _eyes(mood: str, rng: Rng) -> list[Shape]:
    shapes, gap, tall = [], rng.uniform(0.42, 0.5), rng.uniform(0.24, 0.34)
    wide, iris = rng.uniform(0.22, 0.28), _grey(rng.uniform(20, 110))
    for way in (-1, 1):
        at, slope = way * gap, {"angry": 0.13, "sad": -0.11}.get(mood, 0.0) * way
        if mood == "laughing":
            arc = bend(at - wide, 0.18, at + wide, 0.18, -0.35)
            shapes.append(stroke(arc, 0.1, 0.1, INK, "detail"))
            continue
        light = (at - 0.3 * wide, 0.12 - 0.4 * tall)
        shapes += [
            ellipse(at, 0.12, wide, tall, PAPER, "detail", corners=18),
            ellipse(at, 0.14, 0.8 * wide, 0.94 * tall, iris, "detail", corners=18),
            ellipse(at, 0.12, 0.42 * wide, 0.5 * tall, INK, "detail", corners=12),
            ellipse(*light, 0.34 * wide, 0.3 * tall, PAPER, "detail", corners=10),
        ]
        high = 0.12 - 0.8 * tall
        lid = bend(at - 1.1 * wide, high - slope, at + 1.1 * wide, high + slope, -0.14)
        shapes.append(stroke(lid, 0.11, 0.11, INK, "detail"))
    return shapes


def _features(mood: str, specs: bool, rng: Rng) -> list[Shape]:
    """Eyes, nose, mouth, and what blushes or sits on the nose."""
    shapes, half = _eyes(mood, rng), rng.uniform(0.14, 0.26)
    shapes.append(stroke([(0, 0.38), (0.1, 0.46)], 0.05, 0.05, _grey(70), "detail"))
    if mood in ("laughing", "shouting"):
        sag = 0.6 if mood == "laughing" else 0.9
        shapes.append(polygon(bend(-half, 0.61, half, 0.61, sag), INK, "detail"))
    else:
        sag = {"smiling": 0.25, "sad": -0.25, "angry": -0.15}[mood]
        shapes.append(stroke(bend(-half, 0.66, half, 0.66, sag), 0.07, 0.07, INK, "detail"))
    if rng.random() < 0.35:
        for at in (-0.75, -0.65, -0.55, 0.55, 0.65, 0.75):
            shapes.append(stroke([(at, 0.5), (at - 0.06, 0.6)], 0.045, 0.045, _grey(130), "detail"))
    return shapes + (glasses(0.12, INK, True) if specs else [])


def _backdrop(kind: str, x: float, y: float, rng: Rng) -> list[Shape]:
    shapes: list[Shape] = []
    if kind == "speed lines":
        for t in rng.uniform(0, 2 * np.pi, 44):
            ray = [(x + d * np.cos(t), y + d * np.sin(t)) for d in (1, 0.48)]
            shapes.append(stroke(ray, rng.uniform(0.015, 0.045), 0.002, INK, "sky"))
    if kind == "dots":
        for row, column in itertools.product(range(9), range(9)):
            at = ((column + 0.5 * (row % 2)) / 8, row / 8)
            shapes.append(ellipse(*at, 0.022, 0.022, _grey(120), "sky", corners=8))
    return shapes


def _skull(chin: float) -> np.ndarray:
    """A round head whose jaw narrows to a chin."""
    angle = np.linspace(0, np.pi, 13)
    across, down = np.cos(angle), np.sin(angle)
    jaw = np.stack([across * (1 - 0.22 * down**2), chin * down**0.85], 1)
    return np.concatenate([jaw, np.stack([-across, -0.95 * down], 1)])


def manga(rng: Rng, side: int) -> tuple[Image.Image, str]:
    """A comic's face in black ink on white paper, greys from screen tone."""
    cut, mood = pick(rng, CUTS), pick(rng, MOODS)
    name, tone = pick(rng, (("black", 22), ("white", 250), ("grey", 150)), (5, 3, 3))
    kind = pick(rng, ("plain", "speed lines", "dots", "night"), (6, 2, 2, 1))
    specs, tone = rng.random() < 0.2, _grey(tone + rng.normal(0, 14))
    x, y = 0.5 + rng.uniform(-0.07, 0.07), 0.53 + rng.uniform(-0.05, 0.06)
    rx, ry = rng.uniform(0.25, 0.33), rng.uniform(0.29, 0.37)
    skin = _grey(250 if rng.random() < 0.75 else rng.uniform(200, 235))
    neck = [(-1.4, 1.8), (-0.4, 0.95), (0.4, 0.95), (1.4, 1.8)]
    head = [
        *_hair_behind(cut, tone, rng),
        polygon(neck, _grey(pick(rng, (250, 60, 170))), "subject"),
        polygon(_skull(rng.uniform(0.95, 1.15)), skin, "subject"),
    ]
    shapes = [
        *_backdrop(kind, x, y, rng),
        *stretch(head, x, y, rx, ry),
        *stretch(_features(mood, specs, rng), x + rng.uniform(-0.06, 0.06), y, rx, ry),
        *stretch(_bangs(tone, rng), x, y, rx, ry),
    ]
    ink = INK if tone[0] > 60 else (70, 70, 70)
    ground = [_grey(40)] if kind == "night" else [PAPER]
    image = paint(shapes, ground, side, pen=0.016, ink=ink).convert("L").convert("RGB")
    said = a(f"{mood} manga face") if rng.random() < 0.5 else "a manga face"
    told = [f"{cut} {name} hair"] if rng.random() < 0.6 else []
    told += ["glasses"] if specs and rng.random() < 0.85 else []
    return image, said + (" with " + " and ".join(told) if told else "")
