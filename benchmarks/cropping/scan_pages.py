"""Clean scans: drawn pages in many styles, on many papers, with what might pass for damage.

This is what the thresholds of `cropping.cleaning` were chosen on; `scan_fourth.py` is what decides.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np
from development import DEVELOPMENT, foliage_ground, photo_ground, plate_with_text, vignette
from scene import Rng, compose
from third import THIRD, with_legend

from storybook.illustrator import training_drawing

Light = np.ndarray  # float32 [h, w, 3], 0..1
PAPERS = (
    (1.0, 1.0, 1.0), (0.97, 0.95, 0.9), (0.93, 0.88, 0.76), (0.86, 0.86, 0.86), (0.8, 0.72, 0.6),
    (0.7, 0.6, 0.46), (0.78, 0.83, 0.86), (0.83, 0.87, 0.78), (0.9, 0.8, 0.78), (0.3, 0.32, 0.36),
)  # fmt: skip
WORLD = replace(DEVELOPMENT, pages=(plate_with_text, vignette))  # its third page has a gutter
INK, CHALK = (0.14, 0.12, 0.11), (0.93, 0.92, 0.9)


def page(seed: int, index: int, rng: Rng) -> Light:
    """A drawn picture, filling the page, framed on it, or fading into it."""
    long_side = int(np.exp(rng.uniform(np.log(600), np.log(2400))))
    aspect = float(np.exp(rng.uniform(-0.5, 0.4)))
    width, height = (
        (long_side, round(long_side / aspect))
        if aspect > 1
        else (round(long_side * aspect), long_side)
    )
    style = STYLES[int(rng.choice(len(STYLES), p=SHARES))]
    if index % 6 == 5:
        style = watercolour
    light = style(width, height, seed, index, rng)
    for decoy in DECOYS:
        if rng.random() < 0.15:
            light = decoy(light, rng)
    layout = rng.random()
    return light if layout < 0.45 else on_page(light, rng, is_vignette=layout > 0.75)


def paper(width: int, height: int, rng: Rng) -> Light:
    """Paper of some tone, with its fibres and clouds."""
    tone = np.array(PAPERS[int(rng.integers(len(PAPERS)))]) * rng.uniform(0.94, 1.02)
    clouds = cv2.resize(
        rng.normal(0, rng.uniform(0, 0.02), (7, 7)).astype(np.float32), (width, height),
        interpolation=cv2.INTER_CUBIC,
    )  # fmt: skip
    fibres = cv2.GaussianBlur(rng.normal(0, 1, (height, width)), (0, 0), 1.2)
    texture = 1 + clouds + rng.uniform(0, 0.03) * fibres.astype(np.float32)
    return np.clip(tone.astype(np.float32) * texture[..., None], 0, 1)


def staged(seed: int, index: int, rng: Rng) -> Light:
    """A picture of the third world, which scans are not judged on, with or without margins: what
    holds for the pages above alone is seen on these."""
    picture = np.asarray(compose(replace(THIRD, pages=(with_legend,)), rng).image)
    factor = rng.uniform(600, 1400) / max(picture.shape)
    size = (max(round(picture.shape[1] * factor), 8), max(round(picture.shape[0] * factor), 8))
    light = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC).astype(np.float32) / 255
    for decoy in DECOYS:
        if rng.random() < 0.07:
            light = decoy(light, rng)
    if rng.random() < 0.4:
        tone = np.array(PAPERS[int(rng.integers(len(PAPERS)))]) * rng.uniform(0.94, 1.02)
        around = [int(v) for v in rng.uniform(0.02, 0.2, 4) * max(size)]
        light = cv2.copyMakeBorder(light, *around, cv2.BORDER_CONSTANT, value=tone.tolist())
    return np.clip(light, 0, 1).astype(np.float32)


# --- styles


def _fitted(picture: np.ndarray, width: int, height: int) -> Light:
    """The middle of a picture, enlarged to cover width x height."""
    h, w = picture.shape[:2]
    factor = max(width / w, height / h)
    size = (max(round(w * factor), width), max(round(h * factor), height))
    large = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
    y, x = (size[1] - height) // 2, (size[0] - width) // 2
    return np.clip(large[y : y + height, x : x + width].astype(np.float32) / 255, 0, 1)


def illustrated(width: int, height: int, seed: int, index: int, rng: Rng) -> Light:
    """A picture of storybook's illustrator."""
    drawing = training_drawing(1000 + seed, index, 320).image
    return _fitted(np.asarray(drawing), width, height)


