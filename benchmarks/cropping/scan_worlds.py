"""Clean pages of many kinds, simply drawn, so that a fold is not learned as what a few kinds of
pages do not have: half of them bear straight lines that resemble one."""

from collections.abc import Callable

import cv2
import numpy as np
from scan_decoys import FINE, RESEMBLING, SHIFT, colour, stroke
from scan_pages import DECOYS, Light, on_page, paper
from scene import Rng

FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX)
LETTERS = "etaoinshrdlucmfwypvbgk"


def varied(seed: int, index: int, rng: Rng) -> Light:
    """A page of one of `WORLDS`, as a camera or a scanner has it."""
    long_side, aspect = int(rng.uniform(600, 1000)), float(np.exp(rng.uniform(-0.45, 0.4)))
    width, height = (
        (long_side, round(long_side / aspect))
        if aspect > 1
        else (round(long_side * aspect), long_side)
    )
    light = WORLDS[index % len(WORLDS)](width, height, rng)
    for decoy in (*DECOYS[:4], *RESEMBLING):
        if rng.random() < 0.09:
            light = decoy(light, rng)
    if rng.random() < 0.3:
        light = on_page(light, rng, is_vignette=rng.random() < 0.3)
    if rng.random() < 0.2:  # a scan of print is sharpened
        soft = cv2.GaussianBlur(light, (0, 0), rng.uniform(0.8, 2))
        light = light + rng.uniform(0.4, 1.2) * (light - soft)
    elif rng.random() < 0.25:
        light = cv2.GaussianBlur(light, (0, 0), rng.uniform(0.5, 1.2))
    if rng.random() < 0.15:
        light = np.repeat(light.mean(axis=2, keepdims=True), 3, axis=2)
    return np.clip(light, 0, 1).astype(np.float32)


# --- what pages are made of


def _noise(width: int, height: int, cells: float, rng: Rng) -> np.ndarray:
    """Smooth noise, about -2..2, with so many cells along the width; float32 [h, w]."""
    shape = (max(int(cells * height / width), 2) + 1, int(cells) + 2)
    coarse = rng.normal(0, 1, shape).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def _blob(width: int, height: int, rng: Rng) -> np.ndarray:
    """The outline of something smooth, px, int32 [n, 1, 2] in `FINE`."""
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    waves = [rng.normal(0, 0.25 / k) * np.cos(k * turn + rng.uniform(0, 7)) for k in (1, 2, 3, 5)]
    radius = 1 + np.sum(waves, axis=0)
    axes = rng.uniform(0.04, 0.4, 2) * min(width, height)
    at = rng.uniform(0, 1, 2) * (width, height)
    points = np.stack([np.cos(turn), np.sin(turn)], 1) * radius[:, None] * axes + at
    return (points * FINE).round().astype(np.int32)[:, None]


def _across(light: Light, middle, turn: float, colour, thick: int) -> None:
    """A straight line all the way through a place."""
    way = np.array([np.cos(turn), np.sin(turn)]) * sum(light.shape[:2])
    stroke(light, middle - way, middle + way, colour, thick)


def _words(light: Light, x: int, y: int, wide: int, size: float, ink, font: int, rng: Rng) -> None:
    """A line of letters, at most so wide."""
    text = ""
    while cv2.getTextSize(text, font, size, 1)[0][0] < wide:
        text += "".join(rng.choice(list(LETTERS), int(rng.integers(2, 9)))) + " "
    while text and cv2.getTextSize(text, font, size, 1)[0][0] > wide:
        text = text[:-1]
    cv2.putText(light, text, (x, y), font, size, ink, max(1, round(1.5 * size)), cv2.LINE_AA)


# --- worlds


