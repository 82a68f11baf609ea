"""The world that decides: other figures, paints, grounds and pages than the cropper was tuned on.

Nobody looked at the cropper's results here before its last setting was chosen.
"""

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from scene import Part, Rng, Sample, World, colour, limb, moved, near, oval, points

from lab.images import font

LETTERS = np.array(list("abcdefghiklmnoprstuvwy"))
HIDES = (
    (120, 88, 60),
    (226, 214, 196),
    (88, 96, 110),
    (176, 120, 70),
    (60, 48, 44),
    (240, 180, 150),
)

# --- figures


def _pick(choices, rng: Rng):
    return choices[int(rng.integers(len(choices)))]


def sitting_hare(rng: Rng) -> list[Part]:
    """A hare that sits upright, from the side, with long ears."""
    hide = near(_pick(HIDES, rng), rng)
    lean, ear = rng.uniform(-0.04, 0.08), rng.uniform(0.13, 0.2)
    hx, hy = 0.42 + lean, ear * 1.5 + 0.1
    return [
        Part(oval(0.78, 0.86, 0.07, 0.06), near((240, 236, 228), rng, 6)),
        Part(oval(0.55, 0.72, 0.24, 0.26), hide),
        Part(oval(0.46, 0.5, 0.15, 0.22, turn=0.2), hide),
        Part(oval(0.5, 0.93, 0.25, 0.055), near(hide, rng, 10)),
        Part(limb(0.38, 0.5, 0.27, 0.72, 0.07), near(hide, rng, 10)),
        Part(oval(hx + 0.05, hy - 0.1 - ear * 0.5, 0.032, ear * 0.8, -0.25), hide, True),
        Part(oval(hx - 0.02, hy - 0.1 - ear * 0.5, 0.032, ear * 0.8, 0.1), hide, True),
        Part(oval(hx, hy, 0.13, 0.1), hide, True),
        Part(oval(hx - 0.05, hy - 0.02, 0.016, 0.02), (18, 14, 12), True),
    ]


def long_neck(rng: Rng) -> list[Part]:
    """A giraffe or heron: thin legs, a long neck, a small head at the top."""
    hide = near(_pick(HIDES, rng), rng)
    y, x = rng.uniform(0.5, 0.6), 0.42
    hx, hy = rng.uniform(0.62, 0.8), rng.uniform(0.07, 0.14)
    legs = [Part(limb(x + s, y, x + s + d, 0.99, 0.035), near(hide, rng, 8))
            for s, d in ((-0.16, -0.03), (-0.12, 0.03), (0.14, -0.02), (0.17, 0.04))]  # fmt: skip
    patches = [
        Part(oval(x + rng.uniform(-0.15, 0.15), y + rng.uniform(-0.06, 0.06), 0.03, 0.025),
             near(np.array(hide) * 0.6, rng)) for _ in range(6)
    ]  # fmt: skip
    return [
        *legs,
        Part(oval(x, y, 0.23, 0.12, turn=0.15), hide),
        *patches,
        Part(limb(x + 0.14, y - 0.02, hx - 0.02, hy + 0.02, 0.1), hide),
        Part(points((hx - 0.04, hy - 0.05), (hx + 0.06, hy - 0.05), (hx + 0.19, hy + 0.03),
                    (hx + 0.05, hy + 0.06), (hx - 0.05, hy + 0.04)), hide, True),
        Part(oval(hx + 0.03, hy - 0.02, 0.012, 0.013), (18, 14, 12), True),
    ]  # fmt: skip


