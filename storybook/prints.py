"""A drawn family of woodblock prints: waves, a mountain, a red sun, pines and blossom on paper."""

import numpy as np
from PIL import Image

from storybook.shapes import Colour, Shape, box, ellipse, mix, polygon, shade
from storybook.sketch import (
    Rng,
    bend,
    blob,
    mirrored,
    on_paper,
    paint,
    pick,
    ridge,
    stretch,
    stroke,
    vary,
)

PAPER: Colour = (238, 226, 196)
INDIGO: Colour = (34, 62, 110)
PRUSSIAN: Colour = (58, 104, 152)
FOAM: Colour = (246, 240, 222)
VERMILION: Colour = (206, 62, 42)
PINE: Colour = (52, 88, 66)
BLOSSOM: Colour = (240, 172, 182)
CHERRY: Colour = (196, 66, 96)
WOOD: Colour = (104, 70, 50)
INK: Colour = (40, 38, 46)

TITLES = {
    "wave": ("a great wave", "waves", "a wave"),
    "mountain": ("mount fuji", "a mountain"),
    "sakura": ("a sakura tree", "sakura blossom", "a blossoming sakura branch"),
    "pines": ("pines", "pine trees"),
    "moon": ("the moon", "a full moon"),
    "boats": ("boats", "a boat on the water"),
    "bridge": ("a bridge", "a bridge over the water"),
    "gate": ("a red gate", "a gate in the water"),
}
CHANCES = (2, 2, 3, 1.5, 1, 1, 1, 1)


def _fuji(rng: Rng, low: float, tall: float) -> list[Shape]:
    """A mountain of hollow slopes, its snow running down in tongues."""
    x, wide = rng.uniform(0.3, 0.7), tall * rng.uniform(0.95, 1.25)
    reach = np.linspace(0, 1, 13)
    fall = low - tall + tall * reach**0.72
    right = np.stack([x + 0.05 + wide * reach, fall], 1)
    left = np.stack([x - 0.05 - wide * reach, fall], 1)[::-1]
    earth = vary(pick(rng, (INDIGO, PRUSSIAN, (158, 74, 54), (70, 92, 104))), rng, 8)
    cap = int(rng.integers(3, 6))
    edge_x = np.linspace(right[cap, 0], left[-cap - 1, 0], 7)
    tongues = np.where(np.arange(7) % 2 == 0, 0.0, rng.uniform(0.06, 0.2, 7)) * tall
    edge = np.stack([edge_x, fall[cap] + tongues], 1)
    snow = np.concatenate([left[-cap - 1 :], right[: cap + 1], edge])
    return [polygon(np.concatenate([left, right]), earth, "subject"), polygon(snow, FOAM, "detail")]


def _water(rng: Rng, top: float, colour: Colour) -> list[Shape]:
    """The sea: a sheet with rows of small strokes."""
    shapes = [box(-0.02, top, 1.02, 1.02, colour, "ground")]
    light = mix(colour, FOAM, 0.55)
    for y in np.linspace(top + 0.04, 1.0, 6):
        for x in rng.uniform(-0.05, 1, 3):
            line = bend(x, y, x + rng.uniform(0.1, 0.22), y, rng.uniform(-0.08, 0.08))
            shapes.append(stroke(line, 0.008, 0.016, light, "decor"))
    return shapes


