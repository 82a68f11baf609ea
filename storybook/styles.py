"""How a picture is painted: one function a style, from shapes to a Pillow image.

`side` is the picture's height in px, `width` its width in heights. Every length is a share of the
height, so a style looks the same at any size.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from storybook.shapes import BLACK, WHITE, Colour, Shape, mix

Rng = np.random.Generator
Style = Callable[[list[Shape], float, int, Rng], Image.Image]
BACKGROUND = ("sky", "ground", "decor")
TILE = 1 / 16  # side of a mosaic tile and of a pointillist dot


def _canvas(width: float, side: int, colour: Colour) -> Image.Image:
    return Image.new("RGB", (round(width * side), side), colour)


def fill(image: Image.Image, shapes: list[Shape]) -> Image.Image:
    """Paint every shape in its colour, from back to front."""
    draw = ImageDraw.Draw(image)
    for shape in shapes:
        draw.polygon([tuple(p) for p in shape.points * image.height], fill=shape.colour)
    return image


def trace(image: Image.Image, shapes: list[Shape], thickness: float, colour=None) -> Image.Image:
    """Draw the outline of every shape, in `colour` or in the shape's own."""
    draw, pen = ImageDraw.Draw(image), max(1, round(thickness * image.height))
    for shape in shapes:
        points = [tuple(p) for p in shape.points * image.height]
        draw.line([*points, points[0], points[1]], colour or shape.colour, pen, joint="curve")
    return image


def outlined(shapes, width, side, thickness: float, colour: Colour) -> Image.Image:
    """Filled shapes; those of the subject drawn around in one colour."""
    image = fill(_canvas(width, side, WHITE), [s for s in shapes if s.layer in BACKGROUND])
    draw = ImageDraw.Draw(image)
    for shape in (s for s in shapes if s.layer not in BACKGROUND):
        points = [tuple(p) for p in shape.points * side]
        draw.polygon(points, fill=shape.colour)
        pen = max(1, round(thickness * side * (1.0 if shape.layer == "subject" else 0.5)))
        draw.line([*points, points[0], points[1]], colour, pen, joint="curve")
    return image


def flat(shapes: list[Shape], width: float, side: int, rng: Rng) -> Image.Image:
    return fill(_canvas(width, side, WHITE), shapes)


