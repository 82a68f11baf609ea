"""Two drawn families of heads: portraits in colour, and manga faces in ink."""

import numpy as np
from PIL import Image

from storybook.shapes import BLACK, WHITE, Colour, Shape, box, ellipse, mix, polygon, shade, tint
from storybook.sketch import Rng, bend, blob, dye, paint, petal, pick, stroke, vary

SKINS: tuple[Colour, ...] = (
    (255, 222, 196), (244, 202, 166), (226, 176, 134), (198, 142, 100), (150, 100, 68), (104, 68, 48),
)  # fmt: skip
HAIR = ("black", "brown", "blond", "red", "grey", "white", "pink", "blue")
HAIR_CHANCES = (4, 4, 4, 2, 1.5, 1, 0.7, 0.7)
STYLES = ("short", "long", "curly", "bun", "bob", "no")
MOODS = ("smiling", "serious", "surprised", "laughing")


def _hair_behind(style: str, x, y, rx, ry, colour: Colour, rng: Rng) -> list[Shape]:
    """What hangs down or stands up behind the head."""
    if style == "long":
        down = y + ry * rng.uniform(1.1, 1.5)
        return [
            ellipse(x, y - 0.25 * ry, 1.22 * rx, 1.02 * ry, shade(colour)),
            polygon([(x - 1.22 * rx, y - 0.2 * ry), (x + 1.22 * rx, y - 0.2 * ry),
                     (x + 1.3 * rx, down), (x - 1.3 * rx, down)], shade(colour), "decor"),
        ]  # fmt: skip
    if style == "bob":
        return [box(x - 1.2 * rx, y - 0.3 * ry, x + 1.2 * rx, y + 0.72 * ry, shade(colour)),
                ellipse(x, y - 0.3 * ry, 1.2 * rx, 0.98 * ry, shade(colour), "decor")]  # fmt: skip
    if style == "bun":
        return [ellipse(x, y - 1.2 * ry, 0.42 * rx, 0.36 * ry, colour),
                ellipse(x, y - 0.22 * ry, 1.08 * rx, 0.96 * ry, colour)]  # fmt: skip
    if style == "curly":
        angles = np.linspace(np.pi * 0.88, np.pi * 2.12, 9)
        return [
            blob(x + 1.02 * rx * np.cos(t), y - 0.15 * ry + 0.98 * ry * np.sin(t), 0.44 * rx, rng, vary(colour, rng, 8), "decor")
            for t in angles
        ]  # fmt: skip
    return []


def _fringe(style: str, x, y, rx, ry, colour: Colour, rng: Rng) -> list[Shape]:
    """Hair on the forehead: a cap whose lower edge is parted, straight or round."""
    if style == "no":
        return [
            ellipse(x - 0.3 * rx, y - 0.72 * ry, 0.22 * rx, 0.1 * ry, (255, 246, 236), "detail")
        ]
    angle = np.linspace(np.pi, 2 * np.pi, 14)
    top = np.stack([x + 1.08 * rx * np.cos(angle), y - 0.12 * ry + 0.98 * ry * np.sin(angle)], 1)
    line, part = y - rng.uniform(0.35, 0.52) * ry, x + rng.uniform(-0.5, 0.5) * rx
    edge = pick(rng, ("parted", "straight", "round"))
    if edge == "parted":
        lower = [
            (x + 1.02 * rx, y - 0.05 * ry),
            (part, line - 0.28 * ry),
            (x - 1.02 * rx, y - 0.05 * ry),
        ]
    elif edge == "straight":
        lower = [
            (x + 0.98 * rx, y - 0.1 * ry),
            (x + 0.9 * rx, line),
            (x - 0.9 * rx, line),
            (x - 0.98 * rx, y - 0.1 * ry),
        ]
    else:
        lower = [
            (x + 0.95 * rx, y - 0.2 * ry),
            (x, line - 0.12 * ry),
            (x - 0.95 * rx, y - 0.2 * ry),
        ]
    cap = polygon(np.concatenate([top, lower]), colour, "subject")
    return [
        cap,
        stroke(
            bend(part, y - 0.95 * ry, part + 0.2 * rx, line, 0.1),
            0.02,
            0.01,
            tint(colour),
            "detail",
        ),
    ]


