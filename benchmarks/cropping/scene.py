"""A picture whose subjects' boxes are known, and how figures are composed into one.

A *world* (development.py, decisive.py) brings the drawing code: figures, paints, grounds and pages.
This file only says where figures stand, which is the same question in either world.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

Rng = np.random.Generator
Rectangle = tuple[float, float, float, float]  # x0, y0, x1, y1 in px

LONG_SIDE = 640  # px of a composed picture
WIDEST = 3.2  # long side over short side of a page


@dataclass(frozen=True)
class Subject:
    """Where a subject is, and its head, if it has one that can be seen."""

    box: Rectangle
    head: Rectangle | None = None


@dataclass(frozen=True)
class Sample:
    """A picture with its subjects."""

    image: Image.Image
    subjects: tuple[Subject, ...]
    kind: str


@dataclass(frozen=True)
class Part:
    """A filled polygon of a figure, in the figure's own square [0, 1] x [0, 1]."""

    points: np.ndarray  # [n, 2]
    colour: tuple[int, int, int]
    is_head: bool = False


@dataclass(frozen=True)
class World:
    """The drawing code of one set of pictures: nothing in it is shared with the other set."""

    figures: Sequence[Callable[[Rng], list[Part]]]
    paints: Sequence[Callable[[np.ndarray, list[Part], Rng], np.ndarray]]
    """From a canvas, uint8 [h, w, 3], and parts in px, to the canvas with them."""
    grounds: Sequence[Callable[[int, int, Rng], np.ndarray]]
    clutter: Callable[[np.ndarray, Rng], np.ndarray]
    """Small things that are not the subject."""
    pages: Sequence[Callable[[Sample, Rng], Sample]]
    """A picture printed on a page, with text, gutters or frames around it."""
    page_share: float = 0.22
    places: Callable[[int, int, Rng], list[tuple[float, float, float]]] | None = None
    """Where figures stand, if not where `places` has them."""


def compose(world: World, rng: Rng) -> Sample:
    """One picture: a ground, things on it, one to three figures, perhaps printed on a page."""
    aspect = float(np.exp(rng.uniform(-np.log(3), np.log(3))))
    width, height = (
        (LONG_SIDE, round(LONG_SIDE / aspect))
        if aspect > 1
        else (round(LONG_SIDE * aspect), LONG_SIDE)
    )
    on_page = rng.random() < world.page_share
    ground = _one_of(world.grounds, rng)
    canvas = ground(width, height, rng)
    cluttered = rng.random() < 0.6
    if cluttered:
        canvas = world.clutter(canvas, rng)
    paint = _one_of(world.paints, rng)
    subjects = []
    for place in (world.places or places)(width, height, rng):
        parts = placed(_one_of(world.figures, rng)(rng), *place, bool(rng.random() < 0.5))
        canvas = paint(canvas, parts, rng)
        subjects.append(subject_of(parts, width, height))
    kind = f"{ground.__name__}, {'cluttered' if cluttered else 'bare'}"
    sample = Sample(Image.fromarray(canvas), tuple(subjects), kind)
    if not on_page:
        return sample
    page = _one_of(world.pages, rng)(sample, rng)
    is_long = max(page.image.size) > WIDEST * min(page.image.size)
    return sample if is_long else page


def _one_of(choices: Sequence, rng: Rng):
    return choices[int(rng.integers(len(choices)))]


