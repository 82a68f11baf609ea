"""Where and when: backgrounds of a picture `width` heights wide, as shapes from back to front."""

from collections.abc import Callable

import numpy as np

from storybook.shapes import Colour, Layer, Shape, box, ellipse, mix, polygon

Rng = np.random.Generator

SKIES: dict[str, tuple[Colour, Colour]] = {  # sky, and the light that falls on everything
    "day": ((150, 208, 244), (255, 255, 255)),
    "sunset": ((250, 160, 104), (255, 196, 150)),
    "night": ((28, 34, 92), (112, 118, 176)),
}


def sky(width: float, time: str, rng: Rng) -> list[Shape]:
    """The sky of a time of day with its sun, clouds, moon or stars."""
    colour = SKIES[time][0]
    shapes = [box(0, 0, width, 1, colour, "sky")]
    x = width * (rng.uniform(0.1, 0.26) if rng.random() < 0.5 else rng.uniform(0.74, 0.9))
    y = rng.uniform(0.12, 0.2)
    if time == "day":
        shapes.append(ellipse(x, y, 0.085, 0.085, (255, 222, 70), "decor", corners=20))
        for _ in range(int(rng.integers(0, 3))):
            cx, cy = rng.uniform(0.1, width - 0.1), rng.uniform(0.06, 0.26)
            for dx, r in ((-0.06, 0.035), (0.0, 0.05), (0.06, 0.035)):
                shapes.append(ellipse(cx + dx, cy, r * 1.4, r, (246, 250, 253), "sky", corners=14))
    elif time == "sunset":
        y = rng.uniform(0.4, 0.52)
        shapes.append(box(0, 0, width, 0.22, mix(colour, (150, 70, 130), 0.45), "sky"))
        shapes.append(ellipse(x, y, 0.12, 0.12, (255, 226, 120), "decor", corners=20))
    else:
        for _ in range(round(16 * width)):
            sx, sy = rng.uniform(0, width), rng.uniform(0, 0.55)
            shapes.append(ellipse(sx, sy, 0.009, 0.009, (250, 244, 200), "sky", corners=6))
        shapes.append(ellipse(x, y, 0.1, 0.1, (250, 244, 206), "decor", corners=20))
    return shapes


def _lit(time: str) -> Callable[[Colour], Colour]:
    """Colours as they look in the light of that time of day."""
    light = SKIES[time][1]

    def lit(colour: Colour) -> Colour:
        red, green, blue = (round(c * part / 255) for c, part in zip(colour, light, strict=True))
        return red, green, blue

    return lit


def _hill(width, y, amplitude, phase, colour, layer: Layer = "ground") -> Shape:
    x = np.linspace(0, width, 24)
    top = y + amplitude * np.sin(2.6 * x + phase)
    points = np.concatenate([np.stack([x, top], 1), [[width, 1.0], [0.0, 1.0]]])
    return Shape(points, colour, layer)


def meadow(width: float, time: str, rng: Rng) -> list[Shape]:
    lit, phase = _lit(time), rng.uniform(0, 6)
    shapes = [
        _hill(width, 0.62, 0.05, phase, lit((120, 186, 96))),
        _hill(width, 0.74, 0.03, phase + 2, lit((92, 166, 76))),
    ]
    for _ in range(round(9 * width)):
        x, y = rng.uniform(0, width), rng.uniform(0.8, 0.98)
        colour = [(250, 240, 120), (250, 250, 250), (240, 150, 180)][int(rng.integers(3))]
        shapes.append(ellipse(x, y, 0.014, 0.014, lit(colour), "decor", corners=8))
    return shapes


def desert(width: float, time: str, rng: Rng) -> list[Shape]:
    lit, phase = _lit(time), rng.uniform(0, 6)
    shapes = [
        _hill(width, 0.6, 0.06, phase, lit((240, 208, 136))),
        _hill(width, 0.76, 0.05, phase + 2.4, lit((226, 184, 104))),
    ]
    green = lit((70, 140, 80))
    for _ in range(int(rng.integers(1, 3))):
        x = width * (rng.uniform(0.05, 0.2) if rng.random() < 0.5 else rng.uniform(0.8, 0.95))
        shapes += [
            box(x - 0.025, 0.46, x + 0.025, 0.76, green, "decor"),
            box(x - 0.085, 0.54, x - 0.05, 0.64, green, "decor"),
            box(x - 0.085, 0.61, x, 0.645, green, "decor"),
            box(x + 0.05, 0.5, x + 0.085, 0.6, green, "decor"),
            box(x, 0.575, x + 0.085, 0.61, green, "decor"),
        ]
    return shapes


