"""Paper, things and media of the fourth world (scan_fourth.py): what its pages are drawn with."""

import cv2
import numpy as np
from PIL import Image, ImageDraw
from scene import Rng

from lab.images import font

Light = np.ndarray  # float32 [h, w, 3], 0..1
Shape = tuple[np.ndarray, np.ndarray]  # corners in px [n, 2]; colour [3], 0..1
PALETTES = (
    "e8c07d c0392b 2f4858 6b8f71 d9b8a0 33658a 86513a",
    "f2d0a4 5f7367 a3333d 477998 c4d6b0 2b2d42 d98e73",
    "d8e2dc 457b9d 1d3557 e63946 a8c686 f4a261 6d597a",
    "cdb891 7a5c3e 4a5240 a08c5b 8d6b94 3f3b36 b5651d",
    "ffd166 ef476f 06a77d 118ab2 7b4b94 f78c6b 40514e",
)
PAPERS = ("fdfcf8", "f6f0e2", "eee3c8", "f2f2f0", "e3d3b0", "faf6ec")
SOUNDS = ("al", "bor", "cen", "dim", "eth", "fro", "gan", "hul", "ist", "jor", "kem", "lor", "mun",
          "nar", "oss", "pel", "quin", "rath", "sil", "tov")  # fmt: skip


def hexed(code: str) -> np.ndarray:
    """A colour of six hexadecimal digits as floats."""
    return np.array([int(code[k : k + 2], 16) / 255 for k in (0, 2, 4)], np.float32)


def one_of(choices, rng: Rng):
    return choices[int(rng.integers(len(choices)))]


def grid(light: Light) -> tuple[np.ndarray, np.ndarray]:
    """y and x of every pixel, float32."""
    y, x = np.mgrid[: light.shape[0], : light.shape[1]].astype(np.float32)
    return y, x


def fog(height: int, width: int, cells: float, rng: Rng) -> np.ndarray:
    """Smooth noise, 0..1, with about `cells` bumps along the long side, float32 [h, w]."""
    side = max(height, width)
    total = np.zeros((height, width), np.float32)
    for octave in range(3):
        count = cells * 2**octave
        grid = [max(round(count * n / side), 2) for n in (width, height)]
        small = rng.random((grid[1], grid[0]), dtype=np.float32)
        total += cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC) / 2**octave
    return np.clip((total - 0.35) / 1.05, 0, 1)


def paper(height: int, width: int, rng: Rng) -> Light:
    """A sheet with fibres and a little mottling; seldom foxed."""
    sheet = np.ones((height, width, 3), np.float32) * hexed(one_of(PAPERS, rng))
    sheet *= (1 - rng.uniform(0, 0.05) * fog(height, width, 6, rng))[..., None]
    fibre = cv2.GaussianBlur(rng.standard_normal((height, width), dtype=np.float32), (0, 0), 1.1)
    sheet += (rng.uniform(0.003, 0.02) * fibre)[..., None]
    if rng.random() < 0.1:
        spots = np.clip(fog(height, width, rng.uniform(25, 60), rng) - 0.84, 0, 1)
        sheet *= 1 - spots[..., None] * np.array([0.2, 0.35, 0.55], np.float32)
    return sheet


def patch(points: np.ndarray, shape) -> tuple[tuple[slice, slice], np.ndarray] | None:
    """A polygon's box in an image and its coverage there, 0..1."""
    x0, y0 = np.clip(np.floor(points.min(axis=0)).astype(int) - 3, 0, shape[1::-1])
    x1, y1 = np.clip(np.ceil(points.max(axis=0)).astype(int) + 4, 0, shape[1::-1])
    if x1 <= x0 or y1 <= y0:
        return None
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    cv2.fillPoly(mask, [fixed(points - (x0, y0))], 255, cv2.LINE_AA, 4)
    return (slice(y0, y1), slice(x0, x1)), mask.astype(np.float32) / 255


def fixed(points: np.ndarray) -> np.ndarray:
    """Corners for OpenCV, in sixteenths of a px."""
    return np.round(points * 16).astype(np.int32)


def line(light: Light, points: np.ndarray, ink, thick: float, closed: bool = False) -> None:
    """A line drawn into a page."""
    colour = [float(v) for v in np.broadcast_to(ink, 3)]
    cv2.polylines(light, [fixed(points)], closed, colour, max(round(thick), 1), cv2.LINE_8, 4)


