"""The figures of the fourth world (fourth.py): animals, people, a flower with a face, a balloon."""

import numpy as np
from scene import Part, Rng, near, oval, points

COATS = (
    (196, 116, 58), (92, 70, 54), (222, 206, 178), (70, 72, 80), (150, 132, 110), (214, 164, 92),
)  # fmt: skip
CLOTHES = (
    (190, 52, 48), (44, 84, 140), (238, 196, 72), (64, 128, 88), (120, 70, 130), (232, 226, 214),
)  # fmt: skip
SKINS = ((244, 208, 178), (222, 172, 130), (150, 100, 70), (98, 64, 48))
DARK, LIGHT = (34, 28, 30), (246, 242, 232)


def _pick(choices, rng: Rng):
    return choices[int(rng.integers(len(choices)))]


def tube(path, start: float, end: float) -> np.ndarray:
    """The outline of a round thing along a path of places, `start` thick here and `end` there;
    a path of four is bent through its inner two, as a Bezier curve."""
    path = np.array(path, float)
    if len(path) == 4:
        t = np.linspace(0, 1, 24)[:, None]
        path = ((1 - t) ** 3 * path[0] + 3 * t * (1 - t) ** 2 * path[1]
                + 3 * t**2 * (1 - t) * path[2] + t**3 * path[3])  # fmt: skip
    way = np.gradient(path, axis=0)
    way /= np.hypot(way[:, 0], way[:, 1])[:, None] + 1e-9
    side = np.stack([-way[:, 1], way[:, 0]], axis=1)
    half = np.linspace(start, end, len(path))[:, None] / 2
    turn = np.linspace(0, np.pi, 7)[1:-1, None]
    tip = path[-1] + end / 2 * (np.cos(turn) * side[-1] + np.sin(turn) * way[-1])
    tail = path[0] - start / 2 * (np.cos(turn) * side[0] + np.sin(turn) * way[0])
    return np.concatenate([path + half * side, tip, (path - half * side)[::-1], tail])


def _eyes(*places: tuple[float, float], size: float = 0.014) -> list[Part]:
    return [Part(oval(x, y, size, 1.2 * size), DARK, True) for x, y in places]


def cat(rng: Rng) -> list[Part]:
    """It sits and looks at you."""
    coat = near(_pick(COATS, rng), rng)
    pale, lean = near(np.add(coat, 34), rng, 6), rng.normal(0, 0.02)
    x, y = 0.48 + lean, rng.uniform(0.24, 0.3)
    tail = [(0.6, 0.92), (0.95, 0.95), (0.75, 0.6), (0.9, rng.uniform(0.4, 0.6))]
    parts = [
        Part(tube(tail, 0.08, 0.05), coat),
        Part(oval(0.48, 0.69, rng.uniform(0.19, 0.25), 0.3), coat),
        Part(oval(0.48, 0.68, 0.09, 0.17), pale),
        *(Part(tube([(0.48 + s, 0.7), (0.48 + s, 0.95)], 0.09, 0.08), coat) for s in (-0.08, 0.08)),
    ]
    for s in (-1, 1):
        ear = points((x + s * 0.18, y - 0.04), (x + s * 0.16, y - 0.22), (x + s * 0.04, y - 0.12))
        parts.append(Part(ear, near(coat, rng, 8), True))
    parts.append(Part(oval(x, y, 0.19, 0.155), coat, True))
    parts.append(Part(oval(x, y + 0.07, 0.08, 0.06), pale, True))
    return parts + _eyes((x - 0.08, y - 0.02), (x + 0.08, y - 0.02), (x, y + 0.05), size=0.02)


