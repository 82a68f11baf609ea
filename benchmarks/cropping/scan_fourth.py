"""Clean and damaged scans of a fourth world: its own pages, media and damage.

It was written by someone who had read neither a finder nor the development sets, and who ran no
finder on it. Nothing of `cropping.cleaning` was chosen, or changed, by it.
"""

from collections.abc import Callable
from itertools import pairwise

import cv2
import fourth_media as art
import numpy as np
from fourth_media import Light, fog, grid, hexed, lettering, line, one_of, words
from scene import Rng

Damaged = tuple[Light, np.ndarray]  # the page with its damage; where that is, bool [h, w]
MEDIA = (art.watercolour, art.oil, art.photograph, art.engraving, art.pencil)
INKS = ("1c1a18", "2b2622", "3a2d22", "20253a")
LEAST_SEEN = 0.55
"""Change along a fold over the page's own roughness there, below which the eye loses the fold."""


# --- pages


def _picture(light: Light, box, medium: Callable, rng: Rng) -> None:
    """A picture in a box of a page, on that page's paper."""
    x0, y0, x1, y1 = (round(v) for v in box)
    place = light[y0:y1, x0:x1]
    shapes = art.scenery(place.shape[0], place.shape[1], rng)
    light[y0:y1, x0:x1] = medium(place.copy(), shapes, rng)


def full(light: Light, rng: Rng) -> Light:
    """A picture up to the edges, or a sheet of a sketch book."""
    return one_of(MEDIA, rng)(light, art.scenery(light.shape[0], light.shape[1], rng), rng)


def plate(light: Light, rng: Rng) -> Light:
    """A picture with a margin, perhaps a border, and words under it."""
    height, width = light.shape[:2]
    left, top, low = rng.uniform(0.05, 0.12, 3) * (width, height, 1.6 * height)
    box = (left, top, width - left, height - low)
    _picture(light, box, one_of(MEDIA, rng), rng)
    corners = np.array([[box[0], box[1]], [box[2], box[1]], [box[2], box[3]], [box[0], box[3]]])
    if rng.random() < 0.5:
        line(light, corners, hexed(one_of(INKS, rng)), max(light.shape) / 700, True)
    below = (left, height - 0.8 * low, width - left, height - 0.2 * low)
    title, ink = words(int(rng.integers(2, 5)), rng), hexed(one_of(INKS, rng))
    lettering(light, below, 0.022 * height, ink, rng, title)
    return light


def vignette(light: Light, rng: Rng) -> Light:
    """A picture that fades into the paper; in children's books lines of large type below."""
    height, width = light.shape[:2]
    medium = one_of((art.watercolour, art.watercolour, art.pencil, art.engraving), rng)
    drawn = medium(light.copy(), art.scenery(height, width, rng), rng)
    y, x = grid(light)
    middle = rng.uniform(0.36, 0.5)
    far = np.hypot((x / width - 0.5) / 0.44, (y / height - middle) / (0.85 * middle))
    shown = np.clip((1.05 - far + 0.3 * (fog(height, width, 14, rng) - 0.5)) * 9, 0, 1)[..., None]
    light = light * (1 - shown) + drawn * shown
    if rng.random() < 0.7 and middle < 0.46:
        box = (0.15 * width, 0.86 * height, 0.85 * width, 0.97 * height)
        lettering(light, box, 0.026 * height, hexed(one_of(INKS, rng)), rng)
    return light


def child(light: Light, rng: Rng) -> Light:
    """A child's drawing; some are on squared or ruled paper."""
    height, width = light.shape[:2]
    if rng.random() < 0.25:
        squared, step = rng.random() < 0.5, max(height, width) / rng.uniform(35, 55)
        ink = light[0, 0] * np.array([0.78, 0.86, 0.93], np.float32)
        columns = np.arange(step, width, step) if squared else ()
        art.rules(light, columns, np.arange(step, height, step), ink, width / 1200)
    return art.crayon(light, art.scenery(height, width, rng), rng)


