"""A drawn family of portraits. A head is drawn in its own square, where its outline is the unit
circle, and then stretched into its place."""

import numpy as np
from PIL import Image

from storybook.shapes import BLACK, WHITE, Colour, Shape, box, ellipse, mix, polygon, shade, tint
from storybook.sketch import Rng, bend, blob, dome, dye, paint, pick, stretch, stroke, vary

SKINS: tuple[Colour, ...] = (
    (255, 222, 196),
    (244, 202, 166),
    (226, 176, 134),
    (198, 142, 100),
    (150, 100, 68),
    (104, 68, 48),
)
HAIR = ("black", "brown", "blond", "red", "grey", "white", "pink", "blue")
HAIR_CHANCES = (4, 4, 4, 2, 1.5, 1, 0.7, 0.7)
CUTS = ("short", "long", "curly", "bun", "bob", "no")
MOODS = ("smiling", "serious", "surprised", "laughing")
EYES: tuple[Colour, ...] = ((70, 44, 26), (60, 110, 170), (70, 120, 70), (40, 36, 40))
SHIRTS = ("red", "blue", "green", "white", "purple", "teal", "orange", "black")
GROUNDS = ("blue", "teal", "green", "pink", "white", "orange", "grey", "purple", "yellow")


def _hair_behind(cut: str, colour: Colour, rng: Rng) -> list[Shape]:
    """What hangs down or stands up behind the head."""
    dark = shade(colour)
    if cut == "long":
        down, wide = rng.uniform(1.1, 1.5), rng.uniform(1.15, 1.4)
        falling = [(-1.22, -0.2), (1.22, -0.2), (wide, down), (-wide, down)]
        return [ellipse(0, -0.25, 1.22, 1.02, dark), polygon(falling, dark, "decor")]
    if cut == "bob":
        return [box(-1.2, -0.3, 1.2, 0.72, dark), ellipse(0, -0.3, 1.2, 0.98, dark, "decor")]
    if cut == "bun":
        return [ellipse(0, -1.15, 0.42, 0.34, colour), ellipse(0, -0.22, 1.08, 0.96, colour)]
    if cut == "curly":
        curls = []
        for t in np.linspace(np.pi * 0.88, np.pi * 2.12, 9):
            at = (1.02 * np.cos(t), 0.98 * np.sin(t) - 0.15)
            curls.append(blob(*at, 0.44, rng, vary(colour, rng, 8), "decor"))
        return curls
    return []


def _fringe(cut: str, colour: Colour, rng: Rng) -> list[Shape]:
    """Hair on the forehead: a cap whose lower edge is parted, straight or round."""
    if cut == "no":
        return [ellipse(-0.3, -0.72, 0.22, 0.1, (255, 246, 236), "detail")]
    angle = np.linspace(np.pi, 2 * np.pi, 14)
    top = np.stack([1.08 * np.cos(angle), 0.98 * np.sin(angle) - 0.12], 1)
    line, part = -rng.uniform(0.35, 0.52), rng.uniform(-0.5, 0.5)
    edges = {
        "parted": [(1.02, -0.05), (part, line - 0.28), (-1.02, -0.05)],
        "straight": [(0.98, -0.1), (0.9, line), (-0.9, line), (-0.98, -0.1)],
        "round": [(0.95, -0.2), (0, line - 0.12), (-0.95, -0.2)],
    }
    cap = polygon(np.concatenate([top, edges[pick(rng, tuple(edges))]]), colour, "subject")
    shine = bend(part, -0.95, part + 0.2, line - 0.1, 0.1)
    return [cap, stroke(shine, 0.08, 0.04, tint(colour), "detail")]


def _eyes(mood: str, rng: Rng, iris: Colour, brow: Colour) -> list[Shape]:
    shapes, gap = [], rng.uniform(0.38, 0.46)
    tall = {"surprised": 0.17, "laughing": 0.06}.get(mood, 0.12)
    lift = {"surprised": 0.32, "serious": 0.2}.get(mood, 0.26)
    for way in (-1, 1):
        at, slope = way * gap, 0.05 * way * (1 if mood == "serious" else -1)
        if mood == "laughing":
            arc = bend(at - 0.19, 0.05, at + 0.19, 0.05, -0.3)
            shapes.append(stroke(arc, 0.08, 0.08, BLACK, "detail"))
        else:
            shapes.append(ellipse(at, 0.02, 0.2, tall, WHITE, "detail", corners=16))
            shapes.append(ellipse(at, 0.02, 0.115, 0.9 * tall, iris, "detail", corners=14))
            shapes.append(ellipse(at, 0.02, 0.06, 0.05, BLACK, "detail", corners=10))
        bow = bend(at - 0.24, slope - lift, at + 0.24, -slope - lift, -0.12)
        shapes.append(stroke(bow, 0.085, 0.065, brow, "detail"))
    return shapes


def _mouth(mood: str, rng: Rng, lips: Colour) -> list[Shape]:
    half = rng.uniform(0.28, 0.42)
    if mood == "surprised":
        return [ellipse(0, 0.55, 0.16, 0.14, (110, 34, 40), "detail")]
    if mood == "laughing":
        open_mouth = polygon(bend(-half, 0.5, half, 0.5, 0.42), (128, 34, 44), "detail")
        return [open_mouth, box(-0.6 * half, 0.5, 0.6 * half, 0.57, WHITE, "detail")]
    sag = rng.uniform(0.16, 0.28) if mood == "smiling" else rng.uniform(-0.06, 0.02)
    return [stroke(bend(-half, 0.55, half, 0.55, sag), 0.1, 0.1, lips, "detail")]