def flat(width: int, height: int, rng: Rng) -> Light:
    """Flat or softly graded shapes, with outlines or without, as of a children's book."""
    light = np.broadcast_to(np.array(colour(rng, 0.4), np.float32), (height, width, 3)).copy()
    light += 0.12 * _noise(width, height, 2, rng)[..., None] * rng.choice([0, 1])
    pen = int(rng.integers(0, 4))
    for _ in range(int(rng.integers(3, 30))):
        if rng.random() < 0.7:
            shape = _blob(width, height, rng)
        else:
            corners = rng.uniform(0, 1, 2) * (width, height) + rng.normal(
                0, 0.15 * min(width, height), (int(rng.integers(3, 5)), 2)
            )
            shape = (cv2.convexHull(corners.astype(np.float32)) * FINE).astype(np.int32)
        cv2.fillPoly(light, [shape], colour(rng), cv2.LINE_AA, SHIFT)
        if pen:
            cv2.polylines(light, [shape], True, (0.1, 0.1, 0.1), pen, cv2.LINE_AA, SHIFT)
    return light


def engraved(width: int, height: int, rng: Rng) -> Light:
    """Tones made of lines, straight or bent, crossed in the dark."""
    light, tone = paper(width, height, rng), _noise(width, height, rng.uniform(2, 8), rng)
    light = np.maximum(light, 0.5)
    for _ in range(int(rng.integers(2, 7))):
        inside = np.zeros((height, width), np.uint8)
        cv2.fillPoly(inside, [_blob(width, height, rng)], (1,), cv2.LINE_8, SHIFT)
        tone = np.where(inside > 0, rng.uniform(-1.5, 1.5) + 0.4 * tone, tone)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    pitch, bend = rng.uniform(4, 11), rng.choice([0, rng.uniform(2, 20)])
    warp = bend * _noise(width, height, 3, rng)
    turn = rng.uniform(0, np.pi)
    for k, more in enumerate((0.0, 0.8)):
        angle = turn + k * rng.uniform(0.6, 1.5)
        wave = 0.5 + 0.5 * np.cos(
            (x * np.cos(angle) + y * np.sin(angle) + warp) * 2 * np.pi / pitch
        )
        dark = np.clip((np.clip(0.5 + 0.3 * tone - 0.4 * more, 0, 0.9) - wave) * pitch / 2.5, 0, 1)
        light = light * (1 - rng.uniform(0.7, 0.95) * dark[..., None])
    return light


def map_sheet(width: int, height: int, rng: Rng) -> Light:
    """Coasts, contours, rivers, roads, names, and often a graticule."""
    light, ground = paper(width, height, rng), _noise(width, height, rng.uniform(3, 7), rng)
    light = np.maximum(light, 0.55)
    ground += 0.4 * _noise(width, height, 20, rng)
    sea = (ground < rng.uniform(-1, 0.3))[..., None]
    light = np.where(sea, light * np.array(colour(rng, 0.7, 1), np.float32), light)
    for level in np.arange(-2, 2, rng.uniform(0.2, 0.6)):
        lines, _ = cv2.findContours((ground > level).astype(np.uint8), cv2.RETR_LIST, 2)
        cv2.polylines(light, lines, True, colour(rng, 0.2, 0.6), 1, cv2.LINE_AA)
    if rng.random() < 0.6:
        turn, step = rng.choice([0, rng.uniform(-0.1, 0.1)]), rng.uniform(0.1, 0.5) * width
        ink = colour(rng, 0.1, 0.7)
        for k in range(-3, int(max(width, height) / step) + 4):
            for way in (turn, turn + np.pi / 2):
                middle = (
                    k * step * np.array([-np.sin(way), np.cos(way)]) * (1 if way == turn else -1)
                )
                _across(light, middle + 0.3 * step, way, ink, 1)
    for _ in range(int(rng.integers(5, 40))):
        at = rng.uniform(0, 0.9, 2) * (width, height)
        wide = int(rng.uniform(0.04, 0.2) * width) + 20
        size = rng.uniform(0.3, 0.7)
        _words(light, int(at[0]), int(at[1]), wide, size, (0.15,) * 3, FONTS[1], rng)
    for _ in range(int(rng.integers(0, 6))):
        way = np.cumsum(rng.normal(0, 0.03 * width, (30, 2)), 0) + rng.uniform(0, 1, 2) * (
            width,
            height,
        )
        cv2.polylines(light, [(way * FINE).astype(np.int32)], False, colour(rng, 0.1, 0.7),
                      int(rng.integers(1, 4)), cv2.LINE_AA, SHIFT)  # fmt: skip
    return light