def rules(light: Light, columns, rows, ink, thick: float) -> None:
    """Straight lines from edge to edge, upright ones at `columns` and level ones at `rows`."""
    height, width = light.shape[:2]
    for x in columns:
        line(light, np.array([[x, 0], [x, height]]), ink, thick)
    for y in rows:
        line(light, np.array([[0, y], [width, y]]), ink, thick)


def blob(x, y, rx, ry, rng: Rng, rough: float = 0.06) -> np.ndarray:
    """A closed outline that no compass drew."""
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    radius = 1 + sum(
        rough / k * rng.normal() * np.cos(k * angle + rng.uniform(0, 6)) for k in (2, 3, 5)
    )
    return np.stack([x + rx * radius * np.cos(angle), y + ry * radius * np.sin(angle)], axis=1)


def words(count: int, rng: Rng) -> str:
    """Words of no language."""
    found = ["".join(rng.choice(SOUNDS, int(rng.integers(1, 4)))) for _ in range(count)]
    return " ".join([found[0].capitalize(), *found[1:]])


def lettering(light: Light, box, size: float, ink, rng: Rng, text: str | None = None) -> None:
    """Lines of type in a box (x0, y0, x1, y1) of a page; one centred line, if the text is given."""
    x0, y0, x1, y1 = (round(v) for v in box)
    x1, y1 = min(x1, light.shape[1]), min(y1, light.shape[0])
    if x1 - x0 < 8 or y1 - y0 < size or size < 4:
        return
    sheet = Image.new("L", (x1 - x0, y1 - y0))
    draw, face, y = ImageDraw.Draw(sheet), font(size), 0.0
    if text is not None:
        draw.text((sheet.width / 2, sheet.height / 2), text, 255, face, "mm")
    while text is None and y + size <= sheet.height:
        ends = rng.random() < 0.12  # of a paragraph
        room = sheet.width * (rng.uniform(0.2, 0.8) if ends else 1.0)
        said = words(30, rng)[: round(room / size * 2.6)]
        while " " in said and face.getlength(said) > room:
            said = said.rpartition(" ")[0]
        draw.text((0, y), said, 255, face)
        y += size * 1.4
    cover = np.asarray(sheet, np.float32)[..., None] / 255
    place = light[y0:y1, x0:x1]
    place += cover * (np.asarray(ink, np.float32) - place)


# --- what is drawn


def house(rng: Rng) -> list[tuple[np.ndarray, int]]:
    """Corners in a unit square on the ground, y upwards from -1 to 0, and numbers of colours."""
    top, wide = rng.uniform(-0.7, -0.4), rng.uniform(0.25, 0.45)
    shapes = [
        (np.array([[-wide, 0], [-wide, top], [wide, top], [wide, 0]]), 0),
        (np.array([[-wide - 0.06, top], [rng.uniform(-0.1, 0.1), -1], [wide + 0.06, top]]), 1),
        (np.array([[-0.07, 0], [-0.07, -0.22], [0.07, -0.22], [0.07, 0]]), 2),
    ]
    for x in (-0.6 * wide, 0.6 * wide):
        pane = np.array([[-0.06, -0.05], [0.06, -0.05], [0.06, 0.05], [-0.06, 0.05]])
        shapes.append((np.add(pane, (x, top + 0.13)), 5))
    return shapes


def tree(rng: Rng) -> list[tuple[np.ndarray, int]]:
    stem = np.array([[-0.06, 0], [-0.03, -0.5], [0.03, -0.5], [0.06, 0]])
    crowns = [
        (blob(rng.normal(0, 0.14), rng.normal(-0.65, 0.1), 0.22, 0.2, rng, 0.12), 3)
        for _ in range(int(rng.integers(2, 6)))
    ]
    return [(stem, 6), *crowns]


def person(rng: Rng) -> list[tuple[np.ndarray, int]]:
    lean, wide, cloth = rng.normal(0, 0.03), rng.uniform(0.1, 0.25), one_of((1, 5), rng)
    arm = rng.uniform(-0.75, -0.3)
    return [
        (np.array([[-0.09, 0], [-0.05, -0.4], [0.05, -0.4], [0.1, 0], [0.03, 0], [0, -0.3]]), 2),
        (np.array([[-wide, -0.2], [-0.08, -0.75], [0.08, -0.75], [wide, -0.2]]), cloth),
        (np.array([[0.05, -0.72], [0.3, arm], [0.27, arm - 0.04], [0.06, -0.62]]), 4),
        (blob(lean, -0.86, 0.09, 0.11, rng, 0.03), 4),
        (blob(lean, -0.95, 0.11, 0.05, rng, 0.05), 6),
    ]  # fmt: skip