def _wave(rng: Rng) -> list[Shape]:
    """A wave that rears up from one side and curls, with claws of foam."""
    high, blue = rng.uniform(0.12, 0.26), vary(pick(rng, (INDIGO, PRUSSIAN)), rng, 8)
    front = [(0.2, 0.14), (0.36, 0), (0.52, 0.01), (0.66, 0.1), (0.7, 0.24), (0.62, 0.2)]
    crest = np.array([*front, (0.52, 0.2)]) + np.array([0, high])
    body = [(-0.05, 0.72), (0.06, 0.5), *crest, (0.44, high + 0.32), (0.46, 0.7), (0.62, 0.86)]
    far = [(0.3, 1.05), (0.5, 0.82), (0.72, 0.74), (0.9, 0.64), (1.05, 0.7), (1.05, 1.05)]
    shapes = [
        polygon(far, shade(blue), "subject"),
        polygon([*body, (0.5, 1.05), (-0.05, 1.05)], blue, "subject"),
    ]
    for share in (0.14, 0.29, 0.44, 0.59):
        end = (0.3 + share * 0.35, high + 0.08 + 0.1 * share)
        inner = bend(0.02 + share * 0.5, 0.98, *end, -0.24)
        shapes.append(stroke(inner, 0.045, 0.012, mix(blue, FOAM, 0.45), "detail"))
    steps = np.linspace(0, len(crest) - 1, 13)
    foam = np.stack([np.interp(steps, np.arange(len(crest)), crest[:, k]) for k in (0, 1)], 1)
    for x, y in foam:
        shapes.append(blob(x, y, rng.uniform(0.03, 0.055), rng, FOAM, "decor", rough=0.2))
    spray = np.stack([rng.uniform(0.45, 0.9, 7), high + rng.uniform(-0.06, 0.34, 7)], 1)
    shapes += [ellipse(x, y, 0.012, 0.012, FOAM, "decor", corners=8) for x, y in spray]
    shapes.append(ridge(rng, 0.9, 0.03, mix(blue, PRUSSIAN, 0.5), "subject"))
    shapes += [blob(x, 0.9, 0.035, rng, FOAM, "decor", ry=0.02) for x in rng.uniform(0, 1, 4)]
    return mirrored(shapes) if rng.random() < 0.5 else shapes


def _branch(rng: Rng, x, y, angle, length, wide, forks: int) -> tuple[list[Shape], list]:
    """A branch that forks, and the places where something can grow on it."""
    end = (x + length * np.cos(angle), y + length * np.sin(angle))
    curve = bend(x, y, *end, rng.uniform(-0.12, 0.12))
    shapes, places = [stroke(curve, wide, 0.55 * wide, vary((74, 54, 48), rng, 6))], []
    places += list(curve[3:] if forks < 3 else curve[6:])
    for way in (-1, 1) if forks else ():
        turn = angle + way * rng.uniform(0.35, 0.9)
        px, py = curve[int(rng.integers(4, 9))]
        far = length * rng.uniform(0.5, 0.75)
        more, grown = _branch(rng, px, py, turn, far, 0.6 * wide, forks - 1)
        shapes, places = shapes + more, places + grown
    return shapes, places


def _sakura(rng: Rng) -> list[Shape]:
    """A tree, or a branch from the edge, in blossom; petals fall."""
    pink = vary(BLOSSOM, rng, 9)
    if rng.random() < 0.6:
        up, x = -np.pi / 2 + rng.uniform(-0.25, 0.25), rng.uniform(0.35, 0.65)
        wood, places = _branch(rng, x, 1.04, up, rng.uniform(0.4, 0.5), 0.1, 3)
    else:
        side, start = rng.uniform(-0.6, 0.1), rng.uniform(0.3, 0.8)
        wood, places = _branch(rng, -0.04, start, side, rng.uniform(0.6, 0.8), 0.06, 3)
    chosen = np.array(places)[rng.permutation(len(places))[: int(rng.integers(34, 70))]]
    shapes = list(wood)
    for x, y in chosen + rng.normal(0, 0.035, chosen.shape):
        r, hue = rng.uniform(0.035, 0.07), vary(pink, rng, 12)
        shapes.append(blob(x, y, r, rng, hue, "decor", rough=0.16))
    for x, y in chosen[::3] + rng.normal(0, 0.03, chosen[::3].shape):
        shapes.append(ellipse(x, y, 0.013, 0.013, CHERRY, "decor", corners=7))
    for x, y in rng.uniform(0, 1, (6, 2)):
        shapes.append(ellipse(x, y, 0.016, 0.011, pink, "decor", corners=8))
    return mirrored(shapes) if rng.random() < 0.5 else shapes