def comics(light: Light, rng: Rng) -> Light:
    """Panels in rows; in some of them somebody speaks."""
    height, width = light.shape[:2]
    margin, gap = 0.05 * width, rng.uniform(0.012, 0.03) * width
    rows = np.linspace(margin, height - margin, int(rng.integers(2, 5)))
    for y0, y1 in pairwise(rows):
        cuts = [margin, *np.sort(rng.uniform(0.3, 0.7, int(rng.integers(0, 2)))) * width]
        for x0, x1 in zip(cuts, [*cuts[1:], width - margin], strict=True):
            box = np.array([x0, y0, x1 - gap, y1 - gap])
            _picture(light, box, art.comic, rng)
            frame = box[[0, 1, 2, 1, 2, 3, 0, 3]].reshape(4, 2)
            line(light, frame, 0.05, width / 250, True)
            if rng.random() < 0.6:
                wide, tall = 0.34 * (box[2] - box[0]), 0.11 * (box[3] - box[1])
                middle = np.add(box[:2], (1.15 * wide, 1.4 * tall))
                balloon = art.blob(middle[0], middle[1], wide, tall, rng, 0.02)
                art.flat(light, [(balloon, np.ones(3))], rng)
                line(light, balloon, 0.05, width / 500, True)
                said = (*(middle - (wide, tall)), *np.add(middle, (wide, tall)))
                text = words(2, rng)
                size = min(0.6 * tall, 3 * wide / len(text))
                lettering(light, said, size, (0.05, 0.05, 0.05), rng, text)
    return light


def poster(light: Light, rng: Rng) -> Light:
    """Few flat colours, large letters; rays behind some."""
    height, width = light.shape[:2]
    shapes = art.scenery(height, width, rng)
    middle, count = np.array([rng.uniform(0.3, 0.7) * width, 0.5 * height]), 14
    if rng.random() < 0.4:
        other = np.clip(shapes[0][1] * rng.uniform(0.75, 1.2), 0, 1)
        for k in range(count):
            turns = np.array([2 * k, 2 * k + 1]) * np.pi / count
            ends = middle + 3 * max(height, width) * np.stack([np.cos(turns), np.sin(turns)], 1)
            shapes.insert(1, (np.concatenate([middle[None], ends]), other))
    light = art.flat(light, shapes, rng)
    band = rng.choice([0.0, 0.82]) * height
    bar, ink = hexed(one_of(INKS, rng)), hexed("f4ecd8")
    if rng.random() < 0.5:
        bar, ink = ink, bar
    light[round(band) : round(band + 0.18 * height)] = bar
    name = words(1, rng).upper()
    box = (0, band, width, band + 0.18 * height)
    size = min(0.13 * height, 1.5 * width / max(len(name), 3))
    lettering(light, box, size, ink, rng, name)
    worn = fog(height, width, 40, rng)[..., None] * rng.uniform(0, 0.1)
    return light * (1 - worn) + worn * 0.9


