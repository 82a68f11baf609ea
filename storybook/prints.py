"""A drawn family of woodblock prints: waves, a mountain, a red sun, pines and blossom on paper."""

import numpy as np
from PIL import Image

from storybook.shapes import Colour, Shape, box, ellipse, mix, polygon, shade
from storybook.sketch import Rng, bend, blob, on_paper, paint, pick, ridge, stroke, vary

PAPER: Colour = (238, 226, 196)
INDIGO: Colour = (34, 62, 110)
PRUSSIAN: Colour = (58, 104, 152)
FOAM: Colour = (246, 240, 222)
VERMILION: Colour = (206, 62, 42)
PINE: Colour = (52, 88, 66)
BLOSSOM: Colour = (240, 172, 182)
INK: Colour = (40, 38, 46)

SCENES = ("wave", "mountain", "sakura", "pines", "moon", "boats", "bridge", "gate")
TITLES = {
    "wave": ("a great wave", "waves", "a wave"),
    "mountain": ("mount fuji", "a mountain"),
    "sakura": ("a sakura tree", "sakura blossom", "a blossoming branch"),
    "pines": ("pines", "pine trees"),
    "moon": ("the moon", "a full moon"),
    "boats": ("boats", "a boat on the water"),
    "bridge": ("a bridge", "a bridge over the water"),
    "gate": ("a red gate", "a gate in the water"),
}


def _sun(rng: Rng) -> list[Shape]:
    r = rng.uniform(0.09, 0.16)
    return [
        ellipse(
            rng.uniform(0.16, 0.84), rng.uniform(0.16, 0.32), r, r, vary(VERMILION, rng, 8), "sky"
        )
    ]


def _fuji(rng: Rng, x=None, low=0.8, tall=None, colour: Colour | None = None) -> list[Shape]:
    """A mountain with concave slopes and snow that runs down in tongues."""
    x = rng.uniform(0.3, 0.7) if x is None else x
    tall, wide = tall or rng.uniform(0.36, 0.56), rng.uniform(0.5, 0.75)
    slope = np.linspace(0, 1, 12)
    fall = slope**1.6 * tall
    reach = 0.055 + wide * slope
    top = low - tall
    right = np.stack([x + reach, top + fall**1.0], 1)
    left = np.stack([x - reach, top + fall**1.0], 1)[::-1]
    colour = colour or vary(pick(rng, (INDIGO, PRUSSIAN, (150, 72, 54), (70, 92, 104))), rng, 8)
    body = polygon(np.concatenate([left, right]), colour, "subject")
    cap = 5
    depth = rng.uniform(0.5, 1.0, 2 * cap - 1) * tall * 0.16
    edge_x = np.linspace(x + reach[cap], x - reach[cap], 2 * cap - 1)
    edge_y = top + fall[cap] + np.where(np.arange(2 * cap - 1) % 2 == 0, 0, depth)
    snow = np.concatenate([left[-cap - 1 :], right[: cap + 1], np.stack([edge_x, edge_y], 1)])
    return [body, polygon(snow, FOAM, "detail")]


def _water(rng: Rng, top: float, colour: Colour) -> list[Shape]:
    """The sea: a sheet with rows of small strokes."""
    shapes = [box(-0.02, top, 1.02, 1.02, colour, "ground")]
    for y in np.linspace(top + 0.04, 1.0, 6):
        for x in rng.uniform(-0.05, 1, 3):
            wide = rng.uniform(0.1, 0.22)
            line = bend(x, y, x + wide, y, rng.uniform(-0.08, 0.08))
            shapes.append(stroke(line, 0.008, 0.016, mix(colour, FOAM, 0.55), "decor"))
    return shapes


