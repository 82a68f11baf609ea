"""The world that the cropper was tuned in: storybook's subjects and grounds, and others."""

import cv2
import numpy as np
from PIL import Image, ImageDraw
from scene import Part, Rng, Sample, World, colour, limb, moved, near, oval, points

from lab.images import font
from storybook.patterns import PATTERNS
from storybook.settings import SETTINGS, SKIES, sky
from storybook.styles import STYLES
from storybook.subjects import SUBJECTS
from storybook.world import COLOURS

WORDS = (
    *(
        "once",
        "upon",
        "a",
        "time",
        "there",
        "were",
        "four",
        "little",
        "creatures",
        "whose",
        "names",
    ),
    *("rain", "ran", "down", "every", "window", "of", "that", "long", "grey", "house", "river"),
)
FURS = (
    (150, 105, 62),
    (190, 150, 105),
    (110, 90, 80),
    (200, 190, 180),
    (70, 62, 60),
    (214, 160, 90),
)

# --- figures

HEADS = {  # of storybook's animals, in their own [-1, 1] square
    "cat": (-0.66, -0.98, 0.5, 0.16),
    "rabbit": (-0.54, -1.04, 0.3, 0.26),
    "bird": (-1.0, -0.75, -0.14, -0.02),
}


def storybook_figure(rng: Rng) -> list[Part]:
    """One of storybook's twelve subjects; of its animals the head is known."""
    name = list(SUBJECTS)[int(rng.integers(len(SUBJECTS)))]
    shapes = SUBJECTS[name](list(COLOURS.values())[int(rng.integers(len(COLOURS)))])
    found = []
    for shape in shapes:
        x0, y0, x1, y1 = HEADS.get(name, (2, 2, 2, 2))
        low, high = shape.points.min(axis=0), shape.points.max(axis=0)
        is_head = low[0] >= x0 and low[1] >= y0 and high[0] <= x1 and high[1] <= y1
        found.append(Part((shape.points + 1) / 2, shape.colour, bool(is_head)))
    return found


def quadruped(rng: Rng) -> list[Part]:
    """A beast on four legs, seen from the side."""
    fur = near(FURS[int(rng.integers(len(FURS)))], rng)
    long, tall = rng.uniform(0.24, 0.32), rng.uniform(0.13, 0.2)
    x, y = 0.4, rng.uniform(0.52, 0.62)
    hx, hy, hr = rng.uniform(0.78, 0.86), rng.uniform(0.2, 0.34), rng.uniform(0.09, 0.13)
    legs = [
        Part(limb(x + s * long * 0.75, y, x + s * long * 0.8 + d, 0.98, 0.07), near(fur, rng))
        for s, d in ((-1, -0.04), (-1, 0.05), (1, -0.03), (1, 0.06))
    ]
    ear = rng.uniform(0.1, 0.2)
    return [
        Part(limb(x - long, y - 0.05, 0.02, rng.uniform(0.2, 0.7), 0.05), near(fur, rng)),
        *legs,
        Part(oval(x, y, long, tall), fur),
        Part(limb(x + long * 0.7, y - 0.02, hx - 0.02, hy + 0.03, 0.14), fur),
        Part(oval(hx - 0.06, hy - hr - ear / 3, 0.03, ear / 2, -0.2), near(fur, rng), True),
        Part(oval(hx + 0.03, hy - hr - ear / 3, 0.03, ear / 2, 0.2), near(fur, rng), True),
        Part(oval(hx, hy, hr * 1.15, hr), fur, True),
        Part(oval(hx + hr * 0.8, hy + hr * 0.3, hr * 0.5, hr * 0.4), near(fur, rng, 20), True),
        Part(oval(hx + 0.03, hy - 0.02, 0.014, 0.018), (20, 16, 16), True),
    ]