def hound(rng: Rng) -> list[Part]:
    """It runs, long and low."""
    coat = near(_pick(COATS, rng), rng)
    far, y = near(np.multiply(coat, 0.8), rng, 4), rng.uniform(0.42, 0.5)
    parts = [Part(tube([(0.2, y), (0.1, y), (0.06, y - 0.15), (0.02, y - 0.2)], 0.05, 0.02), coat)]
    for k, (x, reach) in enumerate(((0.24, -0.12), (0.3, 0.1), (0.6, -0.1), (0.66, 0.14))):
        knee = (x + 0.7 * reach, y + 0.22)
        foot = (x + reach + rng.normal(0, 0.02), y + 0.37)
        parts.append(Part(tube([(x, y + 0.05), knee, foot], 0.1, 0.04), far if k % 2 else coat))
    parts.append(Part(tube([(0.24, y), (0.4, y - 0.03), (0.52, y), (0.66, y)], 0.16, 0.22), coat))
    parts.append(Part(tube([(0.68, y - 0.03), (0.8, y - 0.17)], 0.15, 0.1), coat))
    x, top = 0.82, y - 0.2
    parts.append(Part(oval(x, top, 0.075, 0.065), coat, True))
    parts.append(
        Part(tube([(x + 0.03, top + 0.01), (x + 0.14, top + 0.03)], 0.08, 0.045), coat, True)
    )
    parts.append(Part(tube([(x - 0.03, top - 0.03), (x - 0.1, top + 0.08)], 0.06, 0.05), far, True))
    return parts + _eyes((x + 0.03, top - 0.02), (x + 0.155, top + 0.02))


def heron(rng: Rng) -> list[Part]:
    """A wader on thin legs, its neck bent."""
    coat = near(_pick(((150, 162, 176), (236, 232, 226), (214, 140, 140), (90, 96, 112)), rng), rng)
    beak, y = near((216, 150, 60), rng), rng.uniform(0.5, 0.6)
    x = rng.uniform(0.62, 0.72)
    parts = [
        Part(tube([(0.36, y), (0.34, 0.8), (0.36, 0.97), (0.42, 0.975)], 0.025, 0.02), beak),
        Part(tube([(0.42, y), (0.46, 0.8), (0.43, 0.97), (0.5, 0.975)], 0.025, 0.02), beak),
        Part(points((0.2, y - 0.05), (0.02, y + 0.14), (0.3, y + 0.1)), near(coat, rng, 20)),
        Part(oval(0.38, y, 0.22, 0.13, -0.25), coat),
        Part(tube([(0.52, y - 0.03), (0.85, 0.42), (0.42, 0.36), (x, 0.13)], 0.11, 0.06), coat),
        Part(oval(0.34, y + 0.01, 0.17, 0.08, -0.2), near(np.multiply(coat, 0.82), rng, 6)),
        Part(points((x + 0.03, 0.09), (x + 0.28, 0.15), (x + 0.03, 0.15)), beak, True),
        Part(points((x, 0.08), (x - 0.14, 0.05), (x - 0.02, 0.13)), DARK, True),
        Part(oval(x, 0.12, 0.065, 0.055), coat, True),
    ]
    return parts + _eyes((x + 0.02, 0.11))


def child(rng: Rng) -> list[Part]:
    """Standing, in a coat; some hold a toy balloon on a string."""
    skin, coat = near(_pick(SKINS, rng), rng, 6), near(_pick(CLOTHES, rng), rng)
    hair, legs = near(_pick(COATS, rng), rng), near(_pick(CLOTHES, rng), rng)
    holds = rng.random() < 0.3
    top, hand = (0.3, 0.26) if holds else (0.12, rng.uniform(0.35, 0.62))
    neck, wide = top + 0.11, rng.uniform(0.13, 0.22)
    parts = []
    if holds:
        parts.append(Part(tube([(0.76, hand), (0.78, 0.16)], 0.008, 0.008), DARK))
        parts.append(Part(oval(0.8, 0.11, 0.09, 0.11), near(_pick(CLOTHES, rng), rng)))
    for s in (-0.06, 0.06):
        parts.append(Part(tube([(0.48 + s, 0.68), (0.48 + s, 0.94)], 0.08, 0.06), legs))
        parts.append(Part(tube([(0.47 + s, 0.955), (0.53 + s, 0.96)], 0.05, 0.04), DARK))
    low, elbow = 0.74, (0.66, 0.5 * (neck + hand) + 0.06)
    parts += [
        Part(tube([(0.4, neck + 0.06), (0.3, neck + 0.2), (0.24, neck + 0.3)], 0.09, 0.06), coat),
        Part(points((0.4, neck), (0.56, neck), (0.48 + wide, low), (0.48 - wide, low)), coat),
        Part(tube([(0.56, neck + 0.06), elbow, (0.75, hand)], 0.09, 0.06), coat),
        Part(oval(0.75, hand, 0.03, 0.03), skin),
        Part(oval(0.48, top - 0.01, 0.105, 0.108), hair, True),
        Part(oval(0.49, top + 0.025, 0.085, 0.09), skin, True),
    ]  # fmt: skip
    if rng.random() < 0.5:
        parts.append(Part(tube([(0.36, top - 0.05), (0.6, top - 0.05)], 0.03, 0.03), coat, True))
        parts.append(Part(oval(0.48, top - 0.07, 0.08, 0.05), coat, True))
    return parts + _eyes((0.46, top + 0.015), (0.53, top + 0.015), size=0.01)