def chart(light: Light, rng: Rng) -> Light:
    """A map: land and sea, rivers, roads, towns with names; a net of degrees on some."""
    height, width = light.shape[:2]
    side, field = max(height, width), fog(height, width, rng.uniform(3, 6), rng)
    sea, land = hexed(one_of(("c9dde2", "dfe6e0", "e8e2d0"), rng)), hexed("efe3c2")
    shore = float(np.quantile(field, rng.uniform(0.2, 0.5)))
    light *= np.where((field > shore)[..., None], land, sea)
    for level, ink in ((shore, "4a5a66"), (shore + 0.15, "b09a70"), (shore + 0.25, "a88a5c")):
        high = (field > level).astype(np.uint8)
        edges, _ = cv2.findContours(high, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        for edge in edges:
            line(light, edge[:, 0].astype(float), hexed(ink), side / 1000, True)
    for _ in range(int(rng.integers(3, 9))):
        walk = np.cumsum(rng.normal(rng.normal(0, 1, 2), 1, (12, 2)), axis=0) * side / 45
        ink = hexed(one_of(("5d88a8", "a5443a", "55504a"), rng))
        walk += rng.uniform(0, 1, 2) * (width, height)
        line(light, walk, ink, side / rng.uniform(350, 900))
    if rng.random() < 0.25:
        shares = np.arange(0.1, 1, 0.2)
        art.rules(light, shares * width, shares * height, hexed("6a6a66"), side / 1300)
    for _ in range(int(rng.integers(8, 25))):
        x, y = rng.uniform(0.05, 0.85, 2) * (width, height)
        art.flat(light, [(art.blob(x, y, side / 220, side / 220, rng), hexed("7a2a22"))], rng)
        box = (max(x - side / 8, 0), y - side / 30, x + side / 8, y - side / 200)
        lettering(light, box, side / rng.uniform(50, 85), hexed(INKS[0]), rng, words(1, rng))
    return light


def printed(light: Light, rng: Rng) -> Light:
    """A page of type with a picture among its columns, a heading, and rules on some."""
    height, width = light.shape[:2]
    ink, columns = hexed(one_of(INKS, rng)), int(rng.integers(1, 4))
    x = np.linspace(0.08, 0.94, columns + 1) * width
    size = height / rng.uniform(48, 75)
    lettering(light, (x[0], 0.03 * height, x[-1], 0.09 * height), 2.2 * size, ink, rng,
              words(3, rng))  # fmt: skip
    for k in range(columns):
        lettering(light, (x[k], 0.11 * height, x[k + 1] - 0.03 * width, 0.95 * height), size, ink,
                  rng)  # fmt: skip
        if k and rng.random() < 0.3:
            at = x[k] - 0.015 * width
            line(light, np.array([[at, 0.11 * height], [at, 0.95 * height]]), ink, width / 900)
    if rng.random() < 0.4:
        line(light, np.array([[x[0], 0.1 * height], [x[-1], 0.1 * height]]), ink, width / 700)
    if rng.random() < 0.85:
        first = int(rng.integers(columns))
        last = int(rng.integers(first, columns))
        top = rng.uniform(0.11, 0.5) * height
        box = np.array([x[first], top, x[last + 1] - 0.03 * width, top + 0.35 * height])
        grown = (box + np.array([-1, -1, 1, 1]) * size).round().astype(int)
        light[grown[1] : grown[3], grown[0] : grown[2]] = light[:2, :2].mean(axis=(0, 1))
        _picture(
            light,
            box,
            one_of((art.engraving, art.photograph, art.photograph, art.pencil), rng),
            rng,
        )
    return light


def written(light: Light, rng: Rng) -> Light:
    """Old paper with lines of handwriting, half of it ruled; a small drawing on some."""
    height, width = light.shape[:2]
    ink, step = hexed(one_of(INKS, rng)), height / rng.uniform(18, 34)
    light *= 1 - 0.12 * fog(height, width, 4, rng)[..., None] * np.array([0.3, 0.6, 1], np.float32)
    ruled = rng.random() < 0.5
    for y in np.arange(0.1 * height, 0.93 * height, step):
        if ruled:
            art.rules(light, (), (y,), light[0, 0] * 0.82, width / 1100)
        until = rng.uniform(0.3, 1) if rng.random() < 0.15 else 0.9
        t = np.arange(0.08 * width, until * width, step / 28)
        phase = np.cumsum(rng.uniform(0.2, 0.75, t.size))
        tall = 0.22 * step * (1 + 1.1 * (cv2.blur(rng.random((1, t.size)), (9, 1))[0] > 0.6))
        strokes = np.stack([t + 0.13 * step * np.sin(phase), y - tall * (1 + np.cos(phase)) / 2], 1)
        for word in np.split(strokes, np.sort(rng.integers(0, t.size, t.size // 60 + 1))):
            if len(word) > 12:
                line(light, word[:-9], ink, width / 800)
    if rng.random() < 0.4:
        top = rng.uniform(0.1, 0.55) * height
        box = (0.4 * width, top, 0.97 * width, top + 0.36 * height)
        x0, y0, x1, y1 = (round(v) for v in box)
        light[y0:y1, x0:x1] = light[:2, :2].mean(axis=(0, 1))
        _picture(light, box, one_of((art.pencil, art.engraving, art.watercolour), rng), rng)
    return light


PAGES = (full, full, plate, plate, vignette, vignette, child, comics, poster, chart, printed,
         printed, written)  # fmt: skip


def page(seed: int, index: int, rng: Rng) -> Light:
    """A page as it lay on the glass: drawn, then scanned a little soft and not quite neutral."""
    del seed, index  # the generator knows them
    long_side, aspect = rng.uniform(600, 2400), rng.uniform(0.62, 1.0)
    size = [round(long_side), round(long_side * aspect)]
    height, width = size if rng.random() < 0.7 else size[::-1]
    light = one_of(PAGES, rng)(art.paper(height, width, rng), rng)
    light = cv2.GaussianBlur(light, (0, 0), rng.uniform(0.4, 0.9) * max(long_side / 1400, 0.8))
    black, white = rng.uniform(0, 0.06), rng.uniform(0.94, 1)
    cast = rng.uniform(0.96, 1, 3).astype(np.float32)
    return np.clip(black + (white - black) * light * cast, 0, 1).astype(np.float32)


# --- damage


def _uneven(along: np.ndarray, reach: float, rng: Rng) -> np.ndarray:
    """Noise, 0..1, along a line: float32 of `along`'s shape, a new value each `reach` px."""
    values = np.clip(rng.normal(0.5, 0.3, 4096), 0, 1)
    places = np.linspace(-2048, 2047, 4096) * reach
    fine = np.interp(along.ravel(), places, values).astype(np.float32)
    return fine.reshape(along.shape)


def _fold(light: Light, middle, turn: float, wide: float, rng: Rng) -> tuple[Light, np.ndarray]:
    """One fold through a place across the whole page, its normal turned by `turn`: two flanks that
    face the lamp and away from it, a sharp crest in their midst, and ink that has gone there."""
    side, (y, x) = max(light.shape), grid(light)
    cos, sin, u, v = float(np.cos(turn)), float(np.sin(turn)), x - middle[0], y - middle[1]
    far = u * cos + v * sin
    near = np.abs(far) < 14 * wide + 0.01 * side
    t = v[near] * cos - u[near] * sin
    bow = rng.normal(0, 0.0015) * np.cos(t / side * rng.uniform(2, 5))
    d = (far[near] - side * (bow + 0.0004 * _uneven(t, side / 60, rng))) / wide
    style = one_of(("pressed", "sharp", "sharp", "worn", "worn"), rng)
    way, press = rng.choice([-1, 1]), 0.75 + 0.5 * _uneven(t, side / 9, rng)
    slope = rng.uniform(0.06, 0.15) if style == "pressed" else rng.uniform(0.02, 0.09)
    reach = rng.uniform(2.0, 4.0)
    flank = way * slope * np.tanh(2 * d) * np.exp(-np.abs(d) / reach)
    crest = np.exp(-((d / 0.8) ** 2))
    tone = -rng.uniform(0.12, 0.36) if rng.random() < 0.7 else rng.uniform(0.06, 0.2)
    bright = 1 + press * (flank + tone * crest)
    out, old = light.copy(), light[near]
    new = old * bright[:, None]
    if style == "worn":
        ground = np.quantile(light[::7, ::7].reshape(-1, 3), 0.95, axis=0).clip(0.8, 0.97)
        gone = _uneven(t, side / rng.uniform(90, 400), rng) * _uneven(t, side / 25, rng)
        ragged = np.abs(d) / (0.35 + 1.3 * gone) + rng.normal(0, 0.12, d.shape)
        bare = np.clip((1.1 - ragged) * 3, 0, 1) * rng.uniform(0.6, 1.0)
        new += bare[:, None] * (ground - new)
        grime = 0.3 * rng.random() * crest * _uneven(t, side / 40, rng)
        new *= 1 - grime[:, None] * np.array([0.6, 0.75, 1.0])
    out[near] = np.clip(new, 0, 1)
    place = np.zeros(light.shape[:2], bool)
    place[near] = np.abs(d) < max(1.4, 1.5 / wide)
    return out, place


def _is_seen(light: Light, damaged: Light, place: np.ndarray) -> bool:
    """Whether the eye would find a fold: its change against the roughness of the page there."""
    grey = light.mean(axis=2)
    rough = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), max(light.shape) / 250))
    around = cv2.dilate(place.astype(np.uint8), np.ones((15, 15), np.uint8)).astype(bool)
    change = np.abs(damaged.mean(axis=2) - grey)[place]
    is_long = np.mean(change > 0.03) > 0.5
    return bool(is_long and change.mean() > LEAST_SEEN * rough[around].mean())


def crease(light: Light, rng: Rng) -> Damaged:
    """A sheet that was folded: once, in three, in four, or by accident, in any direction."""
    height, width = light.shape[:2]
    wide = rng.uniform(0.0013, 0.003) * max(height, width)
    level, upright = np.pi / 2, 0.0
    skew = rng.normal(0, 0.012, 2)
    way = one_of((level, upright), rng)
    half = np.array([width, height]) * rng.uniform(0.42, 0.58, 2)
    manner = rng.choice(["once", "aside", "in three", "in four", "askew"],
                        p=[0.34, 0.2, 0.12, 0.16, 0.18])  # fmt: skip
    if manner == "once":
        folds = [(half, way)]
    elif manner == "aside":
        folds = [(rng.uniform(0.15, 0.85, 2) * (width, height), way)]
    elif manner == "in three":
        folds = [(half * 0.66, way), (half * 1.33, way)]
    elif manner == "in four":
        folds = [(half, level), (half, upright)]
    else:
        folds = [(rng.uniform(0.25, 0.75, 2) * (width, height), rng.uniform(0, np.pi))]
    damaged, place = light, np.zeros((height, width), bool)
    for (middle, turn), off in zip(folds, skew, strict=False):
        damaged, here = _fold(damaged, middle, turn + off, wide, rng)
        if not _is_seen(light, damaged, here):
            return light, np.zeros((height, width), bool)
        place |= here
    return damaged, place


def gutter(light: Light, rng: Rng) -> Damaged:
    """A book pressed on the glass: paper that lifts towards its spine gets less light, and there
    the thread's dark line, if both pages are on the scan."""
    height, width = light.shape[:2]
    y, x = grid(light)
    where = rng.choice([0.0, 0.5, 1.0])
    inwards = rng.normal(0, 0.03) if where == 0.5 else rng.uniform(-0.03, 0.015)
    spine = where + inwards * (1 if where < 1 else -1)
    away = x / width - spine - rng.normal(0, 0.006) * (y / height - 0.5)
    reach = np.where(away < 0, rng.uniform(0.02, 0.06), rng.uniform(0.02, 0.06))
    lift = rng.uniform(0.35, 1.1) * np.exp(-np.abs(away) / reach)
    bright = 1 / (1 + lift) ** 2 + rng.uniform(0, 0.05) * np.exp(-((np.abs(away) / reach - 3) ** 2))
    thread = np.exp(-((away * width / (0.0012 * max(height, width) + 0.6)) ** 2))
    bright = bright * (1 - rng.uniform(0.2, 0.7) * thread)
    warm = np.stack([bright**0.95, bright, bright**1.04], axis=2).astype(np.float32)
    return np.clip(light * warm, 0, 1), bright < 0.88


def glare(light: Light, rng: Rng) -> Damaged:
    """Light thrown back by a glossy page: a flash with its halo, a tube, a pane in perspective, or
    the sheen along the bend of a page."""
    height, width = light.shape[:2]
    side, (y, x) = max(height, width), grid(light)
    turn = rng.uniform(0, np.pi)
    u, v = x - rng.uniform(0.15, 0.85) * width, y - rng.uniform(0.15, 0.85) * height
    a, b = u * np.cos(turn) + v * np.sin(turn), v * np.cos(turn) - u * np.sin(turn)
    manner = int(rng.integers(4))
    if manner == 0:
        far = np.hypot(a, b * rng.uniform(1, 1.8)) / (rng.uniform(0.05, 0.1) * side)
        spot = np.exp(-(far**2)) + 0.35 * np.exp(-far / 2)
    elif manner == 1:
        tube = (np.abs(a) < 0.28 * side) & (np.abs(b) < rng.uniform(0.02, 0.045) * side)
        spot = cv2.GaussianBlur(tube.astype(np.float32), (0, 0), rng.uniform(0.015, 0.035) * side)
    elif manner == 2:
        size = rng.uniform(0.09, 0.17) * side
        tall, bar = size * rng.uniform(0.8, 1.5), size * 0.07
        lean = u - rng.uniform(-0.5, 0.5) * v
        pane = (np.abs(lean) < size * (1 + 0.3 * v / side)) & (np.abs(v) < tall)
        pane &= (np.abs(lean) > bar) & (np.abs(v) > bar)
        spot = cv2.GaussianBlur(pane.astype(np.float32), (0, 0), rng.uniform(0.008, 0.03) * side)
    else:
        bend = u - rng.uniform(-0.25, 0.25) * v
        spot = np.exp(-((bend / (rng.uniform(0.04, 0.09) * side)) ** 2))
        spot *= np.exp(-((v / (rng.uniform(0.3, 0.6) * side)) ** 2))
    spot = rng.uniform(0.65, 1.15) * spot / spot.max()
    tint = np.array([1, rng.uniform(0.96, 1), rng.uniform(0.88, 1.0)], np.float32)
    veil = np.clip(spot, 0, 1)[..., None].astype(np.float32)
    return np.clip(light + veil * (1.05 * tint - 0.6 * light), 0, 1), spot > 0.3


def shading(light: Light, rng: Rng) -> Damaged:
    """One lamp from a side, a window that reaches half of the sheet, or the shadow of whoever
    holds the camera."""
    height, width = light.shape[:2]
    y, x = grid(light)
    turn = rng.uniform(0, 2 * np.pi)
    ramp = (x / width - 0.5) * np.cos(turn) + (y / height - 0.5) * np.sin(turn)
    manner = int(rng.integers(3))
    if manner == 0:
        bright = 1 / (1 + rng.uniform(0.25, 0.6) * (ramp + 0.6)) ** 2
    elif manner == 1:
        edge = (ramp - rng.uniform(-0.2, 0.2)) / rng.uniform(0.15, 0.35)
        bright = 1 - rng.uniform(0.3, 0.6) / (1 + np.exp(-3 * edge))
    else:
        shadow = (np.abs(x / width - rng.uniform(0.2, 0.8)) < rng.uniform(0.15, 0.3)) & (
            y / height > rng.uniform(0.3, 0.6)
        )
        soft = cv2.resize(shadow.astype(np.float32), (96, 96), interpolation=cv2.INTER_AREA)
        soft = cv2.GaussianBlur(soft, (0, 0), rng.uniform(5, 12))
        bright = 1 - rng.uniform(0.35, 0.6) * cv2.resize(soft, (width, height))
    bright = (bright / bright.max()).astype(np.float32)
    return light * bright[..., None], bright < 0.85


DAMAGES: dict[str, Callable[[Light, Rng], Damaged]] = {
    "gutter": gutter,
    "crease": crease,
    "glare": glare,
    "shading": shading,
}
