"""A third world: its own figures, paints, grounds and pages, and its own law of composition.

It was written, and committed, before the cropper was changed for the last time, and nobody looked
at the cropper's results here until it was.
"""

import cv2
import numpy as np
from PIL import Image, ImageDraw
from scene import Part, Rng, Sample, World, colour, limb, moved, near, oval, points

from lab.images import font

SKINS = ((128, 128, 140), (96, 140, 84), (170, 96, 70), (214, 186, 120), (80, 70, 110))
SYLLABLES = ("lo", "mi", "ra", "ten", "sol", "ver", "du", "ka", "nes", "po")


def _pick(choices, rng: Rng):
    return choices[int(rng.integers(len(choices)))]


# --- figures


def elephant(rng: Rng) -> list[Part]:
    """A heavy beast from the side, its trunk down."""
    hide, dark = near(_pick(SKINS, rng), rng), 0.8
    legs = [Part(limb(x, 0.6, x + rng.normal(0, 0.015), 0.98, 0.13), near(hide, rng, 8))
            for x in (0.18, 0.3, 0.5, 0.62)]  # fmt: skip
    reach = rng.uniform(0.6, 0.9)
    return [
        Part(limb(0.06, 0.4, 0.02, 0.65, 0.03), hide),
        *legs,
        Part(oval(0.4, 0.48, 0.33, 0.25), hide),
        Part(limb(0.86, 0.38, 0.95, reach, 0.09), near(hide, rng, 8), True),
        Part(oval(0.77, 0.33, 0.14, 0.15), hide, True),
        Part(oval(0.67, 0.34, 0.1, 0.16, 0.2), near(np.array(hide) * dark, rng), True),
        Part(oval(0.82, 0.29, 0.014, 0.016), (16, 14, 14), True),
    ]


def cloaked(rng: Rng) -> list[Part]:
    """A child in a cloak with a pointed hood, turned to one side, a stick or a basket in hand."""
    cloak, skin = colour(rng), near((232, 196, 166), rng, 8)
    wide, head = rng.uniform(0.16, 0.26), rng.uniform(0.07, 0.1)
    held = (
        Part(limb(0.74, 0.3, 0.78, 0.99, 0.025), (110, 80, 50))
        if rng.random() < 0.5
        else Part(oval(0.74, 0.62, 0.09, 0.07), (160, 120, 70))
    )
    return [
        Part(limb(0.45, 0.8, 0.44, 0.99, 0.06), near((70, 60, 60), rng)),
        Part(limb(0.55, 0.8, 0.58, 0.99, 0.06), near((70, 60, 60), rng)),
        Part(points((0.42, 0.28), (0.58, 0.28), (0.5 + wide, 0.86), (0.5 - wide, 0.86)), cloak),
        Part(limb(0.56, 0.36, 0.73, rng.uniform(0.42, 0.6), 0.06), near(cloak, rng, 16)),
        held,
        Part(points((0.5 - 1.4 * head, 0.3), (0.4, 0.01), (0.5 + 1.3 * head, 0.28)), cloak, True),
        Part(oval(0.52, 0.22, head, head * 1.1), skin, True),
        Part(oval(0.55, 0.21, 0.009, 0.012), (18, 14, 12), True),
    ]


def lizard(rng: Rng) -> list[Part]:
    """A long beast low on the ground: tail, crest, jaws at one end."""
    hide, belly = near(_pick(SKINS, rng), rng, 20), 0.62
    bend = rng.uniform(-0.08, 0.08)
    crest = [
        Part(points((x - 0.03, belly - 0.1), (x, belly - 0.2), (x + 0.03, belly - 0.1)),
             near(hide, rng, 25)) for x in (0.4, 0.48, 0.56, 0.64)
    ]  # fmt: skip
    legs = [Part(limb(x, belly, x + d, 0.84, 0.05), near(hide, rng, 8))
            for x, d in ((0.4, -0.06), (0.46, 0.03), (0.64, -0.03), (0.7, 0.05))]  # fmt: skip
    return [
        Part(points((0.4, belly - 0.08), (0.0, belly - 0.2 + bend), (0.36, belly + 0.08)), hide),
        *legs,
        *crest,
        Part(oval(0.54, belly, 0.2, 0.11), hide),
        Part(points((0.68, belly - 0.1), (0.8, belly - 0.22), (0.99, belly - 0.13),
                    (0.96, belly - 0.08), (0.74, belly + 0.05)), hide, True),
        Part(oval(0.82, belly - 0.16, 0.015, 0.017), (245, 220, 90), True),
    ]  # fmt: skip