def composed(width: int, height: int, seed: int, index: int, rng: Rng) -> Light:
    """A picture of the world that the windows were tuned in."""
    return _fitted(np.asarray(compose(WORLD, rng).image), width, height)


def _figures(width: int, height: int, rng: Rng) -> list[np.ndarray]:
    """Outlines, in px, of the parts of one to three figures."""
    short, found = min(width, height), []
    for _ in range(int(rng.integers(1, 4))):
        parts = DEVELOPMENT.figures[int(rng.integers(len(DEVELOPMENT.figures)))](rng)
        side = rng.uniform(0.4, 0.9) * short
        at = rng.uniform(0, 1, 2) * (width - side, height - side)
        found += [part.points * side + at for part in parts]
    return found


def line_art(width: int, height: int, seed: int, index: int, rng: Rng) -> Light:
    """Pen or brush lines on paper, some parts hatched, straight lines of a setting behind."""
    light, side = paper(width, height, rng), max(width, height)
    ink = INK if light.mean() > 0.5 else CHALK
    pen = max(1, round(rng.uniform(0.0008, 0.004) * side))
    for _ in range(int(rng.integers(0, 6))):  # furniture, walls, a horizon
        ends = (rng.uniform(-0.1, 1.1, (2, 2)) * (width, height)).astype(int).tolist()
        cv2.line(light, ends[0], ends[1], ink, pen, cv2.LINE_AA)
    for outline in _figures(width, height, rng):
        corners = [outline.round().astype(np.int32)]
        if rng.random() < 0.4:
            inside = np.zeros((height, width), np.uint8)
            cv2.fillPoly(inside, corners, (1,))
            pitch, angle = rng.uniform(3, 8) * pen, rng.uniform(0, np.pi)
            y, x = np.mgrid[:height, :width]
            strokes = (x * np.cos(angle) + y * np.sin(angle)) % pitch < 0.35 * pitch
            light[(inside > 0) & strokes] = ink
        cv2.polylines(light, corners, True, ink, pen, cv2.LINE_AA)
    return light


def charcoal(width: int, height: int, seed: int, index: int, rng: Rng) -> Light:
    """Broad grainy strokes and smudges of black, and a little chalk, on toned paper."""
    light = paper(width, height, rng)
    tooth = cv2.GaussianBlur(rng.normal(0, 1, (height, width)), (0, 0), max(width, height) / 900)
    tooth = (tooth / tooth.std()).astype(np.float32)
    side = max(width, height)
    for outline in _figures(width, height, rng):
        black = np.zeros((height, width), np.float32)
        if rng.random() < 0.7:
            cv2.fillPoly(black, [outline.round().astype(np.int32)], (float(rng.uniform(0, 0.6)),))
            black = cv2.GaussianBlur(black, (0, 0), rng.uniform(0.002, 0.02) * side)
        shaky = outline + cv2.GaussianBlur(
            rng.normal(0, 0.01 * side, outline.shape), (1, 5), 2
        )  # fmt: skip
        thick = max(2, round(rng.uniform(0.004, 0.012) * side))
        cv2.polylines(black, [shaky.round().astype(np.int32)], True, (0.9,), thick, cv2.LINE_AA)
        grain = np.clip(0.5 + 0.9 * tooth + 2 * (black - 0.5), 0, 1) * (black > 0.02)
        tone = CHALK if rng.random() < 0.12 else INK
        alpha = (np.clip(black, 0, 1) * grain)[..., None]
        light = light * (1 - alpha) + np.array(tone, np.float32) * alpha
    return light


def busy(width: int, height: int, seed: int, index: int, rng: Rng) -> Light:
    """Undergrowth, or the texture of a photograph, at the pixels of the scan, with figures."""
    scale = rng.uniform(0.4, 1)
    size = (max(round(width * scale), 8), max(round(height * scale), 8))
    ground = (foliage_ground if rng.random() < 0.5 else photo_ground)(*size, rng)
    paint = DEVELOPMENT.paints[int(rng.integers(len(DEVELOPMENT.paints)))]
    figure = DEVELOPMENT.figures[int(rng.integers(len(DEVELOPMENT.figures)))](rng)
    side = 0.7 * min(size)
    at = rng.uniform(0, 1, 2) * (np.array(size) - side)
    moved = [type(part)(part.points * side + at, part.colour, part.is_head) for part in figure]
    return _fitted(paint(ground, moved, rng), width, height)