def standing(rng: Rng) -> list[Part]:
    """A clothed animal or a person on two legs, head on top."""
    skin = near(((226, 186, 150), (170, 120, 80), (150, 110, 70))[int(rng.integers(3))], rng)
    coat, legs = colour(rng), colour(rng)
    head = rng.uniform(0.07, 0.12)
    neck, hip = 0.06 + 2 * head, rng.uniform(0.58, 0.68)
    half = rng.uniform(0.1, 0.16)
    ears = rng.random() < 0.6
    tops = (
        [
            Part(oval(0.5 + s * head * 0.5, head * 0.55, head * 0.28, head * 0.6), skin, True)
            for s in (-1, 1)
        ]
        if ears
        else [Part(points((0.5 - head, 0.1), (0.5, 0), (0.5 + head, 0.1)), colour(rng), True)]
    )
    return [
        Part(limb(0.45, hip, 0.42, 0.99, 0.09), legs),
        Part(limb(0.55, hip, 0.6, 0.99, 0.09), legs),
        Part(limb(0.42, neck + 0.06, rng.uniform(0.2, 0.34), rng.uniform(0.3, 0.62), 0.07), coat),
        Part(limb(0.58, neck + 0.06, rng.uniform(0.66, 0.8), rng.uniform(0.3, 0.62), 0.07), coat),
        Part(points((0.5 - half, neck), (0.5 + half, neck), (0.54 + half, hip + 0.06),
                    (0.46 - half, hip + 0.06)), coat),
        *tops,
        Part(oval(0.5, 0.06 + head, head, head), skin, True),
        Part(oval(0.5 - head * 0.35, 0.05 + head, 0.012, 0.015), (20, 16, 16), True),
        Part(oval(0.5 + head * 0.35, 0.05 + head, 0.012, 0.015), (20, 16, 16), True),
    ]  # fmt: skip


# --- paints


def _fill(canvas: np.ndarray, shape: np.ndarray, ink) -> None:
    cv2.fillPoly(canvas, [np.round(shape * 16).astype(np.int32)], ink, cv2.LINE_AA, 4)


def _line(canvas: np.ndarray, shape: np.ndarray, ink, pen: int) -> None:
    cv2.polylines(canvas, [np.round(shape * 16).astype(np.int32)], True, ink, pen, cv2.LINE_AA, 4)


def filled(canvas: np.ndarray, parts: list[Part], rng: Rng) -> np.ndarray:
    """Flat colours with dark outlines, or with none."""
    pen = int(rng.integers(0, 4))
    for part in parts:
        _fill(canvas, part.points, part.colour)
        if pen:
            _line(canvas, part.points, (40, 30, 28), pen)
    return canvas


def washed(canvas: np.ndarray, parts: list[Part], rng: Rng) -> np.ndarray:
    """Watercolour: pale, uneven, the outline a thin brown line."""
    height, width = canvas.shape[:2]
    uneven = cv2.resize(rng.uniform(0.25, 0.9, (9, 9)).astype(np.float32), (width, height))
    for part in parts:
        layer = canvas.copy()
        _fill(layer, part.points, part.colour)
        canvas = (canvas + (layer.astype(np.float32) - canvas) * uneven[..., None]).astype(np.uint8)
        _line(canvas, part.points, (96, 66, 48), 1)
    return canvas


def drawn(canvas: np.ndarray, parts: list[Part], rng: Rng) -> np.ndarray:
    """Pen and ink: the paper inside, one tint, a strong line."""
    paper = np.median(canvas.reshape(-1, 3), axis=0)
    for part in parts:
        _fill(canvas, part.points, tuple(0.75 * paper + 0.25 * np.array(part.colour)))
        _line(canvas, part.points, (34, 30, 30), 2)
    return canvas


# --- grounds


def storybook_ground(width: int, height: int, rng: Rng) -> np.ndarray:
    """One of storybook's settings or patterns in one of its styles."""
    if rng.random() < 0.3:
        names = [tuple(c) for c in rng.permutation(list(COLOURS.values()))[:3].tolist()]
        pattern = list(PATTERNS.values())[int(rng.integers(len(PATTERNS)))]
        shapes = pattern(width / height, names, rng)
        style = STYLES["flat"]
    else:
        time = list(SKIES)[int(rng.integers(len(SKIES)))]
        setting = list(SETTINGS.values())[int(rng.integers(len(SETTINGS)))]
        shapes = [*sky(width / height, time, rng), *setting(width / height, time, rng)]
        style = list(STYLES.values())[int(rng.integers(len(STYLES)))]
    image = style(shapes, width / height, max(height, 256), rng).resize((width, height))
    return np.array(image.convert("RGB"))


