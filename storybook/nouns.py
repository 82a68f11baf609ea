"""A drawn family of pixel characters: a thing for a head, square glasses, a shirt."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from storybook.shapes import Colour, mix, shade, tint
from storybook.sketch import Rng, a, dye, pick, vary

CELLS = 32
SHADES = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "teal", "brown", "white")
WALLS: tuple[Colour, ...] = ((213, 215, 225), (225, 215, 213), (206, 222, 214), (228, 222, 200))


class Cells:
    """A square of 32 x 32 cells to set by whole rectangles, discs and rows of text."""

    def __init__(self, colour: Colour):
        self.pixels = np.full((CELLS, CELLS, 3), colour, np.uint8)

    def box(self, x0: int, y0: int, x1: int, y1: int, colour: Colour) -> None:
        """Cells x0 to x1 - 1 of the rows y0 to y1 - 1."""
        self.pixels[max(0, y0) : y1, max(0, x0) : x1] = colour

    def disc(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """The cells whose middles lie in the ellipse."""
        rows, columns = np.mgrid[:CELLS, :CELLS] + 0.5
        self.pixels[((columns - x) / rx) ** 2 + ((rows - y) / ry) ** 2 <= 1] = colour


def _cat(c: Cells, colour: Colour, rng: Rng) -> None:
    for left in (7, 21):
        c.box(left, 3, left + 4, 8, colour)
        c.box(left + 1, 4, left + 3, 8, (240, 150, 160))
    c.box(7, 6, 25, 21, colour)
    c.box(14, 18, 18, 19, (50, 40, 44))


def _rabbit(c: Cells, colour: Colour, rng: Rng) -> None:
    tall = int(rng.integers(0, 3))
    for left in (9, 19):
        c.box(left, tall, left + 4, 9, colour)
        c.box(left + 1, tall + 1, left + 3, 9, (246, 176, 186))
    c.box(7, 8, 25, 21, colour)
    c.box(14, 18, 18, 21, (252, 252, 252))


def _bear(c: Cells, colour: Colour, rng: Rng) -> None:
    for x in (8.5, 23.5):
        c.disc(x, 6.5, 3.2, 3.2, shade(colour))
    c.disc(16, 13, 10, 8.5, colour)
    c.disc(16, 19, 4.5, 2.6, tint(colour))
    c.box(14, 17, 18, 19, (40, 32, 34))


def _robot(c: Cells, colour: Colour, rng: Rng) -> None:
    steel = mix(colour, (190, 196, 206), 0.6)
    c.box(15, 1, 17, 6, shade(steel))
    c.box(14, 0, 18, 2, colour)
    c.box(6, 6, 26, 21, steel)
    c.box(6, 6, 26, 8, colour)
    c.box(10, 18, 22, 20, shade(steel))
    c.box(12, 18, 14, 20, tint(steel))
    c.box(18, 18, 20, 20, tint(steel))


def _mushroom(c: Cells, colour: Colour, rng: Rng) -> None:
    c.box(10, 10, 22, 21, (240, 226, 200))
    c.disc(16, 10, 12, 8.5, colour)
    c.box(4, 10, 28, 12, colour)
    for x, y in ((10, 6), (17, 4), (22, 8)):
        c.box(x - 1, y - 1, x + 2, y + 1, (252, 250, 244))
    c.box(10, 12, 22, 21, (240, 226, 200))


def _pumpkin(c: Cells, colour: Colour, rng: Rng) -> None:
    c.box(15, 1, 18, 6, (70, 110, 50))
    c.disc(16, 13, 11, 8.5, colour)
    for x in (9, 15, 22):
        c.disc(x + 0.5, 13, 1.3, 7.5, shade(colour))


def _ghost(c: Cells, colour: Colour, rng: Rng) -> None:
    pale = mix(colour, (252, 252, 255), 0.75)
    c.disc(16, 10, 9.5, 9, pale)
    c.box(7, 10, 25, 20, pale)
    for left in (7, 13, 19):
        c.box(left, 20, left + 4, 23, pale)
    c.box(14, 18, 18, 20, (60, 60, 76))


def _fish(c: Cells, colour: Colour, rng: Rng) -> None:
    c.box(25, 7, 30, 11, shade(colour))
    c.box(25, 15, 30, 19, shade(colour))
    c.disc(16, 13, 11, 7.5, colour)
    c.box(13, 3, 20, 7, shade(colour))
    for x in (10, 14, 18, 22):
        c.box(x, 18, x + 2, 19, tint(colour))


def _cup(c: Cells, colour: Colour, rng: Rng) -> None:
    c.box(25, 9, 29, 18, shade(colour))
    c.box(25, 11, 27, 16, tuple(c.pixels[0, 0].tolist()))
    c.box(7, 5, 25, 21, colour)
    c.box(7, 5, 25, 7, tint(colour))
    c.box(9, 5, 23, 6, (90, 56, 36))


def _cloud(c: Cells, colour: Colour, rng: Rng) -> None:
    for x, y, r in ((10, 12, 6), (16, 9, 7), (22, 12, 6), (13, 15, 6), (20, 15, 6)):
        c.disc(x, y, r, r * 0.95, mix(colour, (250, 252, 255), 0.55))


def _frog(c: Cells, colour: Colour, rng: Rng) -> None:
    for x in (10, 22):
        c.disc(x, 7, 3.6, 3.6, colour)
        c.box(x - 1, 5, x + 1, 7, (250, 250, 250))
    c.disc(16, 14, 11, 7.5, colour)
    c.box(9, 18, 23, 19, shade(colour))


def _cactus(c: Cells, colour: Colour, rng: Rng) -> None:
    c.box(10, 3, 22, 22, colour)
    c.box(11, 2, 21, 3, colour)
    c.box(4, 9, 7, 16, colour)
    c.box(25, 6, 28, 14, colour)
    c.box(4, 14, 10, 17, colour)
    c.box(22, 12, 28, 15, colour)
    for x, y in ((12, 5), (18, 6), (15, 9), (13, 19), (19, 19)):
        c.box(x, y, x + 1, y + 2, tint(colour))


def _chicken(c: Cells, colour: Colour, rng: Rng) -> None:
    c.box(13, 2, 16, 6, (220, 50, 46))
    c.box(17, 1, 20, 6, (220, 50, 46))
    c.disc(16, 13, 9.5, 9, colour)
    c.box(14, 17, 18, 20, (246, 170, 40))


def _screen(c: Cells, colour: Colour, rng: Rng) -> None:
    for k in range(5):
        c.box(10 + k, k, 12 + k, k + 1, (60, 60, 66))
        c.box(20 - k, k, 22 - k, k + 1, (60, 60, 66))
    c.box(5, 5, 27, 21, colour)
    c.box(7, 7, 23, 20, (60, 74, 84))
    c.box(24, 9, 26, 11, tint(colour))
    c.box(24, 13, 26, 15, tint(colour))


HEADS: dict[str, Callable[[Cells, Colour, Rng], None]] = {
    "cat": _cat, "rabbit": _rabbit, "bear": _bear, "robot": _robot, "mushroom": _mushroom,
    "pumpkin": _pumpkin, "ghost": _ghost, "fish": _fish, "cup": _cup, "cloud": _cloud,
    "frog": _frog, "cactus": _cactus, "chicken": _chicken, "television": _screen,
}  # fmt: skip


def _body(c: Cells, colour: Colour, rng: Rng) -> None:
    c.box(9, 21, 23, CELLS, colour)
    c.box(9, 26, 11, CELLS, shade(colour))
    pattern = pick(rng, ("plain", "stripes", "checks", "heart", "tie", "buttons"))
    bright = vary((250, 244, 226), rng, 10)
    if pattern == "stripes":
        for y in (23, 26, 29):
            c.box(9, y, 23, y + 1, bright)
    if pattern == "checks":
        for y in range(22, CELLS, 2):
            for x in range(11 + (y // 2) % 2 * 2, 23, 4):
                c.box(x, y, x + 2, y + 2, tint(colour))
    if pattern == "heart":
        c.box(14, 24, 16, 26, (226, 44, 66))
        c.box(17, 24, 19, 26, (226, 44, 66))
        c.box(14, 25, 19, 27, (226, 44, 66))
        c.box(15, 27, 18, 28, (226, 44, 66))
        c.box(16, 28, 17, 29, (226, 44, 66))
    if pattern == "tie":
        c.box(14, 21, 19, 23, bright)
        c.box(16, 22, 17, 30, (60, 50, 110))
        c.box(15, 25, 18, 29, (60, 50, 110))
    if pattern == "buttons":
        c.box(16, 22, 17, CELLS, shade(colour))
        for y in (23, 26, 29):
            c.box(17, y, 18, y + 1, bright)


def _glasses(c: Cells, rim: Colour, rng: Rng) -> None:
    glance = bool(rng.random() < 0.75)
    for left in (9, 17):
        c.box(left, 11, left + 7, 17, rim)
        c.box(left + 1, 12, left + 6, 16, (252, 252, 252))
        middle = left + 3 + (1 if glance else -2)
        c.box(middle, 12, middle + 2 + int(glance), 16, (22, 22, 26))
    c.box(16, 13, 17, 14, rim)
    c.box(5, 13, 9, 14, rim)
    c.box(5, 13, 6, 16, rim)


def nouns(rng: Rng, side: int) -> tuple[Image.Image, str]:
    """A head that is a thing, seen through square glasses; cells stay sharp at every size."""
    kind, colour = pick(rng, tuple(HEADS)), pick(rng, SHADES)
    rim, shirt = pick(rng, (*SHADES[:8], "black")), pick(rng, (*SHADES, "grey"))
    cells = Cells(vary(pick(rng, WALLS), rng, 4))
    _body(cells, dye(shirt, rng, 10), rng)
    HEADS[kind](cells, dye(colour, rng, 10), rng)
    _glasses(cells, dye(rim, rng, 8), rng)
    image = Image.fromarray(cells.pixels).resize((side, side), Image.Resampling.NEAREST)
    said = pick(rng, ("a noun", "a pixel noun", "a pixel character"))
    told = []
    if rng.random() < 0.8:
        told.append(a(f"{colour} {kind} head" if rng.random() < 0.6 else f"{kind} head"))
    if rng.random() < 0.7:
        told.append(f"{rim} glasses" if rng.random() < 0.7 else "glasses")
    return image, said + (" with " + " and ".join(told) if told else "")