def reader(rng: Rng) -> list[Part]:
    """Somebody on a stool from the side, with a book."""
    skin, coat = near(_pick(SKINS, rng), rng, 6), near(_pick(CLOTHES, rng), rng)
    hair, legs = near(_pick(COATS, rng), rng), near(_pick(CLOTHES, rng), rng)
    bow = rng.uniform(0, 0.06)
    x, y = 0.42 + bow, 0.16 + bow
    return [
        Part(points((0.2, 0.66), (0.5, 0.66), (0.48, 0.71), (0.22, 0.71)), (112, 80, 52)),
        Part(tube([(0.26, 0.7), (0.22, 0.97)], 0.03, 0.03), (112, 80, 52)),
        Part(tube([(0.44, 0.7), (0.48, 0.97)], 0.03, 0.03), (112, 80, 52)),
        Part(tube([(0.34, 0.61), (0.68, 0.6), (0.66, 0.93)], 0.14, 0.07), legs),
        Part(tube([(0.65, 0.95), (0.75, 0.96)], 0.05, 0.04), DARK),
        Part(tube([(0.34, 0.58), (0.38 + bow / 2, 0.34)], 0.2, 0.17), coat),
        Part(tube([(0.4 + bow / 2, 0.34), (0.48, 0.5), (0.66, 0.45)], 0.09, 0.06), near(coat, rng)),
        Part(points((0.63, 0.48), (0.7, 0.3), (0.74, 0.31), (0.68, 0.49)), LIGHT),
        Part(oval(x - 0.02, y, 0.1, 0.11), hair, True),
        Part(oval(x + 0.03, y + 0.02, 0.075, 0.09), skin, True),
        Part(oval(x + 0.105, y + 0.03, 0.02, 0.015), skin, True),
        *_eyes((x + 0.07, y), size=0.009),
    ]


def sunflower(rng: Rng) -> list[Part]:
    """A flower with a face."""
    leaf = near((82, 130, 62), rng)
    petal, disc = (
        near(_pick(((246, 200, 50), (232, 120, 60), (220, 90, 130)), rng), rng),
        (120, 76, 40),
    )
    x, y, count = rng.uniform(0.42, 0.58), 0.27, int(rng.integers(9, 15))
    parts = [Part(tube([(0.5, 0.97), (0.42, 0.8), (0.58, 0.6), (x, y)], 0.05, 0.035), leaf)]
    for s in (-1, 1):
        at = rng.uniform(0.62, 0.78)
        parts.append(Part(oval(0.5 + s * 0.16, at, 0.14, 0.055, s * -0.5), near(leaf, rng)))
    for turn in np.arange(count) * 2 * np.pi / count:
        middle = x + 0.17 * np.cos(turn), y + 0.17 * np.sin(turn)
        parts.append(Part(oval(*middle, 0.08, 0.04, turn), near(petal, rng, 8), True))
    parts.append(Part(oval(x, y, 0.13, 0.13), disc, True))
    smile = [(x - 0.05, y + 0.04), (x - 0.02, y + 0.08), (x + 0.02, y + 0.08), (x + 0.05, y + 0.04)]
    parts.append(Part(tube(smile, 0.014, 0.014), LIGHT, True))
    return parts + _eyes((x - 0.05, y - 0.03), (x + 0.05, y - 0.03), size=0.018)