def wash_ground(width: int, height: int, rng: Rng) -> np.ndarray:
    """A vertical or slanting gradient between two colours."""
    first, second = (np.array(colour(rng, 120, 255)) for _ in range(2))
    x, y = np.linspace(0, 1, width)[None, :], np.linspace(0, 1, height)[:, None]
    t = np.clip(y + rng.uniform(-0.4, 0.4) * (x - 0.5), 0, 1)[..., None]
    return (first * (1 - t) + second * t).astype(np.uint8)


def foliage_ground(width: int, height: int, rng: Rng) -> np.ndarray:
    """Leaves of one hue in every shade and direction."""
    base = np.array(((150, 180, 110), (205, 190, 140), (120, 150, 120))[int(rng.integers(3))])
    canvas = np.full((height, width, 3), base, np.uint8)
    for _ in range(width * height // 450):
        at = (rng.uniform(0, width), rng.uniform(0, height))
        leaf = oval(*at, *rng.uniform(3, 14, 2), turn=rng.uniform(0, 3))
        shade = near(base, rng, 18)
        _fill(canvas, leaf, shade)
        _line(canvas, leaf, near(np.array(shade) * 0.8, rng, 4), 1)
    return canvas


def photo_ground(width: int, height: int, rng: Rng) -> np.ndarray:
    """Noise with the spectrum of photographs, in the colours of one scene."""
    y, x = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    falloff = 1 / np.maximum(np.hypot(x, y), 1 / max(width, height)) ** rng.uniform(1.0, 1.5)
    light = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(height, width))) * falloff, (height, width))
    light = (light - light.mean()) / light.std()
    base, along = np.array(colour(rng, 70, 200)), rng.uniform(10, 45, 3)
    return np.clip(base + light[..., None] * along, 0, 255).astype(np.uint8)


def planks_ground(width: int, height: int, rng: Rng) -> np.ndarray:
    """A fence or a floor: boards with grain and dark gaps."""
    board = int(rng.integers(24, 80))
    upright = rng.random() < 0.5
    base = np.array(colour(rng, 110, 220))
    across = np.arange(width if upright else height) // board
    shades = rng.normal(0, 12, (across.max() + 1, 1))[across]
    gaps = (np.arange(len(across)) % board < 2) * -70.0
    lines = base + shades + gaps[:, None]
    canvas = np.repeat(lines[None] if upright else lines[:, None], height if upright else width,
                       0 if upright else 1)  # fmt: skip
    grain = cv2.GaussianBlur(
        rng.normal(0, 30, canvas.shape[:2]), (0, 0), 1 if upright else 9, None, 9 if upright else 1
    )
    return np.clip(canvas + grain[..., None], 0, 255).astype(np.uint8)


def flowers_and_stones(canvas: np.ndarray, rng: Rng) -> np.ndarray:
    """Clutter: flowers, stones and tufts of grass, one hue each, anywhere."""
    height, width = canvas.shape[:2]
    short = min(height, width)
    inks = [colour(rng) for _ in range(2)]
    for _ in range(int(rng.integers(3, 16))):
        x, y, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.01, 0.05) * short
        ink = near(inks[int(rng.integers(2))], rng)
        kind = int(rng.integers(3))
        if kind == 0:
            for angle in np.arange(6) * np.pi / 3:
                _fill(canvas, oval(x + r * np.cos(angle), y + r * np.sin(angle), r, r / 2), ink)
        elif kind == 1:
            _fill(canvas, oval(x, y, 1.4 * r, r), ink)
            _line(canvas, oval(x, y, 1.4 * r, r), (60, 56, 52), 1)
        else:
            for _ in range(9):
                tip = (x + rng.normal(0, r), y - rng.uniform(1, 3) * r)
                _fill(canvas, limb(x + rng.normal(0, r / 3), y, *tip, max(r / 5, 1)), ink)
    return canvas


# --- pages