def printed(width: int, height: int, rng: Rng) -> Light:
    """A page of text in columns, with rules, a table, or the lines of a notebook."""
    light = np.maximum(paper(width, height, rng), rng.choice([0.3, 0.7]))
    ink = [float(rng.uniform(0, 0.35))] * 3 if light.mean() > 0.45 else [0.9] * 3
    size, font = rng.uniform(0.3, 1.1), FONTS[int(rng.integers(3))]
    pitch = max(int(size * rng.uniform(26, 44)), 9)
    columns, margin = int(rng.integers(1, 4)), int(rng.uniform(0.03, 0.12) * width)
    wide = (width - margin) // columns - margin
    kind = rng.random()
    if kind < 0.3:  # a notebook
        tone, thick = colour(rng, 0.4, 0.85), int(rng.integers(1, 3))
        for y in range(margin, height, pitch):
            stroke(light, (0, y), (width, y), tone, thick)
        if rng.random() < 0.6:
            stroke(light, (margin, 0), (margin, height), (0.85, 0.45, 0.45), thick)
    for column in range(columns):
        left = margin + column * (wide + margin)
        if column and rng.random() < 0.5:
            stroke(
                light,
                (left - margin / 2, 0.04 * height),
                (left - margin / 2, 0.96 * height),
                ink,
                1,
            )
        for y in range(margin + pitch, height - margin // 2, pitch):
            if rng.random() < 0.93:
                _words(
                    light,
                    left,
                    y,
                    int(wide * rng.choice([1, 1, rng.random()])),
                    size,
                    ink,
                    font,
                    rng,
                )
    if kind > 0.75:
        top, low = sorted(rng.uniform(0.05, 0.95, 2) * height)
        for x in np.linspace(margin, width - margin, int(rng.integers(2, 7))):
            stroke(light, (x, top), (x, low), ink, 1)
        for y in np.linspace(top, low, int(rng.integers(2, 12))):
            stroke(light, (margin, y), (width - margin, y), ink, 1)
    return light


def comic(width: int, height: int, rng: Rng) -> Light:
    """Panels with borders, balloons, and dots of the screen."""
    light = np.full((height, width, 3), rng.uniform(0.85, 1), np.float32)
    gap, pen = rng.uniform(0.006, 0.03) * width, int(rng.integers(1, 6))
    rows = np.cumsum([0, *rng.uniform(0.6, 1.4, int(rng.integers(1, 5)))])
    for top, low in zip(rows[:-1] / rows[-1], rows[1:] / rows[-1], strict=True):
        cuts = np.cumsum([0, *rng.uniform(0.5, 1.5, int(rng.integers(1, 4)))])
        for left, right in zip(cuts[:-1] / cuts[-1], cuts[1:] / cuts[-1], strict=True):
            x0, x1 = int(left * width + gap), int(right * width - gap)
            y0, y1 = int(top * height + gap), int(low * height - gap)
            if x1 - x0 > 20 and y1 - y0 > 20:
                light[y0:y1, x0:x1] = np.clip(flat(x1 - x0, y1 - y0, rng), 0, 1)
                cv2.rectangle(light, (x0, y0), (x1, y1), (0.08,) * 3, pen, cv2.LINE_AA)
    if rng.random() < 0.4:
        y, x = np.mgrid[:height, :width].astype(np.float32)
        pitch = rng.uniform(3, 7)
        dots = np.cos(2 * np.pi * (x + y) / pitch) * np.cos(2 * np.pi * (x - y) / pitch) > 0.3
        light = light * (1 - rng.uniform(0.05, 0.3) * dots[..., None])
    for _ in range(int(rng.integers(0, 6))):
        at = (rng.uniform(0.1, 0.9, 2) * (width, height)).astype(int).tolist()
        axes = (int(rng.uniform(0.05, 0.15) * width), int(rng.uniform(0.02, 0.06) * height))
        cv2.ellipse(light, at, axes, 0, 0, 360, (0.98,) * 3, -1, cv2.LINE_AA)
        cv2.ellipse(light, at, axes, 0, 0, 360, (0.1,) * 3, 1, cv2.LINE_AA)
        _words(
            light,
            at[0] - int(0.7 * axes[0]),
            at[1],
            int(1.4 * axes[0]),
            0.4,
            (0.1,) * 3,
            FONTS[0],
            rng,
        )
    return light


def photograph(width: int, height: int, rng: Rng) -> Light:
    """Textures at every scale, shapes in and out of focus, masts and wires."""
    light = np.broadcast_to(
        np.array(colour(rng, 0.25, 0.75), np.float32), (height, width, 3)
    ).copy()
    slope = rng.uniform(0.5, 0.85)
    for octave in range(7):
        texture = _noise(width, height, min(3 * 2**octave, width / 2), rng)
        light += (
            0.16
            * slope**octave
            * texture[..., None]
            * (1 + rng.normal(0, 0.2, 3)).astype(np.float32)
        )
    for _ in range(int(rng.integers(1, 9))):
        inside = np.zeros((height, width), np.float32)
        cv2.fillPoly(inside, [_blob(width, height, rng)], (1,), cv2.LINE_AA, SHIFT)
        inside = cv2.GaussianBlur(inside, (0, 0), rng.uniform(0.6, 6))[..., None]
        shade = 0.5 + 0.25 * _noise(width, height, rng.uniform(1, 30), rng)[..., None]
        light = light * (1 - inside) + inside * shade * np.array(colour(rng, 0.2, 1.4), np.float32)
    for _ in range(int(rng.choice([0, 0, 1, 3]))):
        thick, middle = int(rng.integers(1, 7)), rng.uniform(0, 1, 2) * (width, height)
        _across(light, middle, rng.uniform(0, np.pi), colour(rng, 0, 0.6), thick)
    return cv2.GaussianBlur(light, (0, 0), rng.uniform(0.4, 1.2))


def pencil(width: int, height: int, rng: Rng) -> Light:
    """Grey strokes that the tooth of the paper breaks, some of them ruled."""
    light, graphite = paper(width, height, rng), np.zeros((height, width), np.float32)
    light = np.maximum(light, 0.5)
    for _ in range(int(rng.integers(2, 8))):
        at, turn = rng.uniform(0, 1, 2) * (width, height), rng.uniform(0, np.pi)
        for _ in range(int(rng.integers(10, 80))):
            half = rng.uniform(0.02, 0.15) * width * np.array([np.cos(turn), np.sin(turn)])
            middle = at + rng.normal(0, 0.08 * width, 2)
            stroke(graphite, middle - half, middle + half, (float(rng.uniform(0.2, 0.7)),), 1)
    for _ in range(int(rng.integers(3, 15))):
        cv2.polylines(graphite, [_blob(width, height, rng)], True, (float(rng.uniform(0.4, 1)),),
                      int(rng.integers(1, 4)), cv2.LINE_AA, SHIFT)  # fmt: skip
    for _ in range(int(rng.choice([0, 1, 2, 5]))):
        _across(graphite, rng.uniform(0, 1, 2) * (width, height), rng.uniform(0, np.pi),
                (float(rng.uniform(0.3, 0.9)),), int(rng.integers(1, 3)))  # fmt: skip
    tooth = np.clip(
        0.7 + 0.5 * cv2.GaussianBlur(rng.normal(0, 1, (height, width)), (0, 0), 0.8), 0, 1
    )
    return light * (1 - 0.8 * (graphite * tooth.astype(np.float32))[..., None])


def built(width: int, height: int, rng: Rng) -> Light:
    """Walls, boards, tiles, windows: much that is straight, some of it from edge to edge."""
    light = np.broadcast_to(np.array(colour(rng, 0.3), np.float32), (height, width, 3)).copy()
    light += (rng.uniform(0, 0.05) * _noise(width, height, rng.uniform(3, 100), rng))[..., None]
    vanishing = rng.uniform(-0.5, 1.5, 2) * (width, height)
    for _ in range(int(rng.integers(2, 9))):
        x0, y0 = rng.uniform(-0.1, 0.8, 2) * (width, height)
        x1, y1 = (x0, y0) + rng.uniform(0.05, 0.6, 2) * (width, height)
        near = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
        bent = near + rng.choice([0, rng.uniform(0, 0.2)]) * (vanishing - near) * [
            [0],
            [1],
            [1],
            [0],
        ]
        cv2.fillPoly(light, [(bent * FINE).astype(np.int32)], colour(rng), cv2.LINE_AA, SHIFT)
        ink, thick, count = colour(rng, 0, 0.6), int(rng.integers(1, 4)), int(rng.integers(0, 14))
        for t in np.linspace(0, 1, count):
            first, second = bent[0] + t * (bent[3] - bent[0]), bent[1] + t * (bent[2] - bent[1])
            stroke(light, first, second, ink, thick)
            if rng.random() < 0.4:
                stroke(
                    light,
                    bent[0] + t * (bent[1] - bent[0]),
                    bent[3] + t * (bent[2] - bent[3]),
                    ink,
                    thick,
                )
    return light


def landscape(width: int, height: int, rng: Rng) -> Light:
    """Sky, hills one behind another, a level horizon, trunks."""
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    light = np.tile(
        (1 - ramp) * np.array(colour(rng, 0.4, 1), np.float32)
        + ramp * np.array(colour(rng, 0.5, 1), np.float32),
        (1, width, 1),
    )
    light += 0.05 * _noise(width, height, 6, rng)[..., None]
    x = np.arange(width)
    for level in np.sort(rng.uniform(0.25, 0.95, int(rng.integers(2, 6)))):
        rough = 0 if rng.random() < 0.35 else rng.uniform(0.01, 0.12)
        hill = level * height + rough * height * _noise(width, 2, rng.uniform(2, 30), rng)[0]
        below = np.stack([x, hill], 1)
        shape = np.concatenate([below, [(width, height), (0, height)]])
        cv2.fillPoly(
            light, [(shape * FINE).astype(np.int32)], colour(rng, 0.1, 0.8), cv2.LINE_AA, SHIFT
        )
        if rng.random() < 0.3:
            cv2.polylines(light, [(below * FINE).astype(np.int32)], False, (0.1,) * 3,
                          int(rng.integers(1, 4)), cv2.LINE_AA, SHIFT)  # fmt: skip
    for _ in range(int(rng.choice([0, 1, 4]))):
        foot = rng.uniform(0, width), rng.uniform(0.5, 1.05) * height
        top = foot[0] + rng.normal(0, 0.02 * width), rng.uniform(-0.1, 0.5) * height
        stroke(light, foot, top, colour(rng, 0.05, 0.5), int(rng.integers(1, 12)))
    grain = _noise(width, height, width / rng.uniform(2, 8), rng)
    return light * (1 + rng.uniform(0, 0.08) * grain[..., None])


def woven(width: int, height: int, rng: Rng) -> Light:
    """Stripes, checks, waves and grain, alike all over."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    light = np.broadcast_to(np.array(colour(rng, 0.3), np.float32), (height, width, 3)).copy()
    warp = rng.choice([0, 1]) * rng.uniform(1, 25) * _noise(width, height, 4, rng)
    for _ in range(int(rng.integers(1, 4))):
        turn = rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)])
        pitch = np.exp(rng.uniform(np.log(8), np.log(0.5 * width)))
        phase = ((x * np.cos(turn) + y * np.sin(turn) + warp) / pitch + rng.random()) % 1
        is_on = np.clip((rng.uniform(0.03, 0.5) - np.abs(phase - 0.5)) * pitch + 0.5, 0, 1)[
            ..., None
        ]
        light = light + rng.uniform(0.2, 1) * is_on * (np.array(colour(rng), np.float32) - light)
    return light


WORLDS: tuple[Callable[[int, int, Rng], Light], ...] = (
    flat, engraved, map_sheet, printed, comic, photograph, pencil, built, landscape, woven,
)  # fmt: skip