def owl(rng: Rng) -> list[Part]:
    """A bird that sits upright and looks at one: round head, large eyes."""
    down = near(_pick(((140, 110, 80), (220, 215, 205), (110, 100, 110)), rng), rng)
    pale = near(np.array(down) * 0.4 + 150, rng, 8)
    eye = rng.uniform(0.05, 0.075)
    return [
        Part(limb(0.2, 0.93, 0.8, 0.94, 0.05), (100, 76, 54)),
        Part(oval(0.5, 0.6, 0.24, 0.34), down),
        Part(oval(0.5, 0.64, 0.15, 0.26), pale),
        Part(oval(0.29, 0.6, 0.07, 0.27, 0.15), near(down, rng, 20)),
        Part(oval(0.71, 0.6, 0.07, 0.27, -0.15), near(down, rng, 20)),
        Part(points((0.27, 0.04), (0.42, 0.13), (0.28, 0.24)), down, True),
        Part(points((0.73, 0.04), (0.58, 0.13), (0.72, 0.24)), down, True),
        Part(oval(0.5, 0.25, 0.23, 0.17), down, True),
        *(Part(oval(x, 0.24, eye, eye), (240, 205, 90), True) for x in (0.4, 0.6)),
        *(Part(oval(x, 0.24, eye / 2, eye / 2), (16, 14, 14), True) for x in (0.4, 0.6)),
    ]


def boat(rng: Rng) -> list[Part]:
    """A boat with sails; no head."""
    sail, hull = near((240, 232, 214), rng, 14), colour(rng, 20, 150)
    return [
        Part(limb(0.48, 0.02, 0.48, 0.82, 0.025), (90, 66, 50)),
        Part(points((0.5, 0.06), (0.9, 0.7), (0.5, 0.72)), sail),
        Part(points((0.46, 0.12), (0.46, 0.72), (0.16, 0.7)), near(sail, rng, 12)),
        Part(points((0.05, 0.78), (0.95, 0.78), (0.8, 0.98), (0.2, 0.98)), hull),
    ]


# --- paints


def _corners(shape: np.ndarray) -> list[np.ndarray]:
    return [np.round(shape).astype(np.int32)]


def pastel(canvas: np.ndarray, parts: list[Part], rng: Rng) -> np.ndarray:
    """Chalk that the paper's tooth shows through, its edges rubbed."""
    height, width = canvas.shape[:2]
    tooth = cv2.GaussianBlur(rng.random((height, width)).astype(np.float32), (0, 0), 0.8)
    tooth = np.clip(0.5 + 2.2 * (tooth - tooth.mean()) / (4 * tooth.std()) + 0.3, 0, 1)
    out = canvas.astype(np.float32)
    for part in parts:
        inside = np.zeros((height, width), np.float32)
        cv2.fillPoly(inside, _corners(part.points), (1.0,), cv2.LINE_AA)
        alpha = (cv2.GaussianBlur(inside, (0, 0), rng.uniform(0.8, 2.5)) * tooth)[..., None]
        out = out * (1 - alpha) + np.array(part.colour, np.float32) * alpha
    return out.astype(np.uint8)


def misprinted(canvas: np.ndarray, parts: list[Part], rng: Rng) -> np.ndarray:
    """Two plates that do not quite meet: flat colour, and black lines of changing width beside."""
    out, slip = canvas.copy(), rng.uniform(-4, 4, 2)
    for part in parts:
        cv2.fillPoly(out, _corners(part.points + slip), part.colour, cv2.LINE_AA)
    for part in parts:
        ends = np.roll(part.points, -1, axis=0)
        for start, end in zip(part.points, ends, strict=True):
            a, b = (tuple(int(v) for v in np.round(p)) for p in (start, end))
            cv2.line(out, a, b, (28, 24, 30), int(rng.integers(1, 4)), cv2.LINE_AA)
    return out


def stippled(canvas: np.ndarray, parts: list[Part], rng: Rng) -> np.ndarray:
    """Dots of ink, denser where it is darker, and no lines; the ground shows between them."""
    out = canvas.copy()
    for part in parts:
        inside = np.zeros(canvas.shape[:2], np.uint8)
        cv2.fillPoly(inside, _corners(part.points), (1,))
        out[inside > 0] = (0.45 * out[inside > 0] + 0.55 * np.array(part.colour)).astype(np.uint8)
        rows, columns = np.nonzero(inside)
        dark = 1 - np.mean(part.colour) / 255
        for k in rng.integers(0, max(len(rows), 1), int(len(rows) * (0.01 + 0.05 * dark))):
            at = (int(columns[k]), int(rows[k]))
            cv2.circle(out, at, int(rng.integers(1, 3)), near((50, 44, 60), rng, 10), -1)
    return out


# --- grounds