def _eyes(x, y, rx, ry, mood: str, rng: Rng, iris: Colour, brow: Colour) -> list[Shape]:
    shapes, gap = [], rng.uniform(0.38, 0.46) * rx
    tall = {"surprised": 0.17, "laughing": 0.06}.get(mood, 0.12) * ry
    lift = {"surprised": 0.3, "serious": 0.19}.get(mood, 0.24) * ry
    for way in (-1, 1):
        at, slope = x + way * gap, 0.05 * ry * way * (1 if mood == "serious" else -1)
        if mood == "laughing":
            arc = bend(at - 0.19 * rx, y + 0.03 * ry, at + 0.19 * rx, y + 0.03 * ry, -0.3)
            shapes.append(stroke(arc, 0.022, 0.022, BLACK, "detail"))
        else:
            shapes.append(ellipse(at, y, 0.2 * rx, tall, WHITE, "detail", corners=16))
            shapes.append(ellipse(at, y, 0.115 * rx, 0.9 * tall, iris, "detail", corners=14))
            shapes.append(ellipse(at, y, 0.06 * rx, 0.05 * ry, BLACK, "detail", corners=10))
        bow = bend(at - 0.24 * rx, y - lift + slope, at + 0.24 * rx, y - lift - slope, -0.12)
        shapes.append(stroke(bow, 0.024, 0.018, brow, "detail"))
    return shapes


def _mouth(x, y, rx, ry, mood: str, rng: Rng, lips: Colour) -> list[Shape]:
    half = rng.uniform(0.28, 0.42) * rx
    if mood == "surprised":
        return [ellipse(x, y, 0.16 * rx, 0.14 * ry, (110, 34, 40), "detail")]
    if mood == "laughing":
        curve = bend(x - half, y - 0.05 * ry, x + half, y - 0.05 * ry, 0.42)
        return [polygon(curve, (128, 34, 44), "detail"),
                box(x - 0.6 * half, y - 0.05 * ry, x + 0.6 * half, y + 0.02 * ry, WHITE, "detail")]  # fmt: skip
    sag = rng.uniform(0.16, 0.28) if mood == "smiling" else rng.uniform(-0.06, 0.02)
    return [stroke(bend(x - half, y, x + half, y, sag), 0.03, 0.03, lips, "detail")]


def _glasses(x, y, rx, ry, rim: Colour, round_ones: bool) -> list[Shape]:
    shapes: list[Shape] = []
    for way in (-1, 1):
        at = x + way * 0.43 * rx
        if round_ones:
            ring = ellipse(at, y, 0.3 * rx, 0.25 * ry, rim, "detail").points
        else:
            ring = box(at - 0.3 * rx, y - 0.18 * ry, at + 0.3 * rx, y + 0.2 * ry, rim).points
            ring = np.concatenate([np.linspace(ring[k - 1], ring[k], 4)[:-1] for k in range(4)])
        shapes.append(stroke(np.concatenate([ring, ring[:2]]), 0.024, 0.024, rim, "detail"))
        shapes.append(
            stroke(
                [(x + way * 0.73 * rx, y), (x + way * rx, y - 0.04)], 0.022, 0.022, rim, "detail"
            )
        )
    return [*shapes, stroke([(x - 0.14 * rx, y), (x + 0.14 * rx, y)], 0.022, 0.022, rim, "detail")]


def _hat(kind: str, x, y, rx, ry, colour: Colour) -> list[Shape]:
    if kind == "cap":
        return [ellipse(x, y - 0.52 * ry, 1.1 * rx, 0.68 * ry, colour),
                ellipse(x + 0.5 * rx, y - 0.42 * ry, 1.05 * rx, 0.14 * ry, shade(colour))]  # fmt: skip
    if kind == "beanie":
        return [ellipse(x, y - 1.26 * ry, 0.26 * rx, 0.2 * ry, tint(colour)),
                ellipse(x, y - 0.5 * ry, 1.12 * rx, 0.8 * ry, colour),
                box(x - 1.14 * rx, y - 0.62 * ry, x + 1.14 * rx, y - 0.36 * ry, shade(colour))]  # fmt: skip
    return [box(x - 0.85 * rx, y - 1.25 * ry, x + 0.85 * rx, y - 0.55 * ry, colour),
            ellipse(x, y - 0.52 * ry, 1.65 * rx, 0.17 * ry, shade(colour))]  # fmt: skip