def _wave(rng: Rng) -> list[Shape]:
    """A wave that rears up from one side and curls, with claws of foam."""
    flip, high = rng.random() < 0.5, rng.uniform(0.12, 0.26)
    blue = vary(pick(rng, (INDIGO, PRUSSIAN)), rng, 8)
    curl = [(-0.05, 0.72), (0.06, 0.5), (0.2, high + 0.14), (0.36, high), (0.52, high + 0.01), (0.66, high + 0.1),
            (0.7, high + 0.24), (0.62, high + 0.2), (0.52, high + 0.2), (0.44, high + 0.32), (0.46, 0.7), (0.62, 0.86), (0.5, 1.05), (-0.05, 1.05)]  # fmt: skip
    back = polygon(
        [(0.3, 1.05), (0.5, 0.82), (0.72, 0.74), (0.9, 0.64), (1.05, 0.7), (1.05, 1.05)],
        shade(blue),
        "subject",
    )
    shapes = [back, polygon(curl, blue, "subject")]
    for k in range(4):
        share = 0.14 + 0.15 * k
        inner = bend(0.02 + share * 0.5, 0.98, 0.3 + share * 0.35, high + 0.08 + 0.1 * share, -0.24)
        shapes.append(stroke(inner, 0.045, 0.012, mix(blue, FOAM, 0.45), "detail"))
    crest = np.array(curl[2:9])
    for k in np.linspace(0, len(crest) - 1, 13):
        low, part = int(k), k - int(k)
        at = crest[low] * (1 - part) + crest[min(low + 1, len(crest) - 1)] * part
        shapes.append(blob(*at, rng.uniform(0.03, 0.055), rng, FOAM, "decor", rough=0.2))
    spray = np.stack([rng.uniform(0.45, 0.9, 7), high + rng.uniform(-0.06, 0.34, 7)], 1)
    shapes += [ellipse(*s, 0.012, 0.012, FOAM, "decor", corners=8) for s in spray]
    foot = polygon(
        [
            (-0.05, 0.92),
            (0.2, 0.86),
            (0.45, 0.93),
            (0.7, 0.85),
            (1.05, 0.94),
            (1.05, 1.05),
            (-0.05, 1.05),
        ],
        mix(blue, PRUSSIAN, 0.5),
        "subject",
    )
    shapes += [
        foot,
        *(blob(x, 0.91, 0.035, rng, FOAM, "decor", ry=0.02) for x in rng.uniform(0, 1, 4)),
    ]
    return _mirrored(shapes) if flip else shapes


def _mirrored(shapes: list[Shape]) -> list[Shape]:
    return [Shape(s.points * (-1, 1) + (1, 0), s.colour, s.layer) for s in shapes]


def _branch(rng: Rng, x, y, angle, length, wide, forks: int) -> tuple[list[Shape], list]:
    """A branch that forks, and the places where something can grow on it."""
    end = (x + length * np.cos(angle), y + length * np.sin(angle))
    curve = bend(x, y, *end, rng.uniform(-0.12, 0.12))
    shapes, tips = [stroke(curve, wide, 0.55 * wide, vary((74, 54, 48), rng, 6))], list(curve[3:])
    for _ in range(2 if forks else 0):
        turn = angle + rng.uniform(0.3, 0.8) * pick(rng, (-1, 1))
        at = curve[int(rng.integers(4, 9))]
        more, grown = _branch(
            rng, *at, turn, length * rng.uniform(0.45, 0.7), 0.6 * wide, forks - 1
        )
        shapes, tips = shapes + more, tips + grown
    return shapes, tips


def _sakura(rng: Rng) -> list[Shape]:
    """A tree, or a branch from the edge, in blossom."""
    pink = vary(BLOSSOM, rng, 9)
    if rng.random() < 0.5:
        x, wide, start, angle, length = (
            rng.uniform(0.3, 0.7),
            0.1,
            1.04,
            -np.pi / 2 + rng.uniform(-0.3, 0.3),
            0.46,
        )
    else:
        x, wide, start, angle, length = (
            -0.04,
            0.06,
            rng.uniform(0.3, 0.8),
            rng.uniform(-0.6, 0.1),
            0.75,
        )
    wood, tips = _branch(rng, x, start, angle, length, wide, 3)
    places = np.array(tips)[rng.permutation(len(tips))[: int(rng.integers(26, 44))]]
    clouds = [
        blob(
            *(p + rng.normal(0, 0.035, 2)),
            rng.uniform(0.035, 0.07),
            rng,
            vary(pink, rng, 12),
            "decor",
            rough=0.16,
        )
        for p in places
    ]
    hearts = [
        ellipse(*(p + rng.normal(0, 0.03, 2)), 0.012, 0.012, (196, 66, 96), "decor", corners=7)
        for p in places[::3]
    ]
    falling = [
        ellipse(*rng.uniform(0, 1, 2), 0.014, 0.01, pink, "decor", corners=8) for _ in range(5)
    ]
    shapes = [*wood, *clouds, *hearts, *falling]
    return _mirrored(shapes) if rng.random() < 0.5 else shapes


