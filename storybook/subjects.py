"""The twelve things that storybook pictures show, each in its own [-1, 1] square, in one colour."""

from collections.abc import Callable

import numpy as np

from storybook.shapes import (
    BLACK,
    WHITE,
    Colour,
    Shape,
    box,
    ellipse,
    mix,
    polygon,
    shade,
    tint,
)

WOOD: Colour = (128, 84, 50)
LEAF: Colour = (58, 132, 62)
GLASS: Colour = (255, 236, 150)


def _eye(x: float, y: float, size: float = 0.06) -> list[Shape]:
    return [ellipse(x, y, size, size * 1.15, BLACK, "detail", corners=12)]


def cat(colour: Colour) -> list[Shape]:
    tail = [
        (0.42, 0.8),
        (0.7, 0.7),
        (0.82, 0.3),
        (0.74, -0.12),
        (0.9, -0.1),
        (1, 0.34),
        (0.84, 0.86),
    ]
    return [
        polygon([*tail, (0.5, 0.98)], shade(colour), "subject"),
        ellipse(0.05, 0.45, 0.55, 0.55, colour),
        ellipse(0.02, 0.6, 0.28, 0.36, tint(colour)),
        polygon([(-0.62, -0.3), (-0.6, -0.98), (-0.2, -0.66)], colour, "subject"),
        polygon([(0.46, -0.3), (0.44, -0.98), (0.04, -0.66)], colour, "subject"),
        ellipse(-0.08, -0.3, 0.57, 0.46, colour),
        *_eye(-0.3, -0.34, 0.08),
        *_eye(0.14, -0.34, 0.08),
        polygon([(-0.15, -0.19), (-0.01, -0.19), (-0.08, -0.09)], (225, 110, 120), "detail"),
    ]


def rabbit(colour: Colour) -> list[Shape]:
    return [
        ellipse(-0.3, -0.66, 0.13, 0.38, colour, turn=-0.15),
        ellipse(0.06, -0.66, 0.13, 0.38, colour, turn=0.15),
        ellipse(-0.29, -0.64, 0.06, 0.26, tint(colour), turn=-0.15),
        ellipse(0.05, -0.64, 0.06, 0.26, tint(colour), turn=0.15),
        ellipse(0.58, 0.72, 0.18, 0.18, tint(colour)),
        ellipse(0.08, 0.52, 0.52, 0.48, colour),
        ellipse(0.02, 0.66, 0.26, 0.28, tint(colour)),
        ellipse(-0.12, -0.12, 0.4, 0.37, colour),
        *_eye(-0.28, -0.16, 0.07),
        *_eye(0.04, -0.16, 0.07),
        ellipse(-0.12, 0.0, 0.07, 0.05, (225, 110, 120), "detail", corners=12),
    ]


def bird(colour: Colour) -> list[Shape]:
    beak = (240, 160, 40)
    return [
        polygon([(0.35, -0.05), (1.0, -0.42), (0.9, 0.22), (0.4, 0.35)], shade(colour), "subject"),
        box(-0.14, 0.5, -0.06, 0.95, beak, "detail"),
        box(0.12, 0.5, 0.2, 0.95, beak, "detail"),
        ellipse(0.02, 0.15, 0.62, 0.5, colour),
        polygon([(-0.86, -0.42), (-1.0, -0.25), (-0.7, -0.2)], beak, "subject"),
        ellipse(-0.5, -0.38, 0.36, 0.36, colour),
        polygon([(-0.15, 0.0), (0.55, -0.05), (0.2, 0.42)], shade(colour), "subject"),
        *_eye(-0.6, -0.44, 0.07),
    ]


def fish(colour: Colour) -> list[Shape]:
    return [
        polygon([(0.4, 0.0), (1.0, -0.52), (0.86, 0.0), (1.0, 0.52)], shade(colour), "subject"),
        polygon([(-0.2, -0.4), (0.12, -0.78), (0.4, -0.28)], shade(colour), "subject"),
        polygon([(-0.1, 0.4), (0.16, 0.72), (0.34, 0.28)], shade(colour), "subject"),
        ellipse(-0.15, 0.0, 0.78, 0.5, colour),
        ellipse(-0.2, 0.2, 0.5, 0.24, tint(colour)),
        polygon([(-0.3, -0.4), (-0.2, 0.0), (-0.3, 0.4), (-0.38, 0.0)], shade(colour), "detail"),
        ellipse(-0.58, -0.12, 0.13, 0.13, WHITE, "detail", corners=14),
        *_eye(-0.58, -0.12, 0.07),
    ]


def house(colour: Colour) -> list[Shape]:
    return [
        box(0.36, -0.9, 0.58, -0.3, shade(shade(colour)), "subject"),
        box(-0.72, -0.15, 0.72, 0.95, colour),
        polygon([(-0.98, -0.12), (0.0, -0.92), (0.98, -0.12)], shade(colour), "subject"),
        box(-0.16, 0.35, 0.2, 0.95, BLACK, "detail"),
        box(-0.56, 0.12, -0.28, 0.4, GLASS, "detail"),
        box(0.32, 0.12, 0.6, 0.4, GLASS, "detail"),
    ]


def tent(colour: Colour) -> list[Shape]:
    return [
        polygon([(-0.98, 0.9), (0.0, -0.72), (0.98, 0.9)], colour, "subject"),
        polygon([(-0.3, -0.22), (0.0, -0.72), (-0.36, 0.9), (-0.66, 0.9)], tint(colour), "detail"),
        polygon([(0.3, -0.22), (0.0, -0.72), (0.36, 0.9), (0.66, 0.9)], tint(colour), "detail"),
        polygon([(-0.2, 0.9), (0.0, 0.02), (0.2, 0.9)], BLACK, "detail"),
        box(-0.03, -0.98, 0.03, -0.68, WOOD, "detail"),
        polygon([(0.03, -0.98), (0.34, -0.86), (0.03, -0.76)], shade(colour), "detail"),
    ]