def faces(rng: Rng, side: int) -> tuple[Image.Image, str]:
    """A portrait from the front."""
    skin, style = vary(pick(rng, SKINS), rng, 6), pick(rng, STYLES, (4, 4, 2, 1.5, 3, 1))
    hair, mood = pick(rng, HAIR, HAIR_CHANCES), pick(rng, MOODS, (4, 3, 1.5, 2))
    hat = pick(rng, ("", "cap", "beanie", "hat"), (8, 1, 1, 1))
    specs, beard = rng.random() < 0.3, style in ("short", "no", "curly") and rng.random() < 0.35
    x, y = 0.5 + rng.uniform(-0.06, 0.06), 0.48 + rng.uniform(-0.03, 0.06)
    rx, ry = rng.uniform(0.23, 0.29), rng.uniform(0.29, 0.36)
    look = x + rng.uniform(-0.05, 0.05)
    strands, shirt = (
        dye(hair, rng, 10),
        dye(pick(rng, ("red", "blue", "green", "white", "purple", "teal", "orange", "black")), rng),
    )
    ground = dye(
        pick(rng, ("blue", "teal", "green", "pink", "white", "orange", "grey", "purple", "yellow")),
        rng,
    )
    ground = [mix(ground, WHITE, rng.uniform(0.2, 0.6)), mix(ground, BLACK, rng.uniform(0, 0.25))]
    shapes = [
        *_hair_behind(style, x, y, rx, ry, strands, rng),
        ellipse(x, 1.06, rng.uniform(0.36, 0.46), 0.24, shirt),
        box(x - 0.36 * rx, y + 0.6 * ry, x + 0.36 * rx, y + 1.32 * ry, mix(skin, shade(skin), 0.5), "decor"),
        ellipse(x - rx, y, 0.13 * rx, 0.17 * ry, skin),
        ellipse(x + rx, y, 0.13 * rx, 0.17 * ry, skin),
        ellipse(x, y, rx, ry, skin),
    ]  # fmt: skip
    if beard:
        shapes.append(polygon(_beard(x, y, rx, ry), mix(strands, shade(strands), 0.4), "detail"))
    lips = mix(skin, (190, 40, 60), rng.uniform(0.45, 0.9))
    iris = vary(pick(rng, ((70, 44, 26), (60, 110, 170), (70, 120, 70), (40, 36, 40))), rng, 8)
    shapes += _mouth(look, y + 0.55 * ry, rx, ry, mood, rng, lips)
    shapes += _fringe(style, x, y, rx, ry, strands, rng)
    shapes += _eyes(look, y + 0.02 * ry, rx, ry, mood, rng, iris, shade(strands))
    nose = bend(look, y + 0.12 * ry, look + 0.04, y + 0.32 * ry, 0.1)
    shapes.append(stroke(nose, 0.016, 0.026, mix(skin, shade(skin), 0.55), "detail"))
    if specs:
        shapes += _glasses(
            look,
            y + 0.02 * ry,
            rx,
            ry,
            dye(pick(rng, ("black", "brown", "red")), rng),
            rng.random() < 0.5,
        )
    if hat:
        shapes += _hat(
            hat,
            x,
            y,
            rx,
            ry,
            dye(pick(rng, ("red", "blue", "green", "yellow", "black", "purple")), rng),
        )
    said = "bald" if style == "no" else f"{style} {hair} hair"
    return paint(shapes, ground, side, pen=0.011), _said_face(said, mood, hat, specs, beard, rng)


def _beard(x, y, rx, ry) -> np.ndarray:
    angle = np.linspace(0.05, np.pi - 0.05, 14)
    outer = np.stack([x + 1.01 * rx * np.cos(angle), y + 0.15 * ry + 0.93 * ry * np.sin(angle)], 1)
    inner = np.stack([x + 0.74 * rx * np.cos(angle), y + 0.15 * ry + 0.4 * ry * np.sin(angle)], 1)
    return np.concatenate([outer, inner[::-1]])


def _said_face(hair: str, mood: str, hat: str, specs: bool, beard: bool, rng: Rng) -> str:
    noun = pick(rng, ("face", "face", "portrait", "person"))
    mood = f"{mood} " if rng.random() < 0.5 else ""
    said = f"a {mood}{noun}"
    if hair == "bald":
        hair = "" if rng.random() < 0.4 else "no hair"
    told = [
        part
        for part, there in (
            (hair, rng.random() < 0.6),
            ("glasses", specs),
            ("a beard", beard),
            (f"a {hat}", hat),
        )
        if there and part
    ]
    told = [part for part in told if rng.random() < 0.85]
    return said + (" with " + " and ".join(told) if told else "")


# --- manga

CUTS = ("spiky", "long", "bob", "twin-tailed", "short")
PAPER: Colour = (252, 252, 252)
INK: Colour = (16, 16, 16)


def _grey(value: float) -> Colour:
    level = int(np.clip(value, 0, 255))
    return level, level, level