def _pines(rng: Rng) -> list[Shape]:
    """Old pines by a shore: bent trunks, flat pads of needles."""
    shapes: list[Shape] = []
    for x in np.linspace(0.15, 0.85, int(rng.integers(1, 4))) + rng.uniform(-0.1, 0.1):
        lean, tall = rng.uniform(-0.22, 0.22), rng.uniform(0.42, 0.7)
        trunk = bend(x, 0.98, x + lean, 0.98 - tall, rng.uniform(-0.2, 0.2))
        shapes.append(stroke(trunk, 0.06, 0.03, vary((92, 62, 48), rng, 8)))
        for at in trunk[3:]:
            r, way = rng.uniform(0.1, 0.18), rng.uniform(-0.12, 0.12)
            green = vary(PINE, rng, 10)
            shapes.append(blob(at[0] + way, at[1], r, rng, green, ry=0.4 * r, rough=0.06))
            shapes.append(
                ellipse(
                    at[0] + way, at[1] - 0.018, 0.7 * r, 0.16 * r, mix(green, FOAM, 0.3), "detail"
                )
            )
    return shapes


def _boats(rng: Rng) -> list[Shape]:
    shapes: list[Shape] = []
    for _ in range(int(rng.integers(1, 4))):
        x, y, s = rng.uniform(0.15, 0.85), rng.uniform(0.64, 0.9), rng.uniform(0.1, 0.17)
        sail = vary(FOAM, rng, 8)
        shapes += [
            polygon([(x - 0.6 * s, y - 2.2 * s), (x + 0.5 * s, y - 2.2 * s), (x + 0.7 * s, y - 0.25 * s), (x - 0.7 * s, y - 0.25 * s)], sail, "subject"),
            stroke([(x, y - 2.4 * s), (x, y)], 0.02, 0.02, INK, "detail"),
            polygon([(x - 1.3 * s, y - 0.2 * s), (x - 0.8 * s, y + 0.25 * s), (x + 0.8 * s, y + 0.25 * s), (x + 1.4 * s, y - 0.3 * s), (x + 0.8 * s, y), (x - 0.8 * s, y)], (104, 70, 50), "subject"),
        ]  # fmt: skip
    return shapes


def _bridge(rng: Rng) -> list[Shape]:
    low, rise, red = (
        rng.uniform(0.66, 0.76),
        rng.uniform(0.16, 0.28),
        vary(pick(rng, (VERMILION, (120, 80, 54))), rng, 8),
    )
    arch = bend(-0.05, low, 1.05, low, -rise, 13)
    shapes = [
        stroke([(p[0], p[1]), (p[0], 0.94)], 0.028, 0.028, shade(red), "decor")
        for p in arch[2:-2:2]
    ]
    shapes.append(stroke(arch, 0.075, 0.075, red))
    rail = arch - (0, 0.1)
    shapes += [stroke([p, r], 0.018, 0.018, red, "decor") for p, r in zip(arch, rail, strict=True)]
    return [*shapes, stroke(rail, 0.03, 0.03, red, "decor")]


def _gate(rng: Rng) -> list[Shape]:
    x, half, top, low = rng.uniform(0.4, 0.6), rng.uniform(0.2, 0.28), rng.uniform(0.26, 0.38), 0.9
    red = vary(VERMILION, rng, 8)
    shapes = [
        polygon(
            [
                (x + w * half - 0.035, low),
                (x + w * 0.92 * half - 0.028, top),
                (x + w * 0.92 * half + 0.028, top),
                (x + w * half + 0.035, low),
            ],
            red,
            "subject",
        )
        for w in (-1, 1)
    ]
    shapes.append(box(x - 1.1 * half, top + 0.13, x + 1.1 * half, top + 0.18, red))
    shapes.append(
        stroke(bend(x - 1.4 * half, top - 0.03, x + 1.4 * half, top - 0.03, 0.07), 0.08, 0.08, red)
    )
    return [
        *shapes,
        stroke(
            bend(x - 1.45 * half, top - 0.07, x + 1.45 * half, top - 0.07, 0.07),
            0.03,
            0.03,
            INK,
            "decor",
        ),
    ]