def lady(rng: Rng) -> list[Part]:
    """A person in a wide dress, with a hat, seen from the front."""
    dress, hat = colour(rng), colour(rng)
    skin = near(_pick(((236, 200, 170), (160, 112, 78), (108, 74, 54)), rng), rng, 8)
    head, wide = rng.uniform(0.065, 0.09), rng.uniform(0.2, 0.34)
    top = 0.08 + head
    brim = head * rng.uniform(1.4, 2.0)
    return [
        Part(points((0.44, top + head), (0.56, top + head), (0.5 + wide, 0.99), (0.5 - wide, 0.99)),
             dress),
        Part(points((0.47, 0.5), (0.53, 0.5), (0.5 + wide * 0.5, 0.99), (0.5 - wide * 0.5, 0.99)),
             near(dress, rng, 25)),
        Part(limb(0.45, top + head + 0.04, 0.3, 0.52, 0.05), near(dress, rng, 12)),
        Part(limb(0.55, top + head + 0.04, 0.71, 0.5, 0.05), near(dress, rng, 12)),
        Part(oval(0.5, top, head * 0.85, head), skin, True),
        Part(oval(0.5, top - head * 0.75, brim, head * 0.25), hat, True),
        Part(points((0.5 - head * 0.7, top - head * 0.8), (0.5 - head * 0.6, 0.01),
                    (0.5 + head * 0.6, 0.01), (0.5 + head * 0.7, top - head * 0.8)), hat, True),
        Part(oval(0.47, top, 0.009, 0.011), (18, 14, 12), True),
        Part(oval(0.53, top, 0.009, 0.011), (18, 14, 12), True),
    ]  # fmt: skip


def blob(rng: Rng) -> list[Part]:
    """A creature with a wavering outline that lies along the ground, its face at one end."""
    hide = near(_pick(HIDES, rng), rng, 30)
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    radius = 1 + sum(rng.normal(0, 0.07) * np.cos(k * angle + rng.uniform(0, 6)) for k in (2, 3, 5))
    body = np.stack([0.55 + 0.36 * radius * np.cos(angle), 0.66 + 0.24 * radius * np.sin(angle)], 1)
    return [
        Part(limb(0.8, 0.6, 0.99, rng.uniform(0.2, 0.7), 0.08), near(hide, rng)),
        Part(body, hide),
        Part(oval(0.24, 0.46, 0.19, 0.17), near(hide, rng, 12), True),
        Part(points((0.1, 0.36), (0.13, 0.18), (0.2, 0.31)), hide, True),
        Part(points((0.28, 0.31), (0.36, 0.17), (0.38, 0.36)), hide, True),
        Part(oval(0.17, 0.44, 0.02, 0.028), (18, 14, 12), True),
        Part(oval(0.29, 0.44, 0.02, 0.028), (18, 14, 12), True),
    ]


def machine(rng: Rng) -> list[Part]:
    """Something without a head: a mill, a lamp, a teapot of boxes and wheels."""
    ink, other = colour(rng), colour(rng)
    parts = [Part(points((0.3, 0.3), (0.7, 0.3), (0.78, 0.98), (0.22, 0.98)), ink)]
    turn = rng.uniform(0, 1.5)
    for k in range(4):
        a = turn + k * np.pi / 2
        parts.append(
            Part(limb(0.5, 0.36, 0.5 + 0.34 * np.cos(a), 0.36 + 0.34 * np.sin(a), 0.1), other)
        )
    door = points((0.44, 0.75), (0.56, 0.75), (0.57, 0.98), (0.43, 0.98))
    return [*parts, Part(oval(0.5, 0.36, 0.06, 0.06), near(ink, rng, 30)), Part(door, other)]


# --- paints


def _mask(shape, part: Part, soft: float = 0.0) -> np.ndarray:
    """float32 [h, w]: 1 inside a part."""
    image = Image.new("L", (shape[1], shape[0]))
    ImageDraw.Draw(image).polygon([tuple(p) for p in part.points], fill=255)
    if soft:
        image = image.filter(ImageFilter.GaussianBlur(soft))
    return np.asarray(image, np.float32) / 255


def shaded(canvas: np.ndarray, parts: list[Part], rng: Rng) -> np.ndarray:
    """As if lit from one side, each part round, with film grain: no lines at all."""
    light = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0 : canvas.shape[0], 0 : canvas.shape[1]].astype(np.float32)
    out = canvas.astype(np.float32)
    for part in parts:
        low, high = part.points.min(axis=0), part.points.max(axis=0)
        middle, size = (low + high) / 2, np.maximum(high - low, 1)
        lit = ((x - middle[0]) * np.cos(light) + (y - middle[1]) * np.sin(light)) / size.max()
        tone = np.clip(1 + 0.9 * lit, 0.35, 1.5)[..., None] * np.array(part.colour, np.float32)
        alpha = _mask(canvas.shape, part, 1.2)[..., None]
        out = out * (1 - alpha) + tone * alpha
    return np.clip(out + rng.normal(0, 7, (*canvas.shape[:2], 1)), 0, 255).astype(np.uint8)