def watercolour(width: int, height: int, seed: int, index: int, rng: Rng) -> Light:
    """Thin washes on white paper, which is left bare in places and where they end; a few lines."""
    bare = np.array([1, rng.uniform(0.97, 1), rng.uniform(0.92, 1)]) * rng.uniform(0.95, 1.0)
    light = np.broadcast_to(bare.astype(np.float32), (height, width, 3)).copy()
    side, short = max(width, height), min(width, height)
    outlines = _figures(width, height, rng)
    for k in range(int(rng.integers(3, 9)) + len(outlines)):
        wash = np.zeros((height, width), np.float32)
        if k < len(outlines):
            cv2.fillPoly(wash, [outlines[k].round().astype(np.int32)], (1,))
            soft = rng.uniform(0.001, 0.012) * side
        else:  # ground, sky, foliage
            cells = rng.normal(0, 1, tuple(rng.integers(3, 9, 2))).astype(np.float32)
            wash = (cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC) > 0.3) * 1.0
            soft = rng.uniform(0.004, 0.05) * side
        flow = rng.uniform(0.2, 1, (5, 5)).astype(np.float32)
        wash = cv2.GaussianBlur(wash.astype(np.float32), (0, 0), soft)
        wash *= cv2.resize(flow, (width, height), interpolation=cv2.INTER_CUBIC)
        pigment = rng.uniform(0.2, 0.75) + rng.uniform(-0.2, 0.2, 3) * rng.choice([0.3, 1.0])
        light *= 1 - np.clip(wash, 0, 1)[..., None] * (1 - pigment.astype(np.float32))
    pen = max(1, round(0.001 * short))
    for outline in outlines:
        corners = [outline.round().astype(np.int32)]
        cv2.polylines(light, corners, True, (0.4, 0.3, 0.25), pen, cv2.LINE_AA)
    fade = rng.uniform(0.02, 0.12) * short  # the picture ends before the paper does
    inside = np.zeros((height, width), np.float32)
    edge = int(rng.uniform(0, 0.12) * short) + 1
    inside[edge:-edge, edge:-edge] = 1
    inside = cv2.GaussianBlur(inside, (0, 0), fade)[..., None]
    return light * inside + bare.astype(np.float32) * (1 - inside)


STYLES: Sequence[Callable[[int, int, int, int, Rng], Light]] = (
    illustrated, composed, line_art, charcoal, busy,
)  # fmt: skip
SHARES = (0.34, 0.24, 0.14, 0.14, 0.14)


# --- what is printed around a picture