def _seal(rng: Rng) -> list[Shape]:
    """The cartouche with the maker's name, in a corner."""
    left, top = pick(rng, (0.05, 0.87)), rng.uniform(0.06, 0.12)
    tall = rng.uniform(0.16, 0.24)
    marks = [
        box(left + 0.03, y, left + 0.055, y + 0.018, INK, "detail")
        for y in np.arange(top + 0.03, top + tall - 0.03, 0.045)
    ]
    return [
        box(left, top, left + 0.085, top + tall, pick(rng, (VERMILION, PAPER)), "detail"),
        *marks,
    ]


def _scene(kind: str, rng: Rng, extra: str) -> list[Shape]:
    """What is cut into the blocks, from the back to the front."""
    blue, shapes = vary(pick(rng, (PRUSSIAN, (122, 160, 176), INDIGO)), rng, 8), []
    if extra == "a red sun":
        shapes += _sun(rng)
    if extra == "mount fuji":
        shapes += _fuji(rng, low=0.72, tall=rng.uniform(0.22, 0.34))
    if kind == "wave":
        return [*shapes, *_wave(rng)]
    if kind == "mountain":
        land = ridge(
            rng, rng.uniform(0.78, 0.86), 0.03, vary(pick(rng, (PINE, (150, 150, 96))), rng, 10)
        )
        pads = [blob(x, 0.88, 0.09, rng, PINE, ry=0.045) for x in rng.uniform(0, 1, 3)]
        return [*shapes, *_fuji(rng, low=0.88), land, *pads]
    if kind == "sakura":
        return [*shapes, ridge(rng, 0.93, 0.02, (164, 170, 120)), *_sakura(rng)]
    if kind == "pines":
        return [
            *shapes,
            *_water(rng, 0.7, blue)[:8],
            ridge(rng, 0.9, 0.03, (170, 160, 110)),
            *_pines(rng),
        ]
    if kind == "moon":
        r = rng.uniform(0.12, 0.18)
        disc = ellipse(
            rng.uniform(0.25, 0.75), rng.uniform(0.22, 0.36), r, r, (246, 238, 202), "sky"
        )
        grass = [
            stroke(
                bend(x, 1.02, x + rng.uniform(-0.16, 0.16), rng.uniform(0.5, 0.72), 0.12),
                0.022,
                0.006,
                (92, 104, 84),
                "decor",
            )
            for x in rng.uniform(0, 1, 9)
        ]
        return [disc, *shapes, *_water(rng, 0.76, mix(blue, INK, 0.3)), *grass]
    water = _water(rng, rng.uniform(0.56, 0.64), blue)
    return [*shapes, *water, *{"boats": _boats, "bridge": _bridge, "gate": _gate}[kind](rng)]


def prints(rng: Rng, side: int) -> tuple[Image.Image, str]:
    """A woodblock print: few pigments, skies that fade towards the horizon, a seal, old paper."""
    kind = pick(rng, SCENES, (2, 2, 2.5, 1.5, 1, 1, 1, 1))
    extra = pick(rng, ("", "a red sun", "mount fuji"), (3, 2, 1.4))
    if kind == "moon" or (kind == "mountain" and extra == "mount fuji"):
        extra = ""
    paper = vary(PAPER, rng, 7)
    if kind == "moon":
        sky = [(26, 36, 70), (62, 84, 120), (150, 160, 156)]
    else:
        high = pick(rng, (INDIGO, PRUSSIAN, (206, 120, 90), (226, 196, 130), paper))
        sky = [mix(paper, high, rng.uniform(0.6, 0.95)), mix(paper, high, 0.12), paper, paper]
    shapes = [*_scene(kind, rng, extra), *(_seal(rng) if rng.random() < 0.6 else [])]
    image = on_paper(paint(shapes, sky, side, pen=0.011, ink=INK), rng, 5)
    told = [pick(rng, TITLES[kind])]
    told += [extra] if extra and rng.random() < 0.8 else []
    start = pick(
        rng, ("a print of ", "a woodblock print of ", "an ukiyo-e print of ", ""), (5, 2, 2, 1.5)
    )
    return image, (start + " and ".join(told)) if rng.random() < 0.92 else "a woodblock print"