def _levels(image: Image.Image, black: int, white: int) -> Image.Image:
    """The picture with its values 0..255 brought to black..white."""
    return image.point([black + v * (white - black) // 255 for v in range(256)] * 3)


def _cloudy(width: float, side: int, rng: Rng, cells: int = 6) -> Image.Image:
    """Smooth grey noise around 128, for washes and paper."""
    grid = rng.uniform(0, 255, (cells, max(2, round(cells * width)))).astype(np.uint8)
    return Image.fromarray(grid).resize((round(width * side), side), Image.Resampling.BICUBIC)


def watercolour(shapes: list[Shape], width: float, side: int, rng: Rng) -> Image.Image:
    pale = [replace(s, colour=mix(s.colour, (255, 252, 240), 0.3)) for s in shapes]
    back = fill(_canvas(width, side, WHITE), [s for s in pale if s.layer in BACKGROUND])
    back = back.filter(ImageFilter.GaussianBlur(side * 0.02))
    front = [s for s in pale if s.layer not in BACKGROUND]
    image = fill(back, front).filter(ImageFilter.GaussianBlur(side * 0.01))
    wash = _levels(_cloudy(width, side, rng).convert("RGB"), 214, 255)
    return ImageChops.multiply(image, wash)


def ink(shapes: list[Shape], width: float, side: int, rng: Rng) -> Image.Image:
    paper = (246, 238, 218)
    image = _canvas(width, side, paper)
    draw = ImageDraw.Draw(image)
    for shape in shapes:
        behind = shape.layer in BACKGROUND
        points = [tuple(p) for p in shape.points * side]
        draw.polygon(points, fill=mix(shape.colour, paper, 0.78 if behind else 0.25))
        pen = max(1, round(side * (0.008 if behind else 0.018)))
        draw.line([*points, points[0], points[1]], BLACK, pen, joint="curve")
    return image


def pointillist(shapes: list[Shape], width: float, side: int, rng: Rng) -> Image.Image:
    plain = flat(shapes, width, side, rng)
    columns, rows = round(width / TILE), round(1 / TILE)
    samples = plain.resize((columns, rows), Image.Resampling.BOX)
    jitter = rng.normal(0, 9, (rows, columns, 3))
    colours = np.clip(np.asarray(samples, float) + jitter, 0, 255).astype(np.uint8)
    blocks = Image.fromarray(colours).resize(plain.size, Image.Resampling.NEAREST)
    mask = Image.new("L", plain.size, 0)
    draw, step = ImageDraw.Draw(mask), side * TILE
    for row in range(rows):
        for column in range(columns):
            x, y, r = (column + 0.5) * step, (row + 0.5) * step, step * 0.46
            draw.ellipse((x - r, y - r, x + r, y + r), fill=255)
    return Image.composite(blocks, _canvas(width, side, (252, 250, 244)), mask)


def mosaic(shapes: list[Shape], width: float, side: int, rng: Rng) -> Image.Image:
    plain = flat(shapes, width, side, rng)
    columns, rows = round(width / TILE), round(1 / TILE)
    samples = np.asarray(plain.resize((columns, rows), Image.Resampling.BOX), float)
    samples = samples * rng.uniform(0.88, 1.06, (rows, columns, 1))
    tiles = Image.fromarray(np.clip(samples, 0, 255).astype(np.uint8))
    image = tiles.resize(plain.size, Image.Resampling.NEAREST)
    draw, pen = ImageDraw.Draw(image), max(1, round(side * 0.012))
    for k in range(columns + 1):
        draw.line([(k * side * TILE, 0), (k * side * TILE, side)], (42, 40, 48), pen)
    for k in range(rows + 1):
        draw.line([(0, k * side * TILE), (image.width, k * side * TILE)], (42, 40, 48), pen)
    return image


def chalk(shapes: list[Shape], width: float, side: int, rng: Rng) -> Image.Image:
    slate = (44, 62, 60)
    image = _canvas(width, side, slate)
    draw = ImageDraw.Draw(image)
    for shape in shapes:
        behind = shape.layer in BACKGROUND
        points = [tuple(p) for p in shape.points * side]
        draw.polygon(points, fill=mix(slate, shape.colour, 0.16 if behind else 0.72))
        if shape.layer == "sky":
            continue
        pen = max(1, round(side * (0.009 if behind else 0.016)))
        line = mix(shape.colour, (240, 240, 232), 0.72)
        draw.line([*points, points[0], points[1]], line, pen, joint="curve")
    grain = rng.integers(0, 20, (side // 2, image.width // 2), dtype=np.uint8)
    dust = Image.fromarray(grain).resize(image.size, Image.Resampling.NEAREST)
    return ImageChops.subtract(image, dust.convert("RGB"))


def neon(shapes: list[Shape], width: float, side: int, rng: Rng) -> Image.Image:
    dark = [
        replace(s, colour=mix((10, 8, 18), s.colour, 0.03 if s.layer in BACKGROUND else 0.22))
        for s in shapes
    ]
    image = fill(_canvas(width, side, (10, 8, 18)), dark)
    front = [s for s in shapes if s.layer not in BACKGROUND]
    behind = [s for s in shapes if s.layer in ("ground", "decor")]
    lines = trace(_canvas(width, side, (0, 0, 0)), behind, 0.008)
    lines = _levels(lines, 0, 178)
    silhouette = [replace(s, colour=(0, 0, 0)) for s in front]
    lines = fill(lines, silhouette)  # nothing of the background shines through the subject
    trace(lines, front, 0.02)
    glow = lines.filter(ImageFilter.GaussianBlur(side * 0.02))
    return ImageChops.add(ImageChops.add(image, glow), lines)


def stripes(shapes: list[Shape], width: float, side: int, rng: Rng) -> Image.Image:
    plain = flat(shapes, width, side, rng)
    light = _levels(plain, 115, 255)
    mask = Image.new("L", plain.size, 0)
    draw, step = ImageDraw.Draw(mask), side * TILE
    for row in range(0, round(1 / TILE), 2):
        draw.rectangle((0, row * step, plain.width, (row + 1) * step - 1), fill=255)
    return Image.composite(light, _levels(plain, 0, 209), mask)


def stained_glass(shapes: list[Shape], width: float, side: int, rng: Rng) -> Image.Image:
    """Held out: jewel-coloured cells of irregular glass between thick lead, lead around all."""
    import cv2  # only this style needs a nearest-seed map

    plain = np.asarray(flat(shapes, width, side, rng), float)
    count = round(70 * width)
    seeds = np.stack([rng.uniform(0, width, count), rng.uniform(0, 1, count)], 1) * side
    ys, xs = np.mgrid[0:side, 0 : plain.shape[1]]
    distance = (xs[..., None] - seeds[:, 0]) ** 2 + (ys[..., None] - seeds[:, 1]) ** 2
    cell = distance.argmin(-1)
    seed_colour = plain[
        np.clip(seeds[:, 1].astype(int), 0, side - 1),
        np.clip(seeds[:, 0].astype(int), 0, plain.shape[1] - 1),
    ]
    jewels = np.array([[150, 20, 60], [20, 60, 150], [20, 120, 80], [190, 130, 20], [90, 30, 130]])
    tone = 0.55 * seed_colour + 0.45 * jewels[rng.integers(len(jewels), size=count)]
    glass = tone[cell] * rng.uniform(0.8, 1.15, count)[cell][..., None]
    edges = cv2.morphologyEx(cell.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((3, 3))) > 0
    lead = cv2.dilate(edges.astype(np.uint8), np.ones((max(1, side // 64),) * 2)) > 0
    image = Image.fromarray(np.clip(glass, 0, 255).astype(np.uint8))
    front = [s for s in shapes if s.layer not in BACKGROUND]
    bright = [replace(s, colour=mix(s.colour, (255, 255, 255), 0.08)) for s in front]
    subject = fill(image.copy(), bright)
    image = Image.fromarray(np.where(lead[..., None], 18, np.asarray(image)).astype(np.uint8))
    mask = fill(Image.new("RGB", image.size, (0, 0, 0)), [replace(s, colour=WHITE) for s in front])
    image.paste(subject, mask=mask.convert("L"))
    return trace(image, [s for s in front if s.layer == "subject"], 0.034, (18, 16, 20))


STYLES: dict[str, Style] = {
    "flat": flat,
    "watercolour": watercolour,
    "ink": ink,
    "pointillist": pointillist,
    "mosaic": mosaic,
    "chalk": chalk,
    "neon": neon,
    "stripes": stripes,
}

OUTLINES: dict[str, Style] = {
    "no outlines": flat,
    "bold outlines": lambda s, w, side, rng: outlined(s, w, side, 0.036, BLACK),
    "white outlines": lambda s, w, side, rng: outlined(s, w, side, 0.036, WHITE),
}