def on_page(light: Light, rng: Rng, is_vignette: bool) -> Light:
    """The picture reduced, on paper, with a few lines of text below it."""
    height, width = light.shape[:2]
    canvas = paper(width, height, rng)
    scale = rng.uniform(0.6, 0.85)
    inner = cv2.resize(
        light, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA
    )
    h, w = inner.shape[:2]
    y, x = round(0.06 * height), (width - w) // 2
    if is_vignette:
        alpha = np.zeros((h, w), np.float32)
        middle, axes = (w // 2, h // 2), (round(0.4 * w), round(0.4 * h))
        cv2.ellipse(alpha, middle, axes, 0, 0, 360, (1,), -1)
        alpha = cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.005, 0.05) * w)[..., None]
        inner = alpha * inner + (1 - alpha) * canvas[y : y + h, x : x + w]
    canvas[y : y + h, x : x + w] = inner
    step = max(8, height // 60)
    for line in range(y + h + 2 * step, height - 3 * step, 2 * step):
        at = x
        while at < x + w:
            word = int(rng.integers(2, 7)) * step
            end = (min(at + word, x + w), line + step // 2)
            cv2.rectangle(canvas, (at, line), end, (0.2,) * 3, -1)
            at += word + step
    return canvas


# --- what might pass for damage


def frame(light: Light, rng: Rng) -> Light:
    """A ruled frame, thin or thick, a little inside the edges."""
    height, width = light.shape[:2]
    inset, thick = int(rng.uniform(0.01, 0.05) * width), int(rng.integers(1, 2 + width // 150))
    colour = rng.uniform(0, 0.5, 3).tolist()
    cv2.rectangle(light, (inset, inset), (width - inset, height - inset), colour, thick)
    return light


def line(light: Light, rng: Rng) -> Light:
    """A drawn line right across: a horizon, a rope, the edge of a table."""
    height, width = light.shape[:2]
    y0, y1 = rng.uniform(0.3, 0.9) * height, rng.uniform(0.3, 0.9) * height
    colour = rng.uniform(0, 0.5, 3).tolist()
    thick = int(rng.integers(1, 2 + width // 200))
    cv2.line(light, (0, int(y0)), (width, int(y1)), colour, thick, cv2.LINE_AA)
    return light


def rules(light: Light, rng: Rng) -> Light:
    """Several straight lines, all alike: boards, bars of a window, rain."""
    height, width = light.shape[:2]
    count, way = int(rng.integers(3, 9)), rng.uniform(0, np.pi)
    tone, thick = rng.uniform(0, 0.9, 3).tolist(), int(rng.integers(1, 2 + width // 250))
    step = np.array([-np.sin(way), np.cos(way)]) * max(width, height) / count
    along = np.array([np.cos(way), np.sin(way)]) * (width + height)
    for k in range(-count, count):
        middle = np.array([width / 2, height / 2]) + (k + 0.3) * step
        ends = [(middle + s * along).astype(int).tolist() for s in (-1, 1)]
        cv2.line(light, ends[0], ends[1], tone, thick, cv2.LINE_AA)
    return light


def trunks(light: Light, rng: Rng) -> Light:
    """Posts or trunks from the upper to the lower edge."""
    height, width = light.shape[:2]
    for _ in range(int(rng.integers(1, 4))):
        x, w = rng.uniform(0.05, 0.95) * width, rng.uniform(0.02, 0.06) * width
        colour = rng.uniform(0.1, 0.6, 3).tolist()
        cv2.rectangle(light, (int(x), 0), (int(x + w), height), colour, -1)
    return light


def moon(light: Light, rng: Rng) -> Light:
    """A white disc with a crisp edge."""
    height, width = light.shape[:2]
    radius = int(rng.uniform(0.03, 0.1) * width)
    centre = int(rng.uniform(0.1, 0.9) * width), int(rng.uniform(0.1, 0.5) * height)
    cv2.circle(light, centre, radius, (1.0, 1.0, rng.uniform(0.8, 1)), -1, cv2.LINE_AA)
    return light


def clouds(light: Light, rng: Rng) -> Light:
    """Soft light blobs of paint, not burnt out."""
    height, width = light.shape[:2]
    alpha = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(1, 5))):
        middle = (int(rng.uniform(0, width)), int(rng.uniform(0, 0.5) * height))
        axes = (int(rng.uniform(0.05, 0.2) * width), int(rng.uniform(0.02, 0.08) * width))
        cv2.ellipse(alpha, middle, axes, 0, 0, 360, (1,), -1)
    soft = rng.uniform(0.005, 0.03) * width
    alpha = rng.uniform(0.4, 0.85) * cv2.GaussianBlur(alpha, (0, 0), soft)[..., None]
    return light * (1 - alpha) + np.float32(rng.uniform(0.85, 0.97)) * alpha


def sky(light: Light, rng: Rng) -> Light:
    """The upper part fades into a light colour, as a sky does, or the lower into mist."""
    height = light.shape[0]
    ramp = np.clip(1 - np.arange(height) / (rng.uniform(0.3, 0.8) * height), 0, 1)
    ramp = (ramp[::-1] if rng.random() < 0.4 else ramp) * rng.uniform(0.3, 0.9)
    colour = rng.uniform(0.6, 1, 3).astype(np.float32)
    alpha = ramp.astype(np.float32)[:, None, None]
    return light * (1 - alpha) + colour * alpha


DECOYS: Sequence[Callable[[Light, Rng], Light]] = (
    frame, line, rules, trunks, moon, clouds, sky,
)  # fmt: skip