def dragon(rng: Rng) -> list[Part]:
    """A worm in waves along the ground, its head up at one end."""
    scales = near(_pick(((80, 140, 90), (170, 70, 60), (70, 100, 150), (150, 120, 60)), rng), rng)
    t, waves = np.linspace(0, 1, 60), rng.uniform(1.5, 2.6)
    x, y = 0.03 + 0.74 * t, 0.74 - rng.uniform(0.06, 0.11) * np.sin(t * waves * 2 * np.pi)
    y = y - 0.3 * np.clip((t - 0.75) * 4, 0, 1) ** 2
    belly = tube(np.stack([x, y], axis=1), 0.03, 0.13)
    parts = [
        Part(
            points((a, b - 0.03), (a + 0.02, b - 0.12), (a + 0.05, b - 0.03)), near(scales, rng, 30)
        )
        for a, b in zip(x[10:48:6], y[10:48:6], strict=True)
    ]
    end, top = float(x[-1]) + 0.03, float(y[-1]) - 0.03
    parts += [
        Part(belly, scales),
        Part(
            points((end - 0.08, top - 0.03), (end - 0.14, top - 0.15), (end, top - 0.05)),
            LIGHT,
            True,
        ),
        Part(oval(end, top, 0.1, 0.08), scales, True),
        Part(tube([(end + 0.05, top + 0.01), (end + 0.13, top + 0.03)], 0.1, 0.06), scales, True),
    ]
    return parts + _eyes((end + 0.04, top - 0.03), (end + 0.15, top + 0.02), size=0.013)


def bear(rng: Rng) -> list[Part]:
    """Upright, in a scarf."""
    coat, scarf = near(_pick(COATS, rng), rng), near(_pick(CLOTHES, rng), rng)
    pale, y, wave = near(np.add(coat, 30), rng, 6), 0.19, rng.uniform(0.2, 0.7)
    parts = [
        *(Part(tube([(0.5 + s, 0.78), (0.5 + 1.2 * s, 0.92)], 0.18, 0.14), coat)
          for s in (-0.12, 0.12)),
        Part(oval(0.5, 0.62, 0.25, 0.28), coat),
        Part(oval(0.5, 0.66, 0.15, 0.18), pale),
        Part(tube([(0.3, 0.46), (0.2, 0.56), (0.16, 0.68)], 0.14, 0.11), coat),
        Part(tube([(0.7, 0.46), (0.8, 0.5 * (0.46 + wave)), (0.85, wave)], 0.14, 0.11), coat),
        Part(tube([(0.34, 0.37), (0.5, 0.41), (0.66, 0.37)], 0.07, 0.07), scarf),
        Part(tube([(0.6, 0.39), (0.63, 0.57)], 0.07, 0.08), scarf),
        *(Part(oval(0.5 + s, y - 0.11, 0.06, 0.06), coat, True) for s in (-0.13, 0.13)),
        Part(oval(0.5, y, 0.18, 0.16), coat, True),
        Part(oval(0.5, y + 0.06, 0.09, 0.07), pale, True),
    ]  # fmt: skip
    return parts + _eyes((0.43, y - 0.03), (0.57, y - 0.03), (0.5, y + 0.03), size=0.017)