def _pines(rng: Rng) -> list[Shape]:
    """Old pines by a shore: bent trunks, flat pads of needles."""
    shapes: list[Shape] = []
    for x in np.linspace(0.15, 0.85, int(rng.integers(1, 4))) + rng.uniform(-0.1, 0.1):
        lean, tall = rng.uniform(-0.22, 0.22), rng.uniform(0.42, 0.7)
        trunk = bend(x, 0.98, x + lean, 0.98 - tall, rng.uniform(-0.2, 0.2))
        shapes.append(stroke(trunk, 0.06, 0.03, vary((92, 62, 48), rng, 8)))
        for at in trunk[3:]:
            r, px, green = rng.uniform(0.1, 0.18), at[0] + rng.uniform(-0.12, 0.12), vary(PINE, rng)
            light = mix(green, FOAM, 0.3)
            shapes.append(blob(px, at[1], r, rng, green, ry=0.4 * r, rough=0.06))
            shapes.append(ellipse(px, at[1] - 0.018, 0.7 * r, 0.16 * r, light, "detail"))
    return shapes


def _boats(rng: Rng) -> list[Shape]:
    sail = [(-0.6, -2.2), (0.5, -2.2), (0.7, -0.25), (-0.7, -0.25)]
    hull = [(-1.3, -0.2), (-0.8, 0.25), (0.8, 0.25), (1.4, -0.3), (0.8, 0), (-0.8, 0)]
    shapes: list[Shape] = []
    for y in np.sort(rng.uniform(0.64, 0.9, int(rng.integers(1, 4)))):
        boat = [
            polygon(sail, vary(FOAM, rng, 8), "subject"),
            stroke([(0, -2.4), (0, 0)], 0.14, 0.14, INK, "detail"),
            polygon(hull, WOOD, "subject"),
        ]
        large = rng.uniform(0.1, 0.17)
        shapes += stretch(boat, rng.uniform(0.15, 0.85), y, large, large)
    return shapes


def _bridge(rng: Rng) -> list[Shape]:
    low, rise = rng.uniform(0.66, 0.76), rng.uniform(0.16, 0.28)
    red = vary(pick(rng, (VERMILION, (120, 80, 54))), rng, 8)
    arch = bend(-0.05, low, 1.05, low, -rise, 13)
    rail = arch - (0, 0.1)
    posts = [stroke([p, (p[0], 0.94)], 0.028, 0.028, shade(red), "decor") for p in arch[2:-2:2]]
    bars = [stroke([p, r], 0.018, 0.018, red, "decor") for p, r in zip(arch, rail, strict=True)]
    return [*posts, stroke(arch, 0.075, 0.075, red), *bars, stroke(rail, 0.03, 0.03, red, "decor")]


def _gate(rng: Rng) -> list[Shape]:
    x, half, top = rng.uniform(0.4, 0.6), rng.uniform(0.2, 0.28), rng.uniform(0.26, 0.38)
    red, beam, edge = vary(VERMILION, rng, 8), 1.4 * half, 1.45 * half
    legs = [[(x + w, 0.9), (x + 0.92 * w, top)] for w in (-half, half)]
    roof = bend(x - beam, top - 0.03, x + beam, top - 0.03, 0.07)
    tiles = bend(x - edge, top - 0.07, x + edge, top - 0.07, 0.07)
    return [
        *(stroke(leg, 0.07, 0.055, red) for leg in legs),
        box(x - 1.1 * half, top + 0.13, x + 1.1 * half, top + 0.18, red),
        stroke(roof, 0.08, 0.08, red),
        stroke(tiles, 0.03, 0.03, INK, "decor"),
    ]


def _grasses(rng: Rng) -> list[Shape]:
    blades = []
    for x in rng.uniform(0, 1, 9):
        blade = bend(x, 1.02, x + rng.uniform(-0.16, 0.16), rng.uniform(0.5, 0.72), 0.12)
        blades.append(stroke(blade, 0.022, 0.006, (92, 104, 84), "decor"))
    return blades