def beast(rng: Rng) -> list[tuple[np.ndarray, int]]:
    tone = one_of((0, 5, 6, 1), rng)
    legs = [
        (np.array([[x, 0], [x - 0.02, -0.4], [x + 0.08, -0.4], [x + 0.05, 0]]), tone)
        for x in (-0.38, -0.22, 0.18, 0.34)
    ]
    neck = np.array([[0.25, -0.4], [0.45, -0.85], [0.58, -0.8], [0.42, -0.35]])
    ear = np.array([[0.45, -0.9], [0.47, -1], [0.53, -0.9]])
    body, head = blob(0, -0.45, 0.45, 0.17, rng), blob(0.58, -0.83, 0.14, 0.08, rng)
    return [*legs, (neck, tone), (body, tone), (ear, tone), (head, tone)]


def ship(rng: Rng) -> list[tuple[np.ndarray, int]]:
    hull = np.array([[-0.5, -0.22], [-0.36, 0], [0.36, 0], [0.55, -0.24]])
    mast = np.array([[-0.012, -0.2], [-0.012, -1], [0.012, -1], [0.012, -0.2]])
    sail = np.array([[0.03, -0.95], [0.2, -0.6], [0.38, -0.3], [0.03, -0.3]])
    other = np.array([[-0.03, -0.85], [-0.03, -0.3], [-rng.uniform(0.2, 0.4), -0.3]])
    return [(hull, 6), (mast, 6), (sail, 0), (other, 4)]


def flower(rng: Rng) -> list[tuple[np.ndarray, int]]:
    stem = np.array([[-0.02, 0], [0.03, -0.6], [0.06, -0.6], [0.02, 0]])
    turns = np.arange(6) + rng.random()
    petals = [
        (blob(0.04 + 0.14 * np.cos(k), -0.7 + 0.14 * np.sin(k), 0.1, 0.1, rng), 1) for k in turns
    ]
    return [(stem, 3), *petals, (blob(0.04, -0.7, 0.07, 0.07, rng), 0)]


THINGS = (house, tree, tree, person, person, beast, ship, flower)


def scenery(height: int, width: int, rng: Rng) -> list[Shape]:
    """A sky, one to three grounds that rise and fall, things on them: the far ones first."""
    palette = [hexed(code) for code in rng.permutation(one_of(PALETTES, rng).split())]
    whole = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    pale = rng.uniform(0.3, 0.8)
    shapes = [(whole, pale + (1 - pale) * palette[5])]
    if rng.random() < 0.4:
        r = rng.uniform(0.04, 0.1) * min(width, height)
        x, y = rng.uniform(0.1, 0.4, 2) * (2 * width, height)
        shapes.append((blob(x, y, r, r, rng), palette[0]))
    level, x = rng.uniform(0.3, 0.6), np.linspace(0, 1, 40)
    for _ in range(int(rng.integers(1, 4))):
        swell = rng.choice([0.0, 0.02, 0.06]) * sum(
            rng.normal() * np.sin(k * 2 * np.pi * x + rng.uniform(0, 6)) / k for k in (1, 2, 3)
        )
        edge = np.stack([x * width, (level + swell) * height], axis=1)
        ground = np.concatenate([edge, [[width, height], [0, height]]])
        tone = one_of(palette, rng)
        shapes.append((ground, tone + rng.uniform(0, 0.5) * (1 - tone)))
        for _ in range(int(rng.integers(1, 5))):
            size = rng.uniform(0.2, 0.4) * min(width, height) * (0.4 + 1.6 * level)
            foot = (rng.uniform(0, width), (level + rng.uniform(0.02, 0.15)) * height)
            way = rng.choice([-1, 1])
            for corners, number in one_of(THINGS, rng)(rng):
                shapes.append((corners * (way * size, size) + foot, palette[number]))
        level += rng.uniform(0.12, 0.25)
        if level > 0.9:
            break
    return shapes


# --- media: each lays shapes on a sheet, float32 [h, w, 3], in place or not, and returns it


def flat(light: Light, shapes: list[Shape], rng: Rng) -> Light:
    for points, colour in shapes:
        cv2.fillPoly(light, [fixed(points)], [float(v) for v in colour], cv2.LINE_8, 4)
    return light


