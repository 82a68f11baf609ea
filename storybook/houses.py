"""A drawn family of houses: cottages, towers, barns, churches and windmills."""

import numpy as np
from PIL import Image

from storybook.landscape import HOURS, LANDS, NIGHT, landscape
from storybook.shapes import Colour, Shape, box, ellipse, mix, polygon, shade, tint
from storybook.sketch import Rng, a, blob, dye, paint, pick, stroke, vary

WALLS = ("white", "red", "yellow", "blue", "pink", "brown", "green", "orange", "grey")
ROOFS = ("red", "brown", "blue", "black", "green", "orange", "purple")
KINDS = ("house", "cottage", "tower", "church", "barn", "windmill")


def _window(x, y, wide, tall, lit: Colour, frame: Colour) -> list[Shape]:
    x0, y0, x1, y1 = x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2
    return [
        box(x0 - 0.012, y0 - 0.012, x1 + 0.012, y1 + 0.012, frame, "detail"),
        box(x0, y0, x1, y1, lit, "detail"),
        box(x - 0.007, y0, x + 0.007, y1, frame, "detail"),
        box(x0, y - 0.006, x1, y + 0.006, frame, "detail"),
    ]


def _house(x, low, wall: Colour, roof: Colour, lit: Colour, rng: Rng) -> list[Shape]:
    half, tall = rng.uniform(0.2, 0.34), rng.uniform(0.26, 0.44)
    peak, eaves = rng.uniform(0.16, 0.3), rng.uniform(0.03, 0.07)
    top, door = low - tall, x + rng.uniform(-0.5, 0.5) * half
    shapes: list[Shape] = []
    if rng.random() < 0.6:
        at = x + pick(rng, (-0.55, 0.55)) * half
        shapes.append(box(at - 0.035, top - 0.9 * peak, at + 0.035, top, shade(roof)))
        if rng.random() < 0.5:
            shapes += [
                blob(
                    at + 0.03 * k,
                    top - peak - 0.06 * k,
                    0.03 + 0.008 * k,
                    rng,
                    (236, 236, 240),
                    "decor",
                )
                for k in range(3)
            ]
    shapes.append(box(x - half, top, x + half, low, wall))
    inset = pick(rng, (1.0, 0.45, 0.15)) * half
    slopes = [
        (x - half - eaves, top),
        (x - half + inset, top - peak),
        (x + half - inset, top - peak),
        (x + half + eaves, top),
    ]
    shapes.append(polygon(slopes, roof, "subject"))
    shapes.append(
        box(
            door - 0.05,
            low - 0.17,
            door + 0.05,
            low,
            shade(mix(roof, (110, 70, 40), 0.5)),
            "detail",
        )
    )
    rows = 2 if tall > 0.36 else 1
    for row in range(rows):
        y = top + tall * (0.27 + 0.4 * row) + (0.03 if rows == 1 else 0)
        for at in np.linspace(x - 0.66 * half, x + 0.66 * half, 3):
            if row == rows - 1 and abs(at - door) < 0.12:
                continue
            shapes += _window(at, y, 0.085, 0.09, lit, tint(wall))
    return shapes


def _tower(x, low, wall: Colour, roof: Colour, lit: Colour, rng: Rng) -> list[Shape]:
    half, tall = rng.uniform(0.11, 0.17), rng.uniform(0.48, 0.6)
    top = low - tall
    shapes = [box(x - half, top, x + half, low, wall)]
    if rng.random() < 0.5:
        peak = rng.uniform(0.16, 0.26)
        shapes.append(
            polygon(
                [(x - 1.3 * half, top), (x, top - peak), (x + 1.3 * half, top)], roof, "subject"
            )
        )
    else:
        for dx in (-1.0, -0.34, 0.34, 1.0):
            shapes.append(
                box(
                    x + dx * half - 0.035,
                    top - 0.08,
                    x + dx * half + 0.035,
                    top + 0.02,
                    shade(wall),
                )
            )
        shapes.append(stroke([(x, top), (x, top - 0.24)], 0.015, 0.015, (90, 70, 60), "decor"))
        shapes.append(
            polygon([(x, top - 0.24), (x + 0.15, top - 0.2), (x, top - 0.15)], roof, "detail")
        )
    for share in (0.16, 0.42, 0.66):
        shapes += _window(x, top + share * tall, 0.06, 0.09, lit, shade(wall))
    shapes.append(box(x - 0.05, low - 0.13, x + 0.05, low, shade(shade(wall)), "detail"))
    return shapes