def hills(width: int, height: int, rng: Rng) -> np.ndarray:
    """Ridges behind each other under a sky."""
    top, low = (np.array(colour(rng, 130, 250), np.float32) for _ in range(2))
    t = np.linspace(0, 1, height)[:, None, None]
    canvas = np.broadcast_to(top * (1 - t) + low * t, (height, width, 3)).copy()
    earth = np.array(colour(rng, 50, 170), np.float32)
    x = np.arange(width)
    for level in np.sort(rng.uniform(0.35, 0.95, int(rng.integers(2, 6)))):
        wave = sum(np.sin(x / width * f + rng.uniform(0, 6)) / f for f in rng.uniform(4, 30, 3))
        edge = height * level + 0.25 * height * np.asarray(wave)
        below = np.arange(height)[:, None] > edge[None]
        canvas[below] = earth * level + low * (1 - level) * 0.9 + rng.normal(0, 6, 3)
    return np.clip(canvas, 0, 255).astype(np.uint8)


def street(width: int, height: int, rng: Rng) -> np.ndarray:
    """A row of houses with windows, and a pavement."""
    canvas = np.full((height, width, 3), colour(rng, 150, 250), np.uint8)
    floor, x = int(height * rng.uniform(0.7, 0.9)), 0
    unit = min(width, height)
    while x < width:
        wide, tall = (int(rng.uniform(*r) * unit) for r in ((0.2, 0.5), (0.4, 1.1)))
        wall = colour(rng, 90, 230)
        cv2.rectangle(canvas, (x, floor - tall), (x + wide, floor), wall, -1)
        step = max(int(unit * 0.1), 8)
        for y in range(floor - tall + step // 2, floor - step, step):
            for u in range(x + step // 3, x + wide - step // 2, step):
                pane = near(np.array(wall) * 0.6, rng, 10)
                cv2.rectangle(canvas, (u, y), (u + step // 2, y + int(0.6 * step)), pane, -1)
        x += wide
    canvas[floor:] = colour(rng, 90, 190)
    return canvas


def floor_tiles(width: int, height: int, rng: Rng) -> np.ndarray:
    """A wall, and a floor of tiles in perspective."""
    wall, one, two = (np.array(colour(rng, 100, 240)) for _ in range(3))
    line = height * rng.uniform(0.3, 0.6)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    depth = 1 / np.maximum(y - line, 0.5) * height * 0.4
    check = (np.floor((x - width / 2) * depth / height * 6) + np.floor(depth * 5)) % 2
    canvas = np.where(check[..., None] > 0, one, two)
    canvas[: int(line)] = wall
    return canvas.astype(np.uint8)


def night(width: int, height: int, rng: Rng) -> np.ndarray:
    """A dark sky with stars, and a moon now and then."""
    canvas = np.full((height, width, 3), colour(rng, 15, 80), np.float32)
    canvas += 40 * np.linspace(0, 1, height)[:, None, None]
    out = np.clip(canvas + rng.normal(0, 3, canvas.shape), 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(20, 120))):
        at = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        cv2.circle(out, at, int(rng.integers(1, 3)), near((240, 236, 210), rng, 10), -1)
    if rng.random() < 0.3:
        at = (int(rng.uniform(0, width)), int(rng.uniform(0, 0.4) * height))
        cv2.circle(out, at, int(0.07 * min(width, height)), (246, 240, 205), -1, cv2.LINE_AA)
    return out


def brushed(width: int, height: int, rng: Rng) -> np.ndarray:
    """Broad strokes of three colours, one over the other."""
    inks = [np.array(colour(rng, 70, 240)) for _ in range(3)]
    canvas = np.full((height, width, 3), inks[0], np.uint8)
    for _ in range(width * height // 1800):
        at = rng.uniform(0, 1, 2) * (width, height)
        turn, long = rng.normal(0.4, 0.4), rng.uniform(15, 60)
        end = at + long * np.array([np.cos(turn), np.sin(turn)])
        a, b = (tuple(int(v) for v in p) for p in (at, end))
        cv2.line(canvas, a, b, near(_pick(inks, rng), rng, 10), int(rng.integers(3, 12)))
    return canvas


def mushrooms_and_birds(canvas: np.ndarray, rng: Rng) -> np.ndarray:
    """Clutter: mushrooms below, birds above, a fence now and then."""
    height, width = canvas.shape[:2]
    short, ink = min(height, width), colour(rng)
    for _ in range(int(rng.integers(1, 7))):
        x, y, r = rng.uniform(0, width), rng.uniform(0.6, 1) * height, rng.uniform(0.01, 0.045)
        cap, r = oval(x, y, r * short, 0.6 * r * short), r * short
        cv2.fillPoly(canvas, _corners(limb(x, y, x, y + 1.6 * r, r)), (226, 216, 200), cv2.LINE_AA)
        cv2.fillPoly(canvas, _corners(cap), near(ink, rng), cv2.LINE_AA)
    for _ in range(int(rng.integers(0, 6))):
        x, y, r = rng.uniform(0, width), rng.uniform(0, 0.5) * height, rng.uniform(0.01, 0.04)
        wing = np.array([(-1, -0.5), (0, 0), (1, -0.5)]) * r * short + (x, y)
        cv2.polylines(canvas, _corners(wing), False, (50, 46, 50), 2, cv2.LINE_AA)
    if rng.random() < 0.25:
        y, tall = rng.uniform(0.6, 0.9) * height, 0.12 * short
        for x in np.arange(0, width, 0.08 * short):
            post = limb(x, y, x, y + tall, 0.02 * short)
            cv2.fillPoly(canvas, _corners(post), (150, 126, 100), cv2.LINE_AA)
        cv2.line(canvas, (0, int(y + tall / 3)), (width, int(y + tall / 3)), (150, 126, 100), 3)
    return canvas


# --- pages


def with_legend(sample: Sample, rng: Rng) -> Sample:
    """The picture high on a large sheet, a line or two of words under it."""
    image, sheet = sample.image, near((244, 238, 222), rng, 6)
    side = [int(f * min(image.size)) for f in rng.uniform(0.05, 0.3, 4)]
    size = (image.width + side[0] + side[2], image.height + side[1] + side[3] + 50)
    page = Image.new("RGB", size, sheet)
    page.paste(image, (side[0], side[1]))
    draw, size_of = ImageDraw.Draw(page), 0.03 * max(image.size)
    for line in range(int(rng.integers(1, 3))):
        words = " ".join("".join(rng.choice(SYLLABLES, 2)) for _ in range(5))
        y = side[1] + image.height + (0.8 + 1.5 * line) * size_of
        draw.text((page.width / 2, y), words, (60, 52, 50), font(size_of), "mt")
    return Sample(page, moved(sample.subjects, side[0], side[1], 1.0), "with a legend")


def on_a_table(sample: Sample, rng: Rng) -> Sample:
    """A torn sheet on a dark table, as photographed."""
    image, wood = sample.image, np.array(near((70, 56, 48), rng, 14))
    edge = int(rng.uniform(0.03, 0.1) * max(image.size))
    page = np.full((image.height + 2 * edge, image.width + 2 * edge, 3), wood, np.float32)
    page += rng.normal(0, 5, page.shape[:2])[..., None]
    torn = rng.normal(0, edge / 10, (2, max(page.shape)))
    y, x = np.mgrid[: page.shape[0], : page.shape[1]]
    half, slack = edge // 2, [np.cumsum(t) * 0.3 % (edge / 3) for t in torn]
    sheet = (x > half + slack[0][y]) & (x < page.shape[1] - half - slack[1][y])
    sheet &= (y > half + slack[0][x]) & (y < page.shape[0] - half - slack[1][x])
    page[sheet] = (238, 230, 210)
    page[edge : edge + image.height, edge : edge + image.width] = np.asarray(image)
    shown = Image.fromarray(np.clip(page, 0, 255).astype(np.uint8))
    return Sample(shown, moved(sample.subjects, edge, edge, 1.0), "on a table")


# --- the law of composition


def staged(width: int, height: int, rng: Rng) -> list[tuple[float, float, float]]:
    """(x, y, side) of the square of every figure: one alone on a third or in the middle, or some on
    a common ground at different distances, the nearer ones larger and lower."""
    short = min(width, height)
    if rng.random() < 0.6:
        side = rng.uniform(0.35, 1.0) * short
        third = rng.choice([1 / 3, 1 / 2, 2 / 3]) + rng.normal(0, 0.08)
        middle = np.clip(third, 0.1, 0.9) * max(width, height)
        start = float(np.clip(middle - side / 2, 0, max(width, height) - side))
        across = (short - side) * rng.beta(2, 1.3)
        return [(start, across, side) if width > height else (across, start, side)]
    near_by = np.sort(rng.uniform(0.25, 0.6, int(rng.integers(2, 4))))
    reach = rng.uniform(0.8, 1.2) * short  # as far as they are apart
    first = rng.uniform(0, max(max(width, height) - reach, 0))
    ground = height * rng.uniform(0.55, 0.8)
    found = []
    for size in near_by:
        side = size * short
        if width > height:
            x = first + rng.uniform(0, max(reach - side, 0))
            y = min(ground + 0.5 * side, height) - side
        else:
            x = rng.uniform(0, width - side)
            y = min(first + reach * (0.3 + size), height) - side
        found.append((float(np.clip(x, 0, width - side)), float(max(y, 0)), float(side)))
    return found


THIRD = World(
    figures=(elephant, cloaked, lizard, owl, boat),
    paints=(pastel, misprinted, stippled),
    grounds=(hills, street, floor_tiles, night, brushed),
    clutter=mushrooms_and_birds,
    pages=(with_legend, on_a_table),
    page_share=0.18,
    places=staged,
)