def places(width: int, height: int, rng: Rng) -> list[tuple[float, float, float]]:
    """(x, y, side) of the square of every figure: mostly one, anywhere along the long side."""
    short, long = min(width, height), max(width, height)
    count = int(rng.choice([1, 2, 3], p=[0.66, 0.24, 0.1]))
    if count == 1:
        share = rng.uniform(0.3, 0.95) if rng.random() < 0.85 else rng.uniform(0.95, 1.2)
        side = share * short
    else:
        side = rng.uniform(0.25, 0.6) * short
    reach = long - side
    if count == 1:
        at_edge = rng.random() < 0.25
        along = [
            rng.choice([-0.03 * side, reach + 0.03 * side]) if at_edge else _spread(rng, reach)
        ]
    elif rng.random() < 0.75:  # together
        step = side * rng.uniform(0.5, 0.9)
        first = _spread(rng, max(reach - step * (count - 1), 0))
        along = [first + k * step for k in range(count)]
    else:  # anywhere
        along = [rng.uniform(0, reach) for _ in range(count)]
    found = []
    for start in along:
        across = max(short - side, 0) * (rng.uniform(0.4, 1) if width > height else rng.random())
        found.append((start, across, side) if width > height else (across, start, side))
    return found


def _spread(rng: Rng, reach: float) -> float:
    """A place on the way from 0 to reach, the middle somewhat likelier than the ends."""
    return reach * (rng.uniform(0, 1) if rng.random() < 0.6 else rng.beta(2.5, 2.5))


def placed(parts: list[Part], x: float, y: float, side: float, flip: bool) -> list[Part]:
    """Parts in px: their own square moved to (x, y), `side` wide, mirrored if asked."""
    found = []
    for part in parts:
        points = part.points * (-1, 1) + (1, 0) if flip else part.points
        found.append(Part(points * side + (x, y), part.colour, part.is_head))
    return found


def subject_of(parts: list[Part], width: int, height: int) -> Subject:
    """The visible boxes of a figure and of its head."""
    whole = _bounds(parts, width, height)
    heads = [part for part in parts if part.is_head]
    assert whole is not None
    return Subject(whole, _bounds(heads, width, height) if heads else None)


def _bounds(parts: list[Part], width: int, height: int) -> Rectangle | None:
    points = np.concatenate([part.points for part in parts])
    x0, y0 = np.maximum(points.min(axis=0), 0)
    x1, y1 = np.minimum(points.max(axis=0), (width, height))
    return (float(x0), float(y0), float(x1), float(y1)) if x1 > x0 and y1 > y0 else None


def moved(subjects: Sequence[Subject], x: float, y: float, scale: float) -> tuple[Subject, ...]:
    """Subjects of a picture that was scaled and then moved to (x, y)."""

    def move(box: Rectangle | None) -> Rectangle | None:
        if box is None:
            return None
        return (box[0] * scale + x, box[1] * scale + y, box[2] * scale + x, box[3] * scale + y)

    return tuple(Subject(move(one.box) or one.box, move(one.head)) for one in subjects)


# --- shapes that both worlds draw with


def oval(x, y, rx, ry, turn: float = 0.0, corners: int = 40) -> np.ndarray:
    """Points of an ellipse."""
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    local = np.stack([rx * np.cos(angle), ry * np.sin(angle)], axis=1)
    cos, sin = np.cos(turn), np.sin(turn)
    return local @ np.array([[cos, sin], [-sin, cos]]) + (x, y)


def points(*pairs: tuple[float, float]) -> np.ndarray:
    return np.array(pairs, dtype=float)


def limb(x0, y0, x1, y1, thick: float) -> np.ndarray:
    """A tapering stroke from one place to another."""
    along = np.array([x1 - x0, y1 - y0])
    side = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-6) * thick / 2
    start, end = np.array([x0, y0]), np.array([x1, y1])
    return np.stack([start - side, start + side, end + 0.7 * side, end - 0.7 * side])


def colour(rng: Rng, low: int = 20, high: int = 235) -> tuple[int, int, int]:
    red, green, blue = rng.integers(low, high, 3).tolist()
    return red, green, blue


def near(base, rng: Rng, spread: float = 14) -> tuple[int, int, int]:
    """A colour near another."""
    red, green, blue = np.clip(np.asarray(base) + rng.normal(0, spread, 3), 0, 255).astype(int)
    return int(red), int(green), int(blue)