def _church(x, low, wall: Colour, roof: Colour, lit: Colour, rng: Rng) -> list[Shape]:
    way, tall = pick(rng, (-1, 1)), rng.uniform(0.24, 0.32)
    spire, bell = x - way * 0.2, low - tall - 0.22
    cap = [(spire - 0.12, bell), (spire, bell - 0.24), (spire + 0.12, bell)]
    shapes = [
        box(x - 0.28, low - tall, x + 0.28, low, wall),
        polygon([(x - 0.33, low - tall), (x - 0.2, low - tall - 0.17), (x + 0.2, low - tall - 0.17),
                 (x + 0.33, low - tall)], roof, "subject"),
        box(spire - 0.09, bell, spire + 0.09, low, tint(wall)),
        polygon(cap, roof, "subject"),
        ellipse(spire, low - tall - 0.1, 0.04, 0.05, lit, "detail"),
        box(spire - 0.04, low - 0.15, spire + 0.04, low, shade(roof), "detail"),
    ]  # fmt: skip
    for dx in (0.02, 0.18):
        shapes += _window(x + way * dx, low - 0.55 * tall, 0.06, 0.12, lit, shade(wall))
    return shapes


def _barn(x, low, wall: Colour, roof: Colour, lit: Colour, rng: Rng) -> list[Shape]:
    half, tall, white = rng.uniform(0.28, 0.36), rng.uniform(0.26, 0.34), (246, 242, 234)
    top = low - tall
    gable = [(x - half, low), (x - half, top), (x - 0.7 * half, top - 0.17), (x, top - 0.25),
             (x + 0.7 * half, top - 0.17), (x + half, top), (x + half, low)]  # fmt: skip
    edge = np.array(gable[1:6])
    shapes = [polygon(gable, wall, "subject"), stroke(edge, 0.05, 0.05, roof)]
    shapes.append(box(x - 0.12, low - 0.22, x + 0.12, low, white, "detail"))
    shapes.append(box(x - 0.1, low - 0.2, x + 0.1, low, shade(wall), "detail"))
    for ends in (((x - 0.1, low), (x + 0.1, low - 0.2)), ((x - 0.1, low - 0.2), (x + 0.1, low))):
        shapes.append(stroke(ends, 0.018, 0.018, white, "detail"))
    return [*shapes, *_window(x, top - 0.05, 0.09, 0.09, lit, white)]


def _windmill(x, low, wall: Colour, roof: Colour, lit: Colour, rng: Rng) -> list[Shape]:
    tall, turn = rng.uniform(0.46, 0.54), rng.uniform(0, np.pi / 2)
    top = low - tall
    mill = [(x - 0.17, low), (x - 0.11, top), (x + 0.11, top), (x + 0.17, low)]
    shapes = [
        polygon(mill, wall, "subject"),
        polygon([(x - 0.14, top), (x, top - 0.14), (x + 0.14, top)], roof, "subject"),
        box(x - 0.045, low - 0.14, x + 0.045, low, shade(roof), "detail"),
        *_window(x, low - 0.27, 0.06, 0.07, lit, shade(wall)),
    ]  # fmt: skip
    for t in turn + np.arange(4) * np.pi / 2:
        c, s = 0.34 * np.cos(t), 0.34 * np.sin(t)
        sail = [
            (x, top),
            (x + c, top + s),
            (x + c - 0.28 * s, top + s + 0.28 * c),
            (x - 0.08 * s, top + 0.08 * c),
        ]
        shapes.append(polygon(sail, vary((244, 236, 214), rng, 6), "subject"))
        shapes.append(stroke([(x, top), (x + c, top + s)], 0.026, 0.018, (96, 66, 44), "detail"))
    return shapes


_BUILT = {
    "house": _house, "cottage": _house, "tower": _tower, "church": _church, "barn": _barn,
    "windmill": _windmill,
}  # fmt: skip


def houses(rng: Rng, side: int) -> tuple[Image.Image, str]:
    """One building in a landscape, its windows lit at night."""
    kind, hour = pick(rng, KINDS, (4, 2, 1.5, 1.5, 1.5, 1)), pick(rng, tuple(HOURS), (4, 2, 3, 1))
    place, wall, roof = pick(rng, tuple(LANDS)), pick(rng, WALLS), pick(rng, ROOFS)
    lit = vary((86, 112, 140), rng, 10)
    front, top = dye(wall, rng, 10), dye(roof, rng, 10)
    if hour == "at night" or rng.random() < 0.15:
        lit = (255, 222, 110)
    if hour == "at night":
        front, top = mix(front, NIGHT, 0.4), mix(top, NIGHT, 0.4)
    low = rng.uniform(0.82, 0.92)
    behind, sky, ground = landscape(place, hour, low, rng)
    built = _BUILT[kind](rng.uniform(0.38, 0.62), low + 0.02, front, top, lit, rng)
    bushes, green = [], mix((60, 120, 56), ground, 0.4)
    for x in rng.uniform(0, 1, int(rng.integers(0, 4))):
        bushes.append(blob(x, low + 0.03, rng.uniform(0.05, 0.09), rng, green, "decor"))
    noun = "house" if rng.random() < 0.3 else kind
    said = a(f"{wall} {noun}" if rng.random() < 0.7 else noun)
    said += f" with {a(roof + ' roof')}" if kind not in ("tower",) and rng.random() < 0.35 else ""
    said += f" {place}" if rng.random() < 0.4 else ""
    said += f" {hour}" if rng.random() < 0.5 else ""
    return paint([*behind, *built, *bushes], sky, side, pen=0.011), said