def stag(rng: Rng) -> list[Part]:
    """A deer from the side; most have antlers, some graze."""
    coat = near(_pick(COATS[:5], rng), rng)
    far, grazes = near(np.multiply(coat, 0.78), rng, 4), rng.random() < 0.3
    x, y = (0.88, 0.84) if grazes else (0.78, rng.uniform(0.26, 0.32))
    parts = [
        Part(tube([(at, 0.55), (at + rng.normal(0, 0.02), 0.78), (at, 0.97)], 0.09, 0.035), tone)
        for at, tone in ((0.24, far), (0.56, far), (0.18, coat), (0.62, coat))
    ]
    parts += [
        Part(tube([(0.13, 0.5), (0.06, 0.56)], 0.06, 0.03), LIGHT),
        Part(tube([(0.2, 0.54), (0.36, 0.58), (0.5, 0.54), (0.62, 0.53)], 0.2, 0.22), coat),
        Part(tube([(0.63, 0.5), (x - 0.04, y + (-0.06 if grazes else 0.04))], 0.16, 0.09), coat),
    ]
    if rng.random() < 0.75 and not grazes:
        for s in (-0.1, 0.06):
            beam = [
                (x - 0.03, y - 0.04),
                (x + s, y - 0.06),
                (x + s - 0.04, y - 0.14),
                (x + s, y - 0.23),
            ]
            parts.append(Part(tube(beam, 0.025, 0.012), (120, 96, 70), True))
            fork = [(x + s - 0.02, y - 0.12), (x + s + 0.07, y - 0.19)]
            parts.append(Part(tube(fork, 0.018, 0.01), (120, 96, 70), True))
    parts.append(Part(tube([(x - 0.04, y - 0.03), (x - 0.13, y - 0.06)], 0.05, 0.02), far, True))
    parts.append(Part(oval(x, y, 0.07, 0.055, 0.3), coat, True))
    parts.append(Part(tube([(x + 0.02, y + 0.01), (x + 0.085, y + 0.05)], 0.075, 0.05), coat, True))
    return parts + _eyes((x + 0.01, y - 0.015), (x + 0.1, y + 0.05), size=0.011)


def fish(rng: Rng) -> list[Part]:
    """A large fish from the side."""
    scales = near(_pick(((226, 120, 60), (90, 130, 170), (190, 180, 170), (200, 80, 90)), rng), rng)
    fin, deep = near(np.multiply(scales, 0.75), rng, 8), rng.uniform(0.13, 0.2)
    t = np.linspace(0, 1, 40)
    half = deep * np.sin(np.pi * (0.1 + 0.9 * t) ** 0.8) ** 0.9 + 0.012
    x = 0.96 - 0.74 * t
    body = np.concatenate([np.stack([x, 0.5 - half], 1), np.stack([x, 0.5 + half], 1)[::-1]])
    head = np.concatenate(
        [np.stack([x, 0.5 - half], 1)[:13], np.stack([x, 0.5 + half], 1)[:13][::-1]]
    )
    return [
        Part(points((0.26, 0.5), (0.02, 0.5 - deep), (0.09, 0.5), (0.02, 0.5 + deep)), fin),
        Part(points((0.66, 0.52 - deep), (0.5, 0.38 - deep), (0.38, 0.55 - deep)), fin),
        Part(points((0.6, 0.48 + deep), (0.5, 0.58 + deep), (0.44, 0.46 + deep)), fin),
        Part(body, scales),
        Part(points((0.62, 0.52), (0.48, 0.5), (0.5, 0.6)), fin),
        Part(head, near(np.multiply(scales, 0.88), rng, 4), True),
        Part(oval(0.85, 0.47, 0.026, 0.026), LIGHT, True),
        *_eyes((0.852, 0.47), size=0.013),
    ]


def airship(rng: Rng) -> list[Part]:
    """A hot-air balloon: a subject without a head."""
    one, two = (near(_pick(CLOTHES, rng), rng) for _ in range(2))
    parts = [
        Part(tube([(0.5 + s, 0.55), (0.5 + 0.35 * s, 0.84)], 0.008, 0.008), DARK)
        for s in (-0.2, 0.2)
    ]
    for k, wide in enumerate((0.34, 0.22, 0.09)):
        low = points((0.5 + 0.5 * wide, 0.66), (0.5 - 0.5 * wide, 0.66))
        silk = np.concatenate([oval(0.5, 0.36, wide, 0.34)[20:], low])
        parts.append(Part(silk, two if k % 2 else one))
    basket = points((0.42, 0.84), (0.58, 0.84), (0.56, 0.97), (0.44, 0.97))
    return [*parts, Part(basket, (140, 100, 60))]


FIGURES = (cat, hound, heron, child, child, reader, sunflower, dragon, bear, stag, fish, airship)
