"""Where trees and houses stand: skies at four hours, five kinds of ground."""

from storybook.shapes import Colour, Shape, ellipse, mix
from storybook.sketch import Rng, blob, ridge, vary

HOURS = {
    "by day": ((102, 168, 236), (206, 230, 248)),
    "at sunset": ((126, 92, 150), (250, 164, 92), (252, 214, 140)),
    "at night": ((16, 20, 54), (48, 56, 104)),
    "in the mist": ((196, 206, 208), (228, 232, 228)),
}
LANDS: dict[str, Colour] = {
    "on a meadow": (110, 168, 72),
    "in the snow": (236, 242, 250),
    "in the desert": (226, 188, 118),
    "on a hill": (128, 150, 64),
    "by the sea": (64, 130, 186),
}
NIGHT: Colour = (18, 24, 60)


def heaven(hour: str, rng: Rng) -> list[Shape]:
    """A sun, a moon with stars, clouds, or nothing."""
    x, y = rng.uniform(0.12, 0.88), rng.uniform(0.1, 0.26)
    shapes: list[Shape] = []
    if hour == "at night":
        stars, pale = rng.uniform(0, 1, (9, 2)) * (1, 0.55), (236, 236, 250)
        shapes += [ellipse(p, q, 0.009, 0.009, pale, "sky", corners=6) for p, q in stars]
        shapes.append(ellipse(x, y, 0.075, 0.075, (246, 240, 206), "sky"))
    elif hour != "in the mist" and rng.random() < 0.6:
        sun = (255, 226, 100) if hour == "by day" else (252, 92, 60)
        r = rng.uniform(0.07, 0.11)
        shapes.append(ellipse(x, y, r, r, sun, "sky"))
    elif hour == "by day":
        for dx in (-0.08, 0.0, 0.09):
            puff = (x + dx, y + rng.uniform(0, 0.03))
            shapes.append(blob(*puff, 0.09, rng, (250, 252, 255), "sky", 0.055))
    return shapes


def landscape(
    place: str, hour: str, low: float, rng: Rng
) -> tuple[list[Shape], list[Colour], Colour]:
    """What lies behind and below a thing that stands at height `low`.

    Returns the shapes, the bands of the sky from top to bottom, and the colour of the ground.
    """
    sky, ground = [vary(c, rng, 9) for c in HOURS[hour]], vary(LANDS[place], rng, 10)
    if hour == "at night":
        ground = mix(ground, NIGHT, 0.5)
    if place == "by the sea":
        shore = mix((230, 206, 150), sky[0], 0.15)
        land = [ridge(rng, low - 0.15, 0.0, ground), ridge(rng, low - 0.04, 0.02, shore)]
    else:
        hills = ridge(rng, low - rng.uniform(0.1, 0.24), 0.05, mix(ground, sky[-1], 0.55))
        rough = 0.05 if place == "on a hill" else 0.02
        land = [hills, ridge(rng, low - 0.05, rough, ground)]
    return [*heaven(hour, rng), *land], sky, ground