def watercolour(light: Light, shapes: list[Shape], rng: Rng) -> Light:
    """Washes that let the paper through, darker where they dried; thin pen lines over some."""
    side, pen = max(light.shape), rng.random() < 0.6
    cloud = fog(light.shape[0], light.shape[1], rng.uniform(10, 25), rng)
    weight = rng.uniform(0.6, 0.95)
    for points, colour in shapes:
        found = patch(points, light.shape)
        if found is None:
            continue
        box, mask = found
        soft = cv2.blur(mask, (2 * max(side // 300, 1) + 1,) * 2)
        wash = mask * (weight * (0.65 + 0.35 * cloud[box]) + 0.5 * (1 - soft))
        covered = light[box] * (1 - 0.85 * mask[..., None]) + 0.85 * mask[..., None] * 0.96
        light[box] = covered * (1 - np.clip(wash, 0, 1)[..., None] * (1 - colour))
        if pen:
            shaken = points + rng.normal(0, side / 1500, points.shape)
            line(light, shaken, (0.2, 0.17, 0.16), side / 900, True)
    return light


def comic(light: Light, shapes: list[Shape], rng: Rng) -> Light:
    """Flat colours, sometimes of dots, in black contours."""
    side, dots = max(light.shape), rng.random() < 0.5
    pitch = max(side / rng.uniform(130, 220), 4)
    y, x = np.mgrid[: light.shape[0], : light.shape[1]].astype(np.float32)
    screen = np.cos((x + y) * 4.44 / pitch) * np.cos((x - y) * 4.44 / pitch) * 0.5 + 0.5
    for number, (points, colour) in enumerate(shapes):
        cv2.fillPoly(light, [fixed(points)], [float(v) for v in colour], cv2.LINE_8, 4)
        if dots and number % 3 == 0 and (found := patch(points, light.shape)):
            box, mask = found
            grain = (mask * (screen[box] > 0.55))[..., None] * 0.5
            light[box] = light[box] * (1 - grain) + grain
        line(light, points, 0.06, side / 450, True)
    return light


def pencil(light: Light, shapes: list[Shape], rng: Rng) -> Light:
    """Contours gone over twice, and hatching where it is darker; graphite that skips the grain."""
    height, width = light.shape[:2]
    side = max(height, width)
    ink = np.zeros((height, width), np.float32)
    for points, colour in shapes[1:]:
        found = patch(points, light.shape)
        if found is None:
            continue
        box, mask = found
        ink[box] *= 1 - 0.9 * mask
        rows, columns = mask.shape
        hatch, turn = np.zeros_like(mask), rng.uniform(0, np.pi)
        step, reach = side / rng.uniform(110, 200) / (1.3 - colour.mean()), np.hypot(rows, columns)
        way = np.array([np.cos(turn), np.sin(turn)])
        for along in np.arange(-reach / 2, reach / 2, step):
            middle = np.array([columns, rows]) / 2 + along * way[::-1] * (-1, 1)
            ends = middle + np.outer(rng.uniform([-0.5, 0.2], [-0.2, 0.5]) * reach, way)
            level = rng.uniform(0.5, 1.0) * (1 - 0.6 * float(colour.mean()))
            cv2.polylines(hatch, [fixed(ends)], False, level, max(side // 900, 1), shift=4)
        ink[box] = np.maximum(ink[box], hatch * mask)
        for _ in range(2):
            shaken = points + rng.normal(0, side / 900, points.shape)
            cv2.polylines(
                ink, [fixed(shaken)], True, rng.uniform(0.5, 0.9), max(side // 800, 1), shift=4
            )
    grain = 0.55 + 0.45 * rng.random((height, width), dtype=np.float32)
    ink = cv2.GaussianBlur(ink, (0, 0), side / 2600) * grain
    return light * (1 - 0.95 * np.clip(1.3 * ink, 0, 1)[..., None])


def engraving(light: Light, shapes: list[Shape], rng: Rng) -> Light:
    """Lines that bend with the ground and swell in the shade, crossed in the dark; one ink."""
    height, width = light.shape[:2]
    side = max(height, width)
    drawn = flat(np.ones_like(light), shapes, rng)
    tone = cv2.GaussianBlur(drawn.mean(axis=2), (0, 0), side / 500)
    tone = np.clip(0.1 + tone + 0.2 * (fog(height, width, 12, rng) - 0.5), 0, 1)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    bend = fog(height, width, 3, rng) * side / 12
    pitch, turn = max(side / rng.uniform(150, 260), 4), rng.uniform(-0.5, 0.5)
    cut = 0.5 + 0.5 * np.cos((y * np.cos(turn) + x * np.sin(turn) + bend) * 6.283 / pitch)
    cross = 0.5 + 0.5 * np.cos((x - y * 0.6 + bend) * 6.283 / pitch)
    ink = np.clip((cut - tone) * 3, 0, 1) + np.clip((cross - tone - 0.35) * 3, 0, 1)
    for points, _ in shapes[1:]:
        contour = np.zeros((1, 1)) + fixed(points)
        cv2.polylines(ink, [contour.astype(np.int32)], True, 1.0, max(side // 900, 1), shift=4)
    black = hexed(one_of(("1c1a18", "33261a", "20242c"), rng))
    cover = np.clip(ink, 0, 1)[..., None] * rng.uniform(0.75, 0.95)
    return light * (1 - cover) + black * cover


def crayon(light: Light, shapes: list[Shape], rng: Rng) -> Light:
    """A child's wax: coarse scribbles that miss their borders, on paper left bare between."""
    side = max(light.shape)
    grain = fog(light.shape[0], light.shape[1], side / 5, rng)
    for points, colour in shapes[1:]:
        found = patch(points + rng.normal(0, side / 250, points.shape), light.shape)
        if found is None:
            continue
        box, mask = found
        rows, columns = mask.shape
        layer = np.zeros_like(mask)
        count = int(rng.uniform(0.5, 1.1) * columns / (side / 90)) + 3
        x = np.linspace(0, columns, 2 * count) + rng.normal(0, side / 300, 2 * count)
        y = np.where(np.arange(2 * count) % 2, -0.1, 1.1) * rows
        y += rng.normal(0, side / 90, 2 * count)
        cv2.polylines(layer, [fixed(np.stack([x, y], 1))], False, 1.0, max(side // 130, 2), shift=4)
        around = cv2.dilate(mask, np.ones((side // 120 + 1,) * 2, np.uint8))
        rim = np.maximum(around - cv2.erode(mask, np.ones((side // 200 + 1,) * 2, np.uint8)), 0)
        wax = np.maximum(layer * around, rim * 0.9) * np.clip(2.2 * grain[box] + 0.1, 0, 1)
        light[box] *= 1 - 0.9 * wax[..., None] * (1 - 0.85 * colour)
    return light


def oil(light: Light, shapes: list[Shape], rng: Rng) -> Light:
    """Short strokes of a flat brush, thousands of them."""
    height, width = light.shape[:2]
    side = max(height, width)
    under = flat(np.ones_like(light), shapes, rng)
    field = fog(height, width, 4, rng) * 9
    out, size = under.copy(), side / rng.uniform(60, 120)
    for _ in range(2600):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        way = np.array([np.cos(field[y, x]), np.sin(field[y, x])]) * size
        ends = np.array([(x, y) - way, np.add((x, y), way)])
        line(out, ends, np.clip(under[y, x] + rng.normal(0, 0.045, 3), 0, 1), size / 2)
    return cv2.GaussianBlur(out, (0, 0), side / 1800)


def photograph(light: Light, shapes: list[Shape], rng: Rng) -> Light:
    """Depth of field, light that falls unevenly on things, grain; sometimes without colour."""
    height, width = light.shape[:2]
    side, near = max(height, width), int(len(shapes) * rng.uniform(0.2, 0.7))
    out = flat(light, shapes[:near], rng) * (0.85 + 0.25 * fog(height, width, 5, rng))[..., None]
    out = cv2.GaussianBlur(out, (0, 0), side / rng.uniform(80, 300))
    relief = 0.7 + 0.5 * fog(height, width, 9, rng)
    for points, colour in shapes[near:]:
        if found := patch(points, light.shape):
            box, mask = found
            shaded = colour * relief[box][..., None]
            out[box] += mask[..., None] * (shaded - out[box])
    out = cv2.GaussianBlur(out, (0, 0), side / 900)
    if rng.random() < 0.4:
        out = out.mean(axis=2, keepdims=True) * hexed(one_of(("ffffff", "fff0d8"), rng))
    grain = rng.standard_normal((height, width), dtype=np.float32)
    return out + rng.uniform(0.01, 0.035) * grain[..., None]