def _seal(rng: Rng) -> list[Shape]:
    """The cartouche with the maker's name, in a corner."""
    left, top, tall = pick(rng, (0.05, 0.87)), rng.uniform(0.06, 0.12), rng.uniform(0.16, 0.24)
    lines = np.arange(top + 0.03, top + tall - 0.03, 0.045)
    marks = [box(left + 0.03, y, left + 0.055, y + 0.018, INK, "detail") for y in lines]
    ground = pick(rng, (VERMILION, PAPER))
    return [box(left, top, left + 0.085, top + tall, ground, "detail"), *marks]


def _scene(kind: str, extra: str, rng: Rng) -> list[Shape]:
    """What is cut into the blocks, from the back to the front."""
    blue, r = vary(pick(rng, (PRUSSIAN, (122, 160, 176), INDIGO)), rng, 8), rng.uniform(0.1, 0.17)
    at = (rng.uniform(0.18, 0.82), rng.uniform(0.18, 0.34))
    behind: list[Shape] = []
    if extra == "a red sun":
        behind = [ellipse(*at, r, r, vary(VERMILION, rng, 8), "sky")]
    if extra == "mount fuji":
        behind = _fuji(rng, 0.76, rng.uniform(0.3, 0.44))
    if kind == "wave":
        return [*behind, *_wave(rng)]
    if kind == "mountain":
        low = vary(pick(rng, (PINE, (150, 150, 96))), rng, 10)
        pads = [blob(x, 0.9, 0.09, rng, PINE, ry=0.045) for x in rng.uniform(0, 1, 3)]
        mountain = _fuji(rng, 0.9, rng.uniform(0.46, 0.64))
        return [*behind, *mountain, ridge(rng, 0.86, 0.03, low), *pads]
    if kind == "sakura":
        return [*behind, ridge(rng, 0.93, 0.02, (164, 170, 120)), *_sakura(rng)]
    if kind == "pines":
        shore = ridge(rng, 0.9, 0.03, (170, 160, 110))
        return [*behind, *_water(rng, 0.7, blue)[:8], shore, *_pines(rng)]
    if kind == "moon":
        disc = ellipse(*at, 1.1 * r, 1.1 * r, (246, 238, 202), "sky")
        return [disc, *_water(rng, 0.76, mix(blue, INK, 0.3)), *_grasses(rng)]
    stands = {"boats": _boats, "bridge": _bridge, "gate": _gate}[kind](rng)
    return [*behind, *_water(rng, rng.uniform(0.56, 0.64), blue), *stands]


def prints(rng: Rng, side: int) -> tuple[Image.Image, str]:
    """A woodblock print: few pigments, skies that fade towards the horizon, a seal, old paper."""
    kind = pick(rng, tuple(TITLES), CHANCES)
    extra = pick(rng, ("", "a red sun", "mount fuji"), (3, 2, 1.4))
    if kind == "moon" or (kind == "mountain" and extra == "mount fuji"):
        extra = ""
    paper = vary(PAPER, rng, 7)
    sky = [(26, 36, 70), (62, 84, 120), (150, 160, 156)]
    if kind != "moon":
        high = pick(rng, (INDIGO, PRUSSIAN, (206, 120, 90), (226, 196, 130), paper))
        sky = [mix(paper, high, rng.uniform(0.6, 0.95)), mix(paper, high, 0.12), paper, paper]
    shapes = _scene(kind, extra, rng) + (_seal(rng) if rng.random() < 0.6 else [])
    image = on_paper(paint(shapes, sky, side, pen=0.011, ink=INK), rng, 5)
    if rng.random() < 0.08:
        return image, "a woodblock print"
    told = [pick(rng, TITLES[kind])]
    told += [extra] if extra and rng.random() < 0.8 else []
    start = pick(rng, ("a print of ", "a woodblock print of ", "an ukiyo-e print of "), (5, 2, 2))
    return image, start + " and ".join(told)