def tree(colour: Colour) -> list[Shape]:
    return [
        polygon([(-0.13, 0.98), (-0.1, 0.1), (0.1, 0.1), (0.17, 0.98)], WOOD, "subject"),
        ellipse(-0.4, 0.02, 0.42, 0.36, colour),
        ellipse(0.4, 0.02, 0.42, 0.36, colour),
        ellipse(0.0, -0.42, 0.52, 0.5, colour),
        ellipse(0.0, -0.04, 0.4, 0.3, colour),
        ellipse(-0.16, -0.56, 0.22, 0.18, tint(colour), "detail"),
    ]


def flower(colour: Colour) -> list[Shape]:
    petals = []
    for angle in np.arange(6) * np.pi / 3:
        x, y = 0.42 * np.cos(angle), -0.38 + 0.42 * np.sin(angle)
        petals.append(ellipse(x, y, 0.31, 0.24, colour, turn=angle))
    middle = (90, 58, 36) if colour[0] > 220 and colour[1] > 170 else (252, 200, 40)
    return [
        box(-0.06, -0.2, 0.06, 0.98, LEAF),
        ellipse(0.3, 0.6, 0.28, 0.12, LEAF, turn=-0.5),
        ellipse(-0.3, 0.72, 0.28, 0.12, LEAF, turn=0.5),
        *petals,
        ellipse(0.0, -0.38, 0.23, 0.23, middle, "detail"),
    ]


def boat(colour: Colour) -> list[Shape]:
    return [
        box(-0.05, -0.95, 0.04, 0.45, WOOD, "subject"),
        polygon([(0.08, -0.9), (0.85, 0.3), (0.08, 0.3)], colour, "subject"),
        polygon([(-0.1, -0.7), (-0.72, 0.3), (-0.1, 0.3)], tint(colour), "subject"),
        polygon([(-0.98, 0.42), (0.98, 0.42), (0.62, 0.9), (-0.66, 0.9)], colour, "subject"),
        polygon([(-0.98, 0.42), (0.98, 0.42), (0.9, 0.54), (-0.9, 0.54)], shade(colour), "detail"),
    ]


def car(colour: Colour) -> list[Shape]:
    tyre = (40, 40, 46)
    cabin = [(-0.58, 0.02), (-0.36, -0.5), (0.36, -0.5), (0.62, 0.02)]
    return [
        polygon(cabin, colour, "subject"),
        polygon([(-0.45, 0.0), (-0.29, -0.38), (-0.04, -0.38), (-0.04, 0.0)], GLASS, "detail"),
        polygon([(0.06, 0.0), (0.06, -0.38), (0.3, -0.38), (0.48, 0.0)], GLASS, "detail"),
        polygon([(-0.98, 0.08), (-0.9, 0.0), (0.9, 0.0), (0.98, 0.14), (0.98, 0.5), (-0.98, 0.5)],
                colour, "subject"),
        box(-0.98, 0.36, 0.98, 0.5, shade(colour), "detail"),
        ellipse(-0.52, 0.52, 0.25, 0.25, tyre),
        ellipse(0.52, 0.52, 0.25, 0.25, tyre),
        ellipse(-0.52, 0.52, 0.1, 0.1, (200, 200, 205), "detail", corners=12),
        ellipse(0.52, 0.52, 0.1, 0.1, (200, 200, 205), "detail", corners=12),
    ]  # fmt: skip


def balloon(colour: Colour) -> list[Shape]:
    envelope = [ellipse(0.0, -0.36, 0.64, 0.62, colour)]
    neck = polygon([(-0.42, 0.08), (0.42, 0.08), (0.16, 0.48), (-0.16, 0.48)], colour, "subject")
    return [
        neck,
        *envelope,
        ellipse(0.0, -0.36, 0.26, 0.61, tint(colour), "detail"),
        box(-0.15, 0.5, -0.1, 0.72, WOOD, "detail"),
        box(0.1, 0.5, 0.15, 0.72, WOOD, "detail"),
        box(-0.2, 0.68, 0.2, 0.98, WOOD, "subject"),
    ]


def mushroom(colour: Colour) -> list[Shape]:
    angle = np.linspace(np.pi, 2 * np.pi, 20)
    cap = np.stack([0.95 * np.cos(angle), 0.12 + 0.95 * np.sin(angle)], axis=1)
    spot = WHITE if min(colour) < 190 else (214, 60, 60)
    stem = mix((244, 232, 206), colour, 0.08)
    return [
        polygon([(-0.28, 0.1), (0.28, 0.1), (0.36, 0.95), (-0.36, 0.95)], stem, "subject"),
        polygon(cap, colour, "subject"),
        ellipse(-0.42, -0.25, 0.15, 0.17, spot, "detail", corners=16),
        ellipse(0.12, -0.5, 0.19, 0.15, spot, "detail", corners=16),
        ellipse(0.52, -0.12, 0.14, 0.14, spot, "detail", corners=16),
        ellipse(-0.05, -0.06, 0.11, 0.1, spot, "detail", corners=16),
    ]


SUBJECTS: dict[str, Callable[[Colour], list[Shape]]] = {
    "cat": cat,
    "rabbit": rabbit,
    "bird": bird,
    "fish": fish,
    "house": house,
    "tent": tent,
    "tree": tree,
    "flower": flower,
    "boat": boat,
    "car": car,
    "balloon": balloon,
    "mushroom": mushroom,
}

PLURALS = {"fish": "fish"} | {
    name: name + ("es" if name.endswith("sh") else "s") for name in SUBJECTS if name != "fish"
}