def snow(width: float, time: str, rng: Rng) -> list[Shape]:
    lit, phase = _lit(time), rng.uniform(0, 6)
    shapes = []
    for x in np.arange(rng.uniform(-0.1, 0.1), width + 0.1, 0.2):
        h = rng.uniform(0.26, 0.36)
        for top in (0.0, 0.09):
            corners = [(x - 0.11, 0.68), (x, 0.68 - h + top), (x + 0.11, 0.68)]
            shapes.append(polygon(corners, lit((74, 128, 108)), "decor"))
        tip = [(x - 0.045, 0.68 - h * 0.6), (x, 0.68 - h), (x + 0.045, 0.68 - h * 0.6)]
        shapes.append(polygon(tip, lit((244, 248, 255)), "decor"))
    shapes += [
        _hill(width, 0.66, 0.03, phase, lit((228, 238, 250))),
        _hill(width, 0.78, 0.03, phase + 2, lit((248, 251, 255))),
    ]
    return shapes


def sea(width: float, time: str, rng: Rng) -> list[Shape]:
    lit = _lit(time)
    shapes = [box(0, 0.55, width, 1, lit((48, 132, 196)), "ground")]
    for row, y in enumerate((0.62, 0.74, 0.87)):
        shift = rng.uniform(0, 0.25)
        for x in np.arange(-0.25, width + 0.25, 0.25):
            left = x + shift
            crest = [(left, y), (left + 0.06, y - 0.035), (left + 0.14, y), (left + 0.06, y - 0.01)]
            shapes.append(polygon(crest, lit((206, 232, 246)), "decor" if row else "ground"))
    return shapes


def mountains(width: float, time: str, rng: Rng) -> list[Shape]:
    lit = _lit(time)
    shapes = []
    for x in np.arange(rng.uniform(-0.2, 0.05), width + 0.3, 0.36):
        h, w = rng.uniform(0.34, 0.46), rng.uniform(0.3, 0.36)
        grey = lit(mix((120, 116, 150), (150, 130, 150), float(rng.random())))
        shapes.append(polygon([(x - w, 0.72), (x, 0.72 - h), (x + w, 0.72)], grey, "ground"))
        cap = [(x - w * 0.27, 0.72 - h * 0.73), (x, 0.72 - h), (x + w * 0.27, 0.72 - h * 0.73),
               (x + w * 0.1, 0.72 - h * 0.66), (x - w * 0.08, 0.72 - h * 0.78)]  # fmt: skip
        shapes.append(polygon(cap, lit((250, 250, 255)), "decor"))
    shapes.append(_hill(width, 0.7, 0.02, rng.uniform(0, 6), lit((112, 122, 96))))
    return shapes


def city(width: float, time: str, rng: Rng) -> list[Shape]:
    lit = _lit(time)
    shapes = []
    x = rng.uniform(-0.1, 0.0)
    window = (255, 232, 130) if time != "day" else (206, 226, 240)
    while x < width:
        w, h = rng.uniform(0.14, 0.2), rng.uniform(0.22, 0.5)
        grey = lit(mix((128, 132, 148), (168, 150, 144), float(rng.random())))
        shapes.append(box(x, 0.74 - h, x + w, 0.78, grey, "ground"))
        for wx in (x + 0.03, x + w / 2 + 0.015):
            for wy in np.arange(0.74 - h + 0.04, 0.7, 0.1):
                shapes.append(box(wx, wy, wx + 0.035, wy + 0.045, window, "decor"))
        x += w + 0.012
    shapes.append(box(0, 0.76, width, 1, lit((126, 126, 132)), "ground"))
    for x in np.arange(0.02, width, 0.24):
        shapes.append(box(x, 0.9, x + 0.12, 0.925, lit((244, 236, 200)), "decor"))
    return shapes


SETTINGS: dict[str, Callable[[float, str, Rng], list[Shape]]] = {
    "meadow": meadow,
    "desert": desert,
    "snow": snow,
    "sea": sea,
    "mountains": mountains,
    "city": city,
}