def text_block(page: Image.Image, box, size: float, ink, rng: Rng, justify: float = 1.0) -> None:
    """Lines of words in a rectangle (x0, y0, x1, y1) of a page."""
    draw, letters = ImageDraw.Draw(page), font(size)
    x0, y0, x1, y1 = box
    y = y0
    while y + size < y1:
        line, end = (
            "",
            x1 if rng.random() < 0.85 else x0 + justify * rng.uniform(0.3, 0.9) * (x1 - x0),
        )
        while True:
            longer = f"{line} {WORDS[int(rng.integers(len(WORDS)))]}".strip()
            if draw.textlength(longer, font=letters) > end - x0:
                break
            line = longer
        draw.text((x0, y), line, fill=ink, font=letters)
        y += size * 1.35


def plate_with_text(sample: Sample, rng: Rng) -> Sample:
    """A page: the picture, and a column of text beneath, above or beside it."""
    image = sample.image
    ink, paper = near((50, 44, 40), rng, 8), near((246, 240, 224), rng, 5)
    margin = int(rng.uniform(0.04, 0.1) * min(image.size))
    room = int(rng.uniform(0.25, 0.7) * min(image.size))
    beside = image.width > image.height if rng.random() < 0.7 else image.width <= image.height
    first = rng.random() < 0.4
    size = (image.width + beside * (room + margin) + 2 * margin,
            image.height + (not beside) * (room + margin) + 2 * margin)  # fmt: skip
    page = Image.new("RGB", size, paper)
    x = margin + (beside and first) * (room + margin)
    y = margin + (not beside and first) * (room + margin)
    page.paste(image, (x, y))
    if beside:
        left = margin if first else 2 * margin + image.width
        block = (left, margin, left + room, size[1] - margin)
    else:
        top = margin if first else 2 * margin + image.height
        block = (margin, top, size[0] - margin, top + room)
    text_block(page, block, rng.uniform(0.02, 0.032) * max(size), ink, rng)
    return Sample(page, moved(sample.subjects, x, y, 1.0), "page with text")


def double_page(sample: Sample, rng: Rng) -> Sample:
    """Two facing pages with the shadow of the gutter between them; the other page is text."""
    image = sample.image
    margin = int(0.06 * min(image.size))
    half = (image.width + 2 * margin, image.height + 2 * margin)
    page = Image.new("RGB", (2 * half[0], half[1]), near((244, 238, 222), rng, 5))
    left = bool(rng.random() < 0.5)
    page.paste(image, (margin + (0 if left else half[0]), margin))
    start = half[0] if left else 0
    block = (start + margin, margin, start + half[0] - margin, half[1] - margin)
    text_block(page, block, rng.uniform(0.02, 0.03) * max(page.size), (54, 48, 44), rng)
    distance = np.abs(np.arange(page.width) - half[0]) / half[0]
    shadow = 1 - rng.uniform(0.3, 0.7) * np.exp(-((distance / rng.uniform(0.02, 0.06)) ** 2))
    shaded = (np.asarray(page) * shadow[None, :, None]).astype(np.uint8)
    x = margin + (0 if left else half[0])
    return Sample(Image.fromarray(shaded), moved(sample.subjects, x, margin, 1.0), "double page")


def vignette(sample: Sample, rng: Rng) -> Sample:
    """The picture fades into the paper around it, as vignettes of picture books do."""
    image = np.asarray(sample.image, np.float32)
    height, width = image.shape[:2]
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None, :]
    fade = np.clip((1.12 - np.maximum(np.abs(x), np.abs(y))) / 0.25, 0, 1)[..., None]
    faded = 252 * (1 - fade) + image * fade
    page = Image.fromarray(faded.astype(np.uint8))
    return Sample(page, sample.subjects, "vignette")


DEVELOPMENT = World(
    figures=(storybook_figure, storybook_figure, quadruped, standing),
    paints=(filled, filled, washed, drawn),
    grounds=(storybook_ground, storybook_ground, wash_ground, foliage_ground, photo_ground,
             planks_ground),
    clutter=flowers_and_stones,
    pages=(plate_with_text, double_page, vignette),
)  # fmt: skip