def _spikes(x, y, rx, ry, tone: Colour, rng: Rng, count: int) -> list[Shape]:
    angles = np.linspace(np.pi * 0.92, np.pi * 2.08, 2 * count + 1)
    long = np.where(np.arange(2 * count + 1) % 2 == 0, 1.0, rng.uniform(1.3, 1.6, 2 * count + 1))
    points = np.stack(
        [x + rx * 1.08 * long * np.cos(angles), y + ry * 0.95 * long * np.sin(angles)], 1
    )
    return [polygon(points, tone, "subject")]


def _bangs(x, y, rx, ry, tone: Colour, rng: Rng) -> list[Shape]:
    """Locks that fall over the forehead, each ending in a point."""
    shapes, edges = [], np.linspace(-1.06, 1.06, int(rng.integers(4, 7)) + 1)
    for left, right in zip(edges[:-1], edges[1:], strict=True):
        tip = (left + right) / 2 + rng.uniform(-0.15, 0.15)
        drop = rng.uniform(-0.3, -0.02) + 0.25 * tip**2
        roof = [-0.98 * np.sqrt(max(0.0, 1.12 - e * e)) for e in (left, right)]
        points = [
            (left, roof[0]),
            (right, roof[1]),
            (right, -0.45 + 0.3 * right**2),
            (tip, drop),
            (left, -0.45 + 0.3 * left**2),
        ]
        shapes.append(polygon(np.array(points) * (rx, ry) + (x, y), tone, "subject"))
    return shapes


def _manga_hair(cut: str, x, y, rx, ry, tone: Colour, rng: Rng) -> list[Shape]:
    back = [ellipse(x, y - 0.15 * ry, 1.14 * rx, 1.05 * ry, tone)]
    if cut == "spiky":
        return _spikes(x, y - 0.1 * ry, rx, ry, tone, rng, int(rng.integers(5, 9)))
    if cut in ("long", "bob"):
        down = y + ry * (1.5 if cut == "long" else 0.75)
        wide = rng.uniform(1.15, 1.35)
        back.append(polygon([(x - 1.14 * rx, y - 0.2 * ry), (x + 1.14 * rx, y - 0.2 * ry),
                             (x + wide * rx, down), (x - wide * rx, down)], tone, "subject"))  # fmt: skip
    if cut == "twin-tailed":
        for way in (-1, 1):
            back.append(
                petal(
                    x + way * 0.9 * rx,
                    y - 0.5 * ry,
                    np.pi / 2 - way * rng.uniform(0.3, 0.7),
                    1.9 * ry,
                    0.8 * rx,
                    tone,
                )
            )
    return back


def _manga_eyes(x, y, rx, ry, mood: str, rng: Rng) -> list[Shape]:
    shapes, gap, tall = [], rng.uniform(0.42, 0.5) * rx, rng.uniform(0.24, 0.34) * ry
    wide, iris = rng.uniform(0.22, 0.28) * rx, _grey(rng.uniform(20, 110))
    for way in (-1, 1):
        at = x + way * gap
        slope = {"angry": 0.12, "sad": -0.1}.get(mood, 0.0) * ry * -way
        if mood == "laughing":
            shapes.append(
                stroke(
                    bend(at - wide, y + 0.06 * ry, at + wide, y + 0.06 * ry, -0.35),
                    0.03,
                    0.03,
                    INK,
                    "detail",
                )
            )
            continue
        shapes.append(ellipse(at, y, wide, tall, PAPER, "detail", corners=18))
        shapes.append(
            ellipse(at, y + 0.02 * ry, 0.8 * wide, 0.94 * tall, iris, "detail", corners=18)
        )
        shapes.append(ellipse(at, y, 0.42 * wide, 0.5 * tall, INK, "detail", corners=12))
        shapes.append(
            ellipse(
                at - 0.3 * wide,
                y - 0.4 * tall,
                0.34 * wide,
                0.3 * tall,
                PAPER,
                "detail",
                corners=10,
            )
        )
        lid = bend(
            at - 1.1 * wide,
            y - 0.8 * tall - slope * -1,
            at + 1.1 * wide,
            y - 0.8 * tall - slope,
            -0.14,
        )
        shapes.append(stroke(lid, 0.032, 0.032, INK, "detail"))
    return shapes


