"""A fourth world: its own figures, paints, grounds and pages, and its own law of composition.

It was written by someone who had neither read a cropper nor run one on its pictures.
"""

from collections.abc import Callable

import cv2
import fourth_media as art
import numpy as np
from fourth_figures import FIGURES
from fourth_media import fog, hexed, lettering, one_of
from PIL import Image
from scene import Part, Rng, Sample, World, moved

INKS = ("1c1a18", "3a2d22", "20253a", "4a2a22")
LEAST_CONTRAST = 0.3  # of a figure against what is around it, Euclidean in RGB of 0..1
LEAST_STEP = 0.16  # of brightness, likewise


def _floats(canvas: np.ndarray) -> np.ndarray:
    return canvas.astype(np.float32) / 255


def _bytes(light: np.ndarray) -> np.ndarray:
    return (np.clip(light, 0, 1) * 255).round().astype(np.uint8)


# --- paints


def _apart(light: np.ndarray, parts: list[Part]) -> list[tuple[np.ndarray, np.ndarray]]:
    """The figure's shapes; lighter, or darker, than they were, if the ground there is like them."""
    height, width = light.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    tones = [np.array(part.colour, np.float32) / 255 for part in parts]
    for part in parts:
        cv2.fillPoly(mask, [art.fixed(part.points)], 1, cv2.LINE_8, 4)
    reach = max(min(height, width) // 12, 3)
    around = cv2.dilate(mask, np.ones((reach, reach), np.uint8)) > mask
    areas = [cv2.contourArea(part.points.astype(np.float32)) + 1e-6 for part in parts]
    own = np.average(tones, axis=0, weights=areas)
    ground = light[around].mean(axis=0) if around.any() else np.zeros(3)
    step = LEAST_STEP - abs(float(own.mean() - ground.mean()))
    lack = max(LEAST_CONTRAST - float(np.linalg.norm(own - ground)), 1.7 * step)
    shift = 0.0
    if lack > 0:
        shift = (lack + 0.1) / 1.7 * (1 if own.mean() > ground.mean() else -1)
        shift = -shift if abs(own.mean() + shift - 0.5) > 0.4 else shift
        shift *= 1.8 if shift * (own.mean() - ground.mean()) < 0 else 1
    return [
        (part.points, np.clip(tone + shift, 0.03, 0.97))
        for part, tone in zip(parts, tones, strict=True)
    ]


def gouache(canvas: np.ndarray, parts: list[Part], rng: Rng) -> np.ndarray:
    """Opaque, a little streaky, lit from above; a darker edge."""
    light = _floats(canvas)
    streaks = fog(light.shape[0], light.shape[1], 40, rng)
    rim = rng.uniform(0.4, 0.8)
    for points, tone in _apart(light, parts):
        if (found := art.patch(points, light.shape)) is None:
            continue
        box, mask = found
        lit = np.linspace(1.12, 0.85, mask.shape[0], dtype=np.float32)[:, None]
        shade = lit * (0.9 + 0.2 * streaks[box])
        inner = cv2.erode(mask, np.ones((3, 3), np.uint8))
        shade = shade * (1 - rim * 0.5 * (mask - inner))
        light[box] += mask[..., None] * (tone * shade[..., None] - light[box])
    return _bytes(light)


def pen_and_wash(canvas: np.ndarray, parts: list[Part], rng: Rng) -> np.ndarray:
    """Ink outlines; colour that lets a little of the ground through."""
    light, ink = _floats(canvas), hexed(one_of(INKS, rng))
    cover, thick = rng.uniform(0.75, 0.92), rng.uniform(1, 2.6)
    for points, tone in _apart(light, parts):
        if found := art.patch(points, light.shape):
            box, mask = found
            light[box] += cover * mask[..., None] * (tone - light[box])
            art.line(light, points, ink, thick, True)
    return _bytes(cv2.GaussianBlur(light, (0, 0), 0.5))


def cut_paper(canvas: np.ndarray, parts: list[Part], rng: Rng) -> np.ndarray:
    """Coloured papers glued on, each with its small shadow."""
    light = _floats(canvas)
    side = float(np.ptp(np.concatenate([part.points for part in parts]), axis=0).max())
    away = rng.uniform(0.006, 0.014) * side
    for points, tone in _apart(light, parts):
        if found := art.patch(points + away, light.shape):
            box, mask = found
            light[box] *= 1 - 0.3 * cv2.blur(mask, (3, 3))[..., None]
        if found := art.patch(points, light.shape):
            box, mask = found
            fibre = rng.normal(1, 0.03, mask.shape).astype(np.float32)
            light[box] += mask[..., None] * (tone * fibre[..., None] - light[box])
    return _bytes(light)


def dabs(canvas: np.ndarray, parts: list[Part], rng: Rng) -> np.ndarray:
    """Oil: dabs of changing colour that keep inside of the shapes."""
    light = _floats(canvas)
    for points, tone in _apart(light, parts):
        if (found := art.patch(points, light.shape)) is None:
            continue
        box, mask = found
        layer = np.ones((*mask.shape, 3), np.float32) * tone
        size = max(0.12 * max(mask.shape), 3)
        for _ in range(int(min(mask.size / size**2 * 3, 160))):
            x, y = rng.uniform(0, 1, 2) * mask.shape[::-1]
            ends = np.add(np.outer((-1, 1), rng.normal(0, 0.6, 2) * size), (x, y))
            art.line(layer, ends, np.clip(tone * rng.normal(1, 0.14) + 0.02, 0, 1), size / 3)
        light[box] += mask[..., None] * (layer - light[box])
    return _bytes(light)


# --- grounds


def _sheet(width: int, height: int, top, low) -> np.ndarray:
    """One colour above that turns into another below, float32."""
    t = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    return np.ascontiguousarray(np.broadcast_to(top + t * (low - top), (height, width, 3)))


def _tone(rng: Rng, low: float, high: float, strong: float = 0.15) -> np.ndarray:
    """A colour with a brightness between two."""
    tone = rng.uniform(low, high) + rng.normal(0, strong, 3)
    return np.clip(tone, 0.02, 0.98).astype(np.float32)


def meadow(width: int, height: int, rng: Rng) -> np.ndarray:
    """Grass, blade by blade, below a plain sky."""
    light = _sheet(width, height, _tone(rng, 0.6, 0.9), _tone(rng, 0.8, 0.95, 0.05))
    level = round(rng.uniform(0.3, 0.75) * height)
    green = np.array([0.35, 0.5, 0.22], np.float32) * rng.uniform(0.6, 1.3)
    light[level:] = green
    for _ in range(900):
        x, y = rng.uniform(0, width), rng.uniform(level, height + 10)
        tall = (0.02 + 0.05 * (y - level) / (height - level)) * min(width, height)
        blade = np.array([[x, y], [x + rng.normal(0, 0.3) * tall, y - tall]])
        art.line(light, blade, np.clip(green * rng.normal(1, 0.18), 0, 1), tall / 12)
    return _bytes(light)


def parlour(width: int, height: int, rng: Rng) -> np.ndarray:
    """Papered walls, a skirting board, a floor; a picture or a window on the wall."""
    light = _sheet(width, height, _tone(rng, 0.4, 0.85), _tone(rng, 0.4, 0.85, 0.08))
    light[:] = light[height // 2, 0]
    motif, step = (
        light[0, 0] * rng.uniform(0.85, 1.12),
        rng.uniform(0.04, 0.09) * max(width, height),
    )
    for k, x in enumerate(np.arange(step / 2, width, step)):
        if rng.random() < 0.02:
            continue
        for y in np.arange(step / 2 * (1 + k % 2), height, step):
            art.flat(light, [(art.blob(x, y, step / 5, step / 4, rng), np.clip(motif, 0, 1))], rng)
    level, floor = round(rng.uniform(0.72, 0.92) * height), _tone(rng, 0.25, 0.6, 0.1)
    light[level:] = floor
    light[level - max(height // 60, 2) : level] = np.clip(floor * 1.4, 0, 1)
    if rng.random() < 0.6:
        x, y = rng.uniform(0, 0.75) * width, rng.uniform(0.05, 0.3) * level
        size = rng.uniform(0.12, 0.25) * min(width, height)
        frame = np.array([[x, y], [x + size, y], [x + size, y + 1.2 * size], [x, y + 1.2 * size]])
        art.flat(light, [(frame, _tone(rng, 0.6, 0.9))], rng)
        art.line(light, frame, floor * 0.7, size / 14, True)
    return _bytes(light)


def shore(width: int, height: int, rng: Rng) -> np.ndarray:
    """Sky with clouds, the sea in bands, sand."""
    light = _sheet(width, height, hexed("8fb4d6") * rng.uniform(0.6, 1.1), hexed("f2e2cc"))
    cloud = np.clip(fog(height, width, 5, rng) - 0.5, 0, 1)[..., None] * 1.4
    light += cloud * (0.95 - light)
    level, beach = np.sort(rng.uniform(0.25, 0.85, 2) * height).round().astype(int)
    sea = np.array([0.25, 0.48, 0.58], np.float32) * rng.uniform(0.6, 1.4)
    light[level:] = sea
    for y in range(level, beach, max(height // 70, 3)):
        x = np.sort(rng.uniform(0, width, 2))
        art.line(light, np.stack([x, [y, y]], 1), np.clip(sea * rng.uniform(0.8, 1.5), 0, 1), 2)
    light[beach:] = hexed("dcc594") * rng.normal(1, 0.05, (height - beach, width, 1))
    return _bytes(light)


def woodland(width: int, height: int, rng: Rng) -> np.ndarray:
    """Trunk behind trunk, paler with distance; snow, leaves or moss on the floor."""
    air, floor = _tone(rng, 0.55, 0.9, 0.06), hexed(one_of(("eef0f4", "a8743c", "5f6e3a"), rng))
    light, dark = _sheet(width, height, air, air * 0.92), _tone(rng, 0.12, 0.3, 0.05)
    for far in (0.75, 0.5, 0.2):
        level = (0.85 - 0.3 * far) * height
        light[round(level) :] = far * air + (1 - far) * floor
        for _ in range(int(rng.integers(3, 9) * max(width / height, 0.6))):
            x, thick = rng.uniform(0, width), (1.1 - far) * rng.uniform(0.03, 0.08) * height
            thick, lean = min(thick, 0.09 * width), rng.normal(0, 0.03) * width
            trunk = np.array([[x + lean, 0], [x + lean + thick * 0.6, 0], [x + thick, level + 4],
                              [x, level + 4]])  # fmt: skip
            art.flat(light, [(trunk, far * air + (1 - far) * dark)], rng)
    return _bytes(light * (0.94 + 0.12 * fog(height, width, 30, rng))[..., None])


def masonry(width: int, height: int, rng: Rng) -> np.ndarray:
    """A wall of bricks, or of books on shelves."""
    books, course = rng.random() < 0.5, rng.uniform(0.07, 0.14) * min(width, height)
    course = course * 2 if books else course
    base, palette = _tone(rng, 0.3, 0.7, 0.08), one_of(art.PALETTES, rng).split()
    light = _sheet(width, height, base * 0.6, base * 0.6)
    for row, y in enumerate(np.arange(0, height, course)):
        x = -course * (row % 2)
        while x < width:
            wide = course * (rng.uniform(0.12, 0.3) if books else 2.0)
            top = y + course * (rng.uniform(0.05, 0.25) if books else 0.06)
            spine = 0.5 * (base + hexed(one_of(palette, rng))) if books else base
            tone = np.clip(spine + rng.normal(0, 0.05), 0.05, 0.95)
            light[round(top) : round(y + 0.94 * course), max(round(x), 0) : round(x + wide)] = tone
            x += wide + (1 if books else 0.06 * course)
    return _bytes(cv2.GaussianBlur(light, (0, 0), 0.8))


def loose_wash(width: int, height: int, rng: Rng) -> np.ndarray:
    """Paper with a wash or two of colour."""
    light = art.paper(height, width, rng)
    for _ in range(int(rng.integers(0, 3))):
        cloud = np.clip((fog(height, width, rng.uniform(2, 4), rng) - 0.45) * 3, 0, 1)[..., None]
        light *= 1 - cloud * rng.uniform(0.3, 0.8) * (1 - _tone(rng, 0.6, 0.85, 0.12))
    return _bytes(light)


def small_things(canvas: np.ndarray, rng: Rng) -> np.ndarray:
    """Leaves, stones, stars or jars, strewn or in a drift."""
    light, (height, width) = _floats(canvas), canvas.shape[:2]
    drift = rng.uniform(0.1, 0.9, 2) * (width, height) if rng.random() < 0.4 else None
    palette, form = one_of(art.PALETTES, rng).split(), int(rng.integers(4))
    for _ in range(int(rng.integers(5, 26))):
        place = rng.uniform(0, 1, 2) * (width, height)
        if drift is not None:
            place = drift + rng.normal(0, 0.15, 2) * min(width, height)
        size, tone = rng.uniform(0.012, 0.035) * min(width, height) + 1, hexed(one_of(palette, rng))
        turn = np.arange(10) * np.pi / 5 + rng.uniform(0, 6)
        far = size * np.where(np.arange(10) % 2, 0.45, 1.0)
        corners = (
            art.blob(0, 0, size * 1.5, size * 0.6, rng),
            art.blob(0, 0, size * 1.2, size, rng, 0.1),
            np.stack([far * np.cos(turn), far * np.sin(turn)], axis=1),
            size
            * np.array([[-0.6, 1], [-0.7, -0.5], [-0.3, -1], [0.3, -1], [0.7, -0.5], [0.6, 1]]),
        )[form]
        under = light[int(np.clip(place[1], 0, height - 1)), int(np.clip(place[0], 0, width - 1))]
        art.flat(light, [(corners + place, 0.65 * tone + 0.35 * under)], rng)
    return _bytes(light)


# --- pages


def _mounted(sample: Sample, edges, sheet: np.ndarray) -> tuple[np.ndarray, Sample]:
    """The picture on a larger sheet: margins left, top, right, low in px."""
    left, top, right, low = (round(v) for v in edges)
    width, height = sample.image.size
    light = np.ones((height + top + low, width + left + right, 3), np.float32) * sheet
    light[top : top + height, left : left + width] = _floats(np.asarray(sample.image))
    return light, Sample(sample.image, moved(sample.subjects, left, top, 1.0), sample.kind)


def story_page(sample: Sample, rng: Rng) -> Sample:
    """A page of a children's book: the picture, and the story above, below or beside it."""
    width, height = sample.image.size
    short, margin = min(width, height), rng.uniform(0.03, 0.08) * max(width, height)
    room, beside = rng.uniform(0.3, 0.6) * short, width < height
    before = rng.random() < 0.4
    edges = np.full(4, margin)
    edges[(0 if before else 2) if beside else (1 if before else 3)] += room
    light, placed = _mounted(sample, edges, hexed(one_of(art.PAPERS, rng)))
    left, top = edges[:2]
    if beside:
        x = margin if before else left + width + 0.5 * margin
        box = (x, margin, x + room - 0.5 * margin, height + margin)
    else:
        y = margin if before else top + height + 0.5 * margin
        box = (margin, y, width + margin, y + room - 0.5 * margin)
    lettering(light, box, short / rng.uniform(14, 24), hexed(one_of(INKS, rng)), rng)
    return Sample(Image.fromarray(_bytes(light)), placed.subjects, "story page")


def one_ink(sample: Sample, rng: Rng) -> Sample:
    """The picture as a print of lines or as a charcoal drawing, with a margin."""
    grey = cv2.GaussianBlur(_floats(np.asarray(sample.image)), (0, 0), 0.7)
    height, width = grey.shape[:2]
    sheet, ink = hexed(one_of(art.PAPERS, rng)), hexed(one_of(INKS, rng))
    tone = grey @ np.array([0.3, 0.59, 0.11], np.float32)
    black, white = np.quantile(tone, (0.02, 0.98))
    tone = np.clip((tone - black) / max(white - black, 0.2), 0, 1) * 0.9 + 0.1
    y, x = art.grid(grey)
    if rng.random() < 0.5:
        bend, pitch = fog(height, width, 3, rng) * 60, rng.uniform(3.2, 5)
        cut = 0.5 + 0.5 * np.cos((y + 0.35 * x + bend) * 6.283 / pitch)
        cover = np.clip((cut - tone) * 2.5 + 0.5, 0, 1)
    else:
        grain = 0.6 + 0.8 * rng.random((height, width), dtype=np.float32)
        cover = np.clip((1 - tone) ** 1.3 * grain, 0, 1)
    edge = cv2.magnitude(cv2.Sobel(tone, -1, 1, 0), cv2.Sobel(tone, -1, 0, 1))
    cover = np.clip(cover + 1.2 * np.clip(edge - 0.15, 0, 1), 0, 1)[..., None] * 0.92
    printed = Sample(Image.fromarray(_bytes(sheet + cover * (ink - sheet))), sample.subjects, "")
    light, placed = _mounted(printed, rng.uniform(0.02, 0.1, 4) * max(width, height), sheet)
    return Sample(Image.fromarray(_bytes(light)), placed.subjects, "one ink")


def strip(sample: Sample, rng: Rng) -> Sample:
    """A panel in a black frame with what is said in a balloon on a band above it."""
    width, height = sample.image.size
    edge, band = 0.03 * max(width, height), rng.uniform(0.12, 0.2) * min(width, height)
    light, placed = _mounted(sample, (edge, edge + band, edge, edge), hexed("fbfaf5"))
    frame = np.array([[0, 0], [width, 0], [width, height], [0, height]]) + np.add(edge, (0, band))
    art.line(light, frame, 0.05, 3, True)
    text = art.words(int(rng.integers(2, 5)), rng)
    size = min(0.4 * band, 1.6 * width / len(text))
    lettering(light, (edge, edge * 0.7, width, edge * 0.7 + band), size, 0.05, rng, text)
    return Sample(Image.fromarray(_bytes(light)), placed.subjects, "strip")


# --- the law of composition


def told(width: int, height: int, rng: Rng) -> list[tuple[float, float, float]]:
    """(x, y, side) of the square of every figure. A story's picture: mostly one figure, which comes
    in from a side, stands, or is near enough to lose its feet; or two to four, the nearer ones
    lower in tall pictures, side by side in wide ones. Feet are low, but for some that fly."""
    short, wide = min(width, height), width > height
    count = int(rng.choice([1, 2, 3, 4], p=[0.62, 0.24, 0.1, 0.04]))
    if count > 1:
        sides = rng.uniform(0.3, 0.6) * short * rng.uniform(0.8, 1.15, count)
    elif wide and rng.random() < 0.12:
        sides = rng.uniform([1.0], [1.25]) * short
    else:
        sides = rng.uniform([0.4], [1.0]) * short
    flies = rng.random() < 0.2
    feet = rng.uniform(0.86, 1.0) if wide else rng.uniform(0.3 if flies else 0.55, 1.0)
    apart = rng.uniform(0.75, 1.3) if wide else rng.uniform(0.6, 1.0)
    steps = np.cumsum([0, *sides[:-1] * apart])
    shrink = min(1.0, (width if wide else feet * height) / (steps[-1] + sides[-1]))
    if count > 1:
        steps, sides = steps * shrink, sides * shrink
    if not wide:
        lows = feet * height - steps[-1] - sides[-1] + steps + sides
        places = rng.uniform(0, 1, count) * np.maximum(width - sides, 0)
        tops = np.maximum(lows - sides, 0)
        return [(float(x), float(y), float(s)) for x, y, s in zip(places, tops, sides, strict=True)]
    reach = width - (steps[-1] + sides[-1])
    manner = rng.choice(["coming", "standing", "anywhere"], p=[0.3, 0.25, 0.45])
    first = {
        "coming": one_of((rng.uniform(-0.04, 0.06), rng.uniform(0.94, 1.04)), rng) * reach,
        "standing": rng.normal(0.5, 0.12) * reach,
        "anywhere": rng.uniform(0, 1) * reach,
    }[manner]
    low = min(feet - (rng.uniform(0, 0.25) if flies else 0.0), 1.0) * height
    return [
        (float(first + x), float(max(low - side, 0)), float(side))
        for x, side in zip(steps, sides, strict=True)
    ]


PAINTS: tuple[Callable[[np.ndarray, list[Part], Rng], np.ndarray], ...] = (
    gouache, pen_and_wash, cut_paper, dabs,
)  # fmt: skip
FOURTH = World(
    figures=FIGURES,
    paints=PAINTS,
    grounds=(meadow, parlour, shore, woodland, masonry, loose_wash),
    clutter=small_things,
    pages=(story_page, one_ink, strip),
    page_share=0.25,
    places=told,
)