def glasses(y: float, rim: Colour, round_ones: bool) -> list[Shape]:
    """Two rims, a bridge and the temples, at height y of the head's square."""
    shapes: list[Shape] = [stroke([(-0.14, y), (0.14, y)], 0.075, 0.075, rim, "detail")]
    for at, ear in ((-0.43, -1), (0.43, 1)):
        ring = ellipse(at, y, 0.31, 0.26, rim).points
        if not round_ones:
            corners = box(at - 0.3, y - 0.19, at + 0.3, y + 0.2, rim).points
            ring = np.concatenate([np.linspace(corners[k - 1], corners[k], 4) for k in range(4)])
        shapes.append(stroke(np.concatenate([ring, ring[:2]]), 0.08, 0.08, rim, "detail"))
        shapes.append(stroke([(0.73 * ear, y), (ear, y - 0.12)], 0.07, 0.07, rim, "detail"))
    return shapes


def _hat(kind: str, colour: Colour) -> list[Shape]:
    if kind == "cap":
        peak = ellipse(0.5, -0.45, 0.95, 0.12, shade(colour))
        return [dome(0, -0.42, 1.12, 0.8, colour), peak]
    if kind == "beanie":
        band = box(-1.12, -0.62, 1.12, -0.36, shade(colour))
        return [ellipse(0, -1.3, 0.24, 0.18, tint(colour)), dome(0, -0.5, 1.1, 0.78, colour), band]
    if kind == "hat":
        return [
            box(-0.8, -1.22, 0.8, -0.55, colour),
            box(-0.82, -0.72, 0.82, -0.56, shade(shade(colour)), "detail"),
            ellipse(0, -0.5, 1.6, 0.16, shade(colour)),
        ]
    return []


def _beard() -> np.ndarray:
    angle = np.linspace(0.05, np.pi - 0.05, 14)
    outer = np.stack([1.01 * np.cos(angle), 0.15 + 0.93 * np.sin(angle)], 1)
    inner = np.stack([0.74 * np.cos(angle), 0.15 + 0.4 * np.sin(angle)], 1)
    return np.concatenate([outer, inner[::-1]])


def _features(mood: str, skin: Colour, strands: Colour, rng: Rng) -> list[Shape]:
    """Eyes, nose and mouth."""
    iris = vary(pick(rng, EYES), rng, 8)
    lips = mix(skin, (190, 40, 60), rng.uniform(0.45, 0.9))
    nose = bend(0, 0.14, 0.14, 0.32, 0.1)
    return [
        *_mouth(mood, rng, lips),
        *_eyes(mood, rng, iris, shade(strands)),
        stroke(nose, 0.06, 0.09, mix(skin, shade(skin), 0.55), "detail"),
    ]


def faces(rng: Rng, side: int) -> tuple[Image.Image, str]:
    """A portrait from the front."""
    skin, cut = vary(pick(rng, SKINS), rng, 6), pick(rng, CUTS, (4, 4, 2, 1.5, 3, 1))
    hair, mood = pick(rng, HAIR, HAIR_CHANCES), pick(rng, MOODS, (4, 3, 1.5, 2))
    hat = pick(rng, ("", "cap", "beanie", "hat"), (8, 1, 1, 1))
    specs, beard = rng.random() < 0.3, cut in ("short", "no", "curly") and rng.random() < 0.35
    x, y = 0.5 + rng.uniform(-0.06, 0.06), 0.48 + rng.uniform(-0.03, 0.06)
    rx, ry = rng.uniform(0.23, 0.29), rng.uniform(0.29, 0.36)
    strands, ground = dye(hair, rng, 10), dye(pick(rng, GROUNDS), rng)
    walls = [mix(ground, WHITE, rng.uniform(0.2, 0.6)), mix(ground, BLACK, rng.uniform(0, 0.25))]
    shirt = ellipse(x, 1.06, rng.uniform(0.36, 0.46), 0.24, dye(pick(rng, SHIRTS), rng))
    head = [box(-0.36, 0.6, 0.36, 1.32, mix(skin, shade(skin), 0.5), "decor")]
    head += [ellipse(ear, 0, 0.13, 0.17, skin) for ear in (-1, 1)]
    head += [ellipse(0, 0, 1, 1, skin)]
    if beard:
        head.append(polygon(_beard(), mix(strands, shade(strands), 0.4), "detail"))
    front = _features(mood, skin, strands, rng)
    if specs:
        front += glasses(0.02, dye(pick(rng, ("black", "brown", "red")), rng), rng.random() < 0.5)
    top = _fringe(cut, strands, rng) + _hat(hat, dye(pick(rng, SHIRTS), rng))
    shapes = [
        *stretch(_hair_behind(cut, strands, rng), x, y, rx, ry),
        shirt,
        *stretch(head, x, y, rx, ry),
        *stretch(front, x + rng.uniform(-0.05, 0.05), y, rx, ry),
        *stretch(top, x, y, rx, ry),
    ]
    caption = _caption(cut, hair, mood, {"glasses": specs, "a beard": beard, f"a {hat}": hat}, rng)
    return paint(shapes, walls, side, pen=0.011), caption


def _caption(cut: str, hair: str, mood: str, worn: dict, rng: Rng) -> str:
    noun = pick(rng, ("face", "face", "portrait", "person"))
    said = f"a {mood} {noun}" if rng.random() < 0.5 else f"a {noun}"
    named = {"no": "no hair", "bob": f"a {hair} bob", "bun": f"{hair} hair in a bun"}
    told = [named.get(cut, f"{cut} {hair} hair")] if rng.random() < 0.6 else []
    told += [what for what, there in worn.items() if there and rng.random() < 0.85]
    return said + (" with " + " and ".join(told) if told else "")