def _backdrop(kind: str, x, y, rng: Rng) -> list[Shape]:
    shapes: list[Shape] = []
    if kind == "speed lines":
        for t in rng.uniform(0, 2 * np.pi, 44):
            far = (x + np.cos(t), y + np.sin(t))
            near = (x + 0.46 * np.cos(t), y + 0.5 * np.sin(t))
            shapes.append(stroke([far, near], rng.uniform(0.015, 0.045), 0.002, INK, "sky"))
    if kind == "dots":
        for row in range(9):
            for column in range(9):
                at = ((column + 0.5 * (row % 2)) / 8, row / 8)
                shapes.append(ellipse(*at, 0.022, 0.022, _grey(120), "sky", corners=8))
    return shapes


def _features(look, y, rx, ry, mood: str, specs: bool, rng: Rng) -> list[Shape]:
    """Eyes, nose, mouth, and what blushes or sits on the nose."""
    shapes = _manga_eyes(look, y + 0.12 * ry, rx, ry, mood, rng)
    shapes.append(
        stroke(
            bend(look, y + 0.38 * ry, look + 0.03, y + 0.46 * ry, 0),
            0.014,
            0.014,
            _grey(70),
            "detail",
        )
    )
    low, half = y + 0.66 * ry, rng.uniform(0.14, 0.26) * rx
    if mood in ("laughing", "shouting"):
        sag = 0.6 if mood == "laughing" else 0.9
        shapes.append(
            polygon(
                bend(look - half, low - 0.05 * ry, look + half, low - 0.05 * ry, sag), INK, "detail"
            )
        )
    else:
        sag = {"smiling": 0.25, "sad": -0.25, "angry": -0.15}[mood]
        shapes.append(
            stroke(bend(look - half, low, look + half, low, sag), 0.02, 0.02, INK, "detail")
        )
    if rng.random() < 0.35:
        for way in (-1, 1):
            for k in range(3):
                at = look + way * (0.55 + 0.1 * k) * rx
                shapes.append(
                    stroke(
                        [(at, y + 0.5 * ry), (at - 0.02, y + 0.6 * ry)],
                        0.013,
                        0.013,
                        _grey(130),
                        "detail",
                    )
                )
    return shapes + (_glasses(look, y + 0.12 * ry, rx, ry, INK, True) if specs else [])


def manga(rng: Rng, side: int) -> tuple[Image.Image, str]:
    """A comic's face in black ink on white paper, greys from screen tone."""
    cut, mood = pick(rng, CUTS), pick(rng, ("smiling", "laughing", "shouting", "sad", "angry"))
    name, tone = pick(rng, (("black", 22), ("white", 250), ("grey", 150)), (5, 3, 3))
    kind = pick(rng, ("plain", "speed lines", "dots", "night"), (6, 2, 2, 1))
    specs, tone = rng.random() < 0.2, _grey(tone + rng.normal(0, 14))
    x, y = 0.5 + rng.uniform(-0.07, 0.07), 0.53 + rng.uniform(-0.05, 0.06)
    rx, ry = rng.uniform(0.25, 0.33), rng.uniform(0.29, 0.37)
    look, chin = x + rng.uniform(-0.06, 0.06), rng.uniform(0.95, 1.15)
    angle = np.linspace(0, np.pi, 13)
    jaw = np.stack(
        [
            x + rx * np.cos(angle) * (1 - 0.22 * np.sin(angle) ** 2),
            y + chin * ry * np.sin(angle) ** 0.85,
        ],
        1,
    )
    roof = np.stack([x - rx * np.cos(angle), y - 0.95 * ry * np.sin(angle)], 1)
    skin = _grey(250 if rng.random() < 0.75 else rng.uniform(200, 235))
    shapes = [
        *_backdrop(kind, x, y, rng),
        *_manga_hair(cut, x, y, rx, ry, tone, rng),
        polygon([(x - 0.42, 1.05), (x - 0.12, y + 0.95 * ry), (x + 0.12, y + 0.95 * ry), (x + 0.42, 1.05)],
                _grey(pick(rng, (250, 60, 170))), "subject"),
        polygon(np.concatenate([jaw, roof]), skin, "subject"),
        *_features(look, y, rx, ry, mood, specs, rng),
        *_bangs(x, y, rx, ry, tone, rng),
    ]  # fmt: skip
    ink = INK if tone[0] > 60 else (70, 70, 70)
    ground = [_grey(40)] if kind == "night" else [PAPER]
    image = paint(shapes, ground, side, pen=0.016, ink=ink).convert("L").convert("RGB")
    said = f"a {mood} manga face" if rng.random() < 0.5 else "a manga face"
    told = [f"{cut} {name} hair"] if rng.random() < 0.6 else []
    told += ["glasses"] if specs and rng.random() < 0.85 else []
    return image, said + (" with " + " and ".join(told) if told else "")