def hatched(canvas: np.ndarray, parts: list[Part], rng: Rng) -> np.ndarray:
    """An engraving: parallel strokes inside, their density the tone, a thin contour."""
    y, x = np.mgrid[0 : canvas.shape[0], 0 : canvas.shape[1]]
    image = canvas.copy()
    ink = np.array(near((46, 38, 36), rng, 10))
    paper = np.percentile(canvas.reshape(-1, 3), 75, axis=0)
    for part in parts:
        angle, pitch = rng.uniform(0, np.pi), rng.uniform(4, 8)
        tone = 1 - np.mean(part.colour) / 255
        strokes = (x * np.cos(angle) + y * np.sin(angle)) % pitch < pitch * (0.15 + 0.5 * tone)
        inside = _mask(canvas.shape, part) > 0.5
        image[inside] = 0.85 * paper + 0.15 * image[inside]
        image[inside & strokes] = ink
        corners = [np.round(part.points).astype(np.int32)]
        cv2.polylines(image, corners, True, tuple(ink.tolist()), 1, cv2.LINE_AA)
    return image


def daubed(canvas: np.ndarray, parts: list[Part], rng: Rng) -> np.ndarray:
    """Thick paint: dabs of neighbouring colours that stray over the edges."""
    image = canvas.copy()
    for part in parts:
        inside = _mask(canvas.shape, part)
        rows, columns = np.nonzero(inside > 0.5)
        if len(rows) == 0:
            continue
        image[inside > 0.5] = part.colour
        for k in rng.integers(0, len(rows), max(len(rows) // 60, 3)):
            a, b = int(rng.integers(2, 6)), int(rng.integers(1, 4))
            at = (int(columns[k]), int(rows[k]))
            cv2.ellipse(image, at, (a, b), rng.uniform(0, 180), 0, 360,
                        near(part.colour, rng, 22), -1, cv2.LINE_AA)  # fmt: skip
    return image


# --- grounds


def _clouds(width: int, height: int, rng: Rng, cells: float) -> np.ndarray:
    """Smooth noise in 0..1, about `cells` waves along the long side."""
    size = (max(int(cells * height / max(width, height)), 2) + 2,
            max(int(cells * width / max(width, height)), 2) + 2)  # fmt: skip
    return cv2.resize(rng.random(size).astype(np.float32), (width, height),
                      interpolation=cv2.INTER_CUBIC)  # fmt: skip


def forest(width: int, height: int, rng: Rng) -> np.ndarray:
    """Tree trunks at every distance, in mist."""
    mist = np.array(colour(rng, 150, 240), np.float32)
    canvas = np.tile(mist, (height, width, 1))
    for near_by in np.sort(rng.random(int(rng.integers(6, 18)))):
        x, wide = rng.uniform(0, width), (4 + 30 * near_by) * max(width, height) / 640
        bend = rng.normal(0, wide, 4)
        rows = np.arange(height)[:, None]
        middle = x + np.interp(rows, np.linspace(0, height, 4), bend)
        trunk = np.abs(np.arange(width)[None] - middle) < wide / 2
        bark = mist * (1 - 0.65 * near_by) + rng.normal(0, 6, (height, width, 1))
        canvas = np.where(trunk[..., None], bark, canvas)
    floor = int(height * rng.uniform(0.7, 0.95))
    canvas[floor:] = canvas[floor:] * 0.5 + np.array(colour(rng, 60, 160)) * 0.5
    return np.clip(canvas, 0, 255).astype(np.uint8)


def waves(width: int, height: int, rng: Rng) -> np.ndarray:
    """Bands of wavering lines in two inks, as in woodcuts."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    swell = rng.uniform(4, 16) * np.sin(
        x / rng.uniform(15, 60) + _clouds(width, height, rng, 4) * 9
    )
    pitch = rng.uniform(9, 34)
    first, second = np.array(colour(rng, 90, 250)), np.array(colour(rng, 60, 220))
    band = ((y + swell) % pitch < pitch * rng.uniform(0.2, 0.6))[..., None]
    return np.where(band, second, first).astype(np.uint8)


def room(width: int, height: int, rng: Rng) -> np.ndarray:
    """An interior: a papered wall, a floor, a window and a picture frame."""
    canvas = np.full((height, width, 3), colour(rng, 130, 245), np.uint8)
    step, dot = int(rng.integers(14, 44)), colour(rng, 100, 240)
    for y in range(0, height, step):
        for x in range((y // step % 2) * step // 2, width, step):
            cv2.circle(canvas, (x, y), max(step // 7, 1), dot, -1, cv2.LINE_AA)
    floor = int(height * rng.uniform(0.65, 0.9))
    canvas[floor:] = colour(rng, 60, 180)
    for _ in range(int(rng.integers(1, 4))):
        w, h = rng.uniform(0.12, 0.3, 2) * min(width, height)
        x, y = int(rng.uniform(0, width - w)), int(rng.uniform(0, max(floor - h, 1)))
        far = (int(x + w), int(y + h))
        cv2.rectangle(canvas, (x, y), far, colour(rng, 150, 255), -1)
        cv2.rectangle(canvas, (x, y), far, colour(rng, 30, 110), max(int(w / 14), 2))
    return canvas


def marbled(width: int, height: int, rng: Rng) -> np.ndarray:
    """Veins and clouds of several sizes, like marbled paper or rock in a photograph."""
    field = sum(_clouds(width, height, rng, 3 * 2**k) / 1.7**k for k in range(5))
    veins = 0.5 + 0.5 * np.sin(np.asarray(field) * rng.uniform(4, 14))
    first, second = np.array(colour(rng, 40, 220)), np.array(colour(rng, 90, 250))
    mixed = first * (1 - veins[..., None]) + second * veins[..., None]
    return np.clip(mixed + rng.normal(0, 6, (height, width, 1)), 0, 255).astype(np.uint8)


def bare_paper(width: int, height: int, rng: Rng) -> np.ndarray:
    """Paper with its fibres and a light that falls off."""
    base = np.array(near((242, 234, 214), rng, 6), np.float32)
    light = 1 - rng.uniform(0, 0.18) * _clouds(width, height, rng, 1)
    return np.clip(base * light[..., None] + rng.normal(0, 3, (height, width, 1)), 0, 255).astype(
        np.uint8
    )


def twigs_and_pots(canvas: np.ndarray, rng: Rng) -> np.ndarray:
    """Clutter: pots, twigs with berries, tiles lying about, in bunches."""
    height, width = canvas.shape[:2]
    short = min(height, width)
    for _ in range(int(rng.integers(1, 5))):
        x, y, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.02, 0.07) * short
        ink, kind = colour(rng), int(rng.integers(3))
        for _ in range(int(rng.integers(1, 5))):
            at = np.array([x, y]) + rng.normal(0, 2.2 * r, 2)
            if kind == 0:
                pot = points((-1, -1), (1, -1), (0.7, 1), (-0.7, 1)) * r + at
                cv2.fillPoly(canvas, [pot.astype(np.int32)], near(ink, rng), cv2.LINE_AA)
            elif kind == 1:
                tip = at + rng.normal(0, 2.5 * r, 2)
                ends = [tuple(int(v) for v in p) for p in (at, tip)]
                cv2.line(canvas, ends[0], ends[1], (90, 70, 50), 2, cv2.LINE_AA)
                cv2.circle(canvas, ends[1], max(int(r / 3), 1), ink, -1, cv2.LINE_AA)
            else:
                corners = cv2.boxPoints(((float(at[0]), float(at[1])), (2 * r, r),
                                         float(rng.uniform(0, 180))))  # fmt: skip
                cv2.fillPoly(canvas, [corners.astype(np.int32)], near(ink, rng), cv2.LINE_AA)
    return canvas


# --- pages


def _writing(page: Image.Image, box, size: float, ink, rng: Rng) -> None:
    """Lines of made-up words."""
    draw, letters = ImageDraw.Draw(page), font(size)
    y = box[1]
    while y + size < box[3]:
        x = box[0] + (rng.random() < 0.1) * 2 * size
        stop = box[2] if rng.random() < 0.8 else rng.uniform(box[0], box[2])
        while True:
            word = "".join(rng.choice(LETTERS, int(rng.integers(2, 9)))) + " "
            long = draw.textlength(word, font=letters)
            if x + long > stop:
                break
            draw.text((x, y), word, fill=ink, font=letters)
            x += long
        y += size * 1.5


def framed_with_title(sample: Sample, rng: Rng) -> Sample:
    """A ruled frame around the picture, a title above and a few lines below it."""
    image = sample.image
    edge, above, below = (int(f * max(image.size)) for f in (0.05, 0.1, rng.uniform(0.12, 0.3)))
    page = Image.new("RGB", (image.width + 2 * edge, image.height + above + below), (238, 228, 206))
    page.paste(image, (edge, above))
    draw = ImageDraw.Draw(page)
    for gap in (4, 9):
        draw.rectangle((edge - gap, above - gap, edge + image.width + gap,
                        above + image.height + gap), None, (80, 60, 50), 2)  # fmt: skip
    title = "".join(rng.choice(LETTERS, 12)).capitalize()
    draw.text((page.width / 2, above / 2), title, (70, 40, 40), font(above * 0.5), "mm")
    top = above + image.height + edge // 2
    box = (edge, top, page.width - edge, page.height - edge // 2)
    _writing(page, box, 0.022 * max(page.size), (60, 52, 48), rng)
    return Sample(page, moved(sample.subjects, edge, above, 1.0), "framed page")


def column_beside(sample: Sample, rng: Rng) -> Sample:
    """The picture on one side, a narrow column of text on the other, a stained fold between."""
    image = sample.image
    wide, edge = int(rng.uniform(0.3, 0.8) * image.height) + 40, int(0.04 * max(image.size))
    right = bool(rng.random() < 0.5)
    page = Image.new("RGB", (image.width + wide + 3 * edge, image.height + 2 * edge),
                     near((232, 222, 200), rng, 5))  # fmt: skip
    x = edge if right else 2 * edge + wide
    page.paste(image, (x, edge))
    left = 2 * edge + image.width if right else edge
    _writing(page, (left, edge, left + wide, page.height - edge),
             rng.uniform(0.02, 0.03) * max(page.size), (66, 56, 50), rng)  # fmt: skip
    fold = left - edge / 2 if right else left + wide + edge / 2
    dark = 1 - 0.4 * np.exp(-np.abs(np.arange(page.width) - fold) / (0.02 * page.width))
    stained = (np.asarray(page) * dark[None, :, None]).astype(np.uint8)
    return Sample(Image.fromarray(stained), moved(sample.subjects, x, edge, 1.0), "column beside")


def oval_vignette(sample: Sample, rng: Rng) -> Sample:
    """An oval mount: the corners are paper."""
    image = np.asarray(sample.image, np.float32)
    y = np.linspace(-1, 1, image.shape[0])[:, None]
    x = np.linspace(-1, 1, image.shape[1])[None]
    inside = np.clip((1.25 - x**2 - y**2) / 0.2, 0, 1)[..., None]
    mounted = (image * inside + 244 * (1 - inside)).astype(np.uint8)
    return Sample(Image.fromarray(mounted), sample.subjects, "oval mount")


DECISIVE = World(
    figures=(sitting_hare, long_neck, lady, blob, machine),
    paints=(shaded, hatched, daubed),
    grounds=(forest, waves, room, marbled, bare_paper),
    clutter=twigs_and_pots,
    pages=(framed_with_title, column_beside, oval_vignette),
)
