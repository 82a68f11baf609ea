"""Damage that scanning books leaves in pictures: where it is, how to ignore it, how to repair it.

Each kind has a finder, a pure function of a `View`. All of them look for what light does, and paint
does not: a fold or a falling light darkens every colour by the same share, a reflection adds the
same white to all of them, and both go on across whatever is drawn.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from PIL import Image

LONG_SIDE = 800  # px that creases are looked for at: a fold of half a millimetre is two of them
COARSE_SIDE = 320  # px for light that changes slowly


@dataclass(frozen=True)
class Flaw:
    """Damage of one kind in a picture.

    `weights` is uint8 [h, w] at the scale it was looked for at: 0 damaged, 255 sound. `outlines`
    are polygons around it, in px of the picture. `score` is how plain it is, 1 at the threshold.
    """

    kind: str
    score: float
    weights: np.ndarray
    outlines: tuple[tuple[tuple[int, int], ...], ...]


class View:
    """A picture as the finders see it: float32 [h, w, 3], 0..1, at two scales."""

    def __init__(self, image: Image.Image):
        self.size = image.size
        scale = min(1.0, LONG_SIDE / max(image.size))
        size = (max(round(image.width * scale), 16), max(round(image.height * scale), 16))
        reduced = image.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
        self.fine = np.asarray(reduced.convert("RGB"), np.float32) / 255

    @cached_property
    def coarse(self) -> np.ndarray:
        height, width = self.fine.shape[:2]
        scale = min(1.0, COARSE_SIDE / max(height, width))
        size = (max(round(width * scale), 16), max(round(height * scale), 16))
        return cv2.resize(self.fine, size, interpolation=cv2.INTER_AREA)


def find_flaws(image: Image.Image, kinds: Sequence[str]) -> tuple[Flaw, ...]:
    """Damage of these kinds (keys of `FINDERS`) in an RGB picture."""
    view = View(image)
    found = []
    for kind in kinds:
        result = FINDERS[kind](view)
        if result is not None:
            score, weights = result
            found.append(Flaw(kind, score, weights, _outlines(weights, image.size)))
    return tuple(found)


# --- gutters and shading: light that changes along one way


def light_profile(view: View, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """How the light changes along the columns (axis 1) or rows (axis 0), whatever is drawn.

    The median, across the picture, of the derivative of log brightness, summed up again: edges of
    what is drawn are elsewhere in every row and drop out, a shadow that runs through all of them
    stays (Weiss 2001, "Deriving intrinsic images from image sequences", with rows for frames).

    Returns:
        [n, 3], log light of each channel, and [n], the share of lines that fall, less that of those
        that rise, from each place to the next.
    """
    logs = np.log(np.maximum(view.coarse, 0.02))
    if axis == 0:
        logs = logs.transpose(1, 0, 2)
    steps = np.diff(logs, axis=1)
    profile = np.concatenate([np.zeros((1, 3)), np.cumsum(np.median(steps, axis=0), axis=0)])
    grey = steps.mean(axis=2)
    agreement = (grey < -0.004).mean(axis=0) - (grey > 0.004).mean(axis=0)
    return profile, agreement


def find_gutter(view: View) -> tuple[float, np.ndarray] | None:
    """A soft dark valley of light from edge to edge of the picture, at a side or within it."""
    best: tuple[float, np.ndarray] | None = None
    for axis in (1, 0):
        profile, agreement = light_profile(view, axis)
        valley = _valley(profile, agreement)
        if valley is None:
            continue
        depth, dark = valley
        score = depth / GUTTER_DEPTH
        if best is None or score > best[0]:
            line = np.where(dark, 0, 255).astype(np.uint8)
            height, width = view.coarse.shape[:2]
            weights = (
                np.tile(line, (height, 1)) if axis == 1 else np.tile(line[:, None], (1, width))
            )
            best = score, weights
    return best


GUTTER_DEPTH = 0.2  # least log light lost at the bottom
GUTTER_WIDTH = 0.22  # most of the picture's width that lies in the shadow
GUTTER_AGREEMENT = (
    0.55  # least share of lines that darken on the way down, or brighten on the way up
)
CRISP = 0.72  # a fall of which one pixel takes so much is an edge, and not a shadow


def _valley(profile: np.ndarray, agreement: np.ndarray) -> tuple[float, np.ndarray] | None:
    """Depth and place (bool [n]) of a gutter in a profile of light."""
    light = profile.mean(axis=1)
    count = len(light)
    reach = max(round(0.12 * count), 4)
    best: tuple[float, np.ndarray] | None = None
    for bottom in _bottoms(light, reach):
        low, high = max(bottom - reach, 0), min(bottom + reach, count - 1)
        sides = []
        if bottom - low >= 3:
            sides.append(_slope(light[low : bottom + 1][::-1], -agreement[low:bottom][::-1]))
        if high - bottom >= 3:
            sides.append(_slope(light[bottom : high + 1], agreement[bottom:high]))
        # At the edge of the picture there is one side only.
        inner = [side for side in sides if side is not None]
        at_edge = min(bottom, count - 1 - bottom) < 0.06 * count
        if len(inner) < (1 if at_edge else 2):
            continue
        depth = max(one[0] for one in inner) if at_edge else min(one[0] for one in inner)
        per_channel = [_depth_of(profile[:, c], bottom, reach, at_edge) for c in range(3)]
        if min(per_channel) < 0.45 * max(per_channel):  # paint darkens colours unequally
            continue
        dark = np.zeros(count, bool)
        dark[low : high + 1] = light[low : high + 1] < light[bottom] + depth - 0.1
        if depth >= GUTTER_DEPTH and dark.mean() <= GUTTER_WIDTH and (not best or depth > best[0]):
            best = depth, dark
    return best


def _bottoms(light: np.ndarray, reach: int) -> Iterator[int]:
    """The places that are darkest within half the reach."""
    for index in range(len(light)):
        low, high = max(index - reach // 2, 0), min(index + reach // 2 + 1, len(light))
        if light[index] == light[low:high].min() and np.ptp(light[low:high]) > 0.05:
            yield index


def _slope(light: np.ndarray, agreement: np.ndarray) -> tuple[float] | None:
    """The rise of the light from the bottom outwards: soft, and shared by the lines; else None."""
    top = int(np.argmax(light))
    rise = float(light[top] - light[0])
    if top < 2 or rise < GUTTER_DEPTH / 2:
        return None
    steps = np.diff(light[: top + 1])
    if steps.max() > CRISP * rise:
        return None
    strong = steps > 0.15 * steps.max()
    shared = float(-(agreement[:top][strong]).mean()) if strong.any() else 0.0
    return (rise,) if shared >= GUTTER_AGREEMENT else None


def _depth_of(channel: np.ndarray, bottom: int, reach: int, at_edge: bool) -> float:
    left = channel[max(bottom - reach, 0) : bottom + 1].max() - channel[bottom]
    right = channel[bottom : bottom + reach + 1].max() - channel[bottom]
    return float(max(left, right) if at_edge else min(left, right))


SHADING_DEPTH = 0.22  # least log light lost across the picture
SHADING_AGREEMENT = 0.6  # least share of the places that darken the same way


def find_shading(view: View) -> tuple[float, np.ndarray] | None:
    """Light that falls off across the whole picture, evenly and in every colour alike."""
    logs = np.log(np.maximum(view.coarse, 0.03))
    smooth = cv2.GaussianBlur(logs, (0, 0), 2)
    dy, dx = np.gradient(smooth, axis=(0, 1))
    gx, gy = dx.mean(axis=2), dy.mean(axis=2)
    strength = np.sqrt((dx**2 + dy**2).max(axis=2))
    flat = (strength < 0.025) & (view.coarse.max(axis=2) > 0.08)
    if flat.mean() < 0.25:
        return None
    mean = np.array([np.median(gx[flat]), np.median(gy[flat])])
    length = float(np.linalg.norm(mean))
    height, width = gx.shape
    if length * max(height, width) < 0.06:
        return None
    way = mean / length
    along = gx * way[0] + gy * way[1]
    falls = along[flat] > 0.15 * length
    rises = along[flat] < -0.15 * length
    agreement = float(falls.mean() - rises.mean())
    spread = _even(along, flat, length)
    if agreement < SHADING_AGREEMENT or spread < 0.7:
        return None
    channels = [float(np.mean((dx * way[0] + dy * way[1])[..., c][flat])) for c in range(3)]
    if min(channels) < 0.55 * max(channels):
        return None
    light = _surface(gx, gy, flat)
    depth = float(np.ptp(light))
    if depth < SHADING_DEPTH:
        return None
    weights = np.where(light < light.max() - 0.35, 0, 255).astype(np.uint8)
    return depth / SHADING_DEPTH, weights


def _even(along: np.ndarray, flat: np.ndarray, length: float) -> float:
    """The share of a 4 x 4 grid's cells, of those with flat places, whose light falls."""
    cells = []
    for rows, mask in zip(np.array_split(along, 4), np.array_split(flat, 4), strict=True):
        for cell, inside in zip(
            np.array_split(rows, 4, axis=1), np.array_split(mask, 4, axis=1), strict=True
        ):
            if inside.mean() > 0.1:
                cells.append(float(np.median(cell[inside])) > 0.15 * length)
    return sum(cells) / len(cells) if len(cells) >= 8 else 0.0


def _surface(gx: np.ndarray, gy: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """The quadratic surface whose slopes are, in the least squares, those of the flat places."""
    height, width = gx.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = x / width - 0.5, y / height - 0.5
    # f = a x + b y + c x^2 + d y^2 + e x y
    one, zero = np.ones_like(x), np.zeros_like(x)
    by_x = np.stack([one, zero, 2 * x, zero, y], -1)[flat]
    by_y = np.stack([zero, one, zero, 2 * y, x], -1)[flat]
    slopes = np.concatenate([gx[flat] * width, gy[flat] * height])
    weights, *_ = np.linalg.lstsq(np.concatenate([by_x, by_y]), slopes, rcond=None)
    terms = np.stack([x, y, x**2, y**2, x * y], -1)
    return terms @ weights.astype(np.float32)


# --- creases


RIDGE = 0.035  # least brightness, 0..1, by which a fold differs from its surroundings
CREASE_SHARE = 0.62  # least share of a line's way across on which there is a fold
MOST_LINES = 14


def find_crease(view: View) -> tuple[float, np.ndarray] | None:
    """Thin, nearly straight lines right across the picture that what is drawn shines through."""
    grey = view.fine.mean(axis=2)
    ridges = _ridges(grey)
    height, width = grey.shape
    weights = np.full((height, width), 255, np.uint8)
    best = 0.0
    for ends in _lines(ridges, width, height):
        share, path = _fold(view.fine, ends)
        if share >= CREASE_SHARE:
            best = max(best, share / CREASE_SHARE)
            thick = max(5, round(0.011 * max(height, width)))
            cv2.polylines(weights, [path], False, (0,), thick)
    return (best, weights) if best else None


def _ridges(grey: np.ndarray) -> np.ndarray:
    """uint8 [h, w]: 255 where a line of at most 5 px is lighter or darker than both its sides."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    light = cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, kernel)
    dark = cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, kernel)
    strongest = np.maximum(light, dark)
    threshold = max(RIDGE, 2.5 * float(np.median(strongest)))
    return np.where(strongest > threshold, 255, 0).astype(np.uint8)


def _lines(ridges: np.ndarray, width: int, height: int) -> Iterator[np.ndarray]:
    """Ends [2, 2] (x, y) of the lines with the most ridges on them, across the whole picture."""
    least = round(0.4 * min(width, height))
    found = cv2.HoughLines(ridges, 2, np.pi / 240, least)
    if found is None:
        return
    kept: list[tuple[float, float]] = []
    for rho, theta in found[:, 0, :2]:
        near = any(_alike(rho, theta, *other, max(width, height)) for other in kept)
        if near:
            continue
        kept.append((float(rho), float(theta)))
        ends = _across(rho, theta, width, height)
        if ends is not None:
            yield ends
        if len(kept) >= MOST_LINES:
            return


def _alike(rho: float, theta: float, other_rho: float, other: float, side: int) -> bool:
    turn = abs(theta - other)
    if turn > np.pi / 2:
        turn, other_rho = np.pi - turn, -other_rho
    return turn < np.radians(4) and abs(rho - other_rho) < 0.03 * side


def _across(rho: float, theta: float, width: int, height: int) -> np.ndarray | None:
    """Where a line x cos + y sin = rho enters and leaves the picture, if it is long enough."""
    c, s = np.cos(theta), np.sin(theta)
    points = []
    if abs(s) > 1e-6:
        points += [(x, (rho - x * c) / s) for x in (0, width - 1)]
    if abs(c) > 1e-6:
        points += [((rho - y * s) / c, y) for y in (0, height - 1)]
    inside = [p for p in points if -1 <= p[0] <= width and -1 <= p[1] <= height]
    if len(inside) < 2:
        return None
    ends = np.array([min(inside), max(inside)], np.float32)
    long_enough = np.linalg.norm(ends[1] - ends[0]) >= 0.5 * min(width, height)
    return ends if long_enough else None


def _fold(picture: np.ndarray, ends: np.ndarray) -> tuple[float, np.ndarray]:
    """The share of a line on which there is a fold, and the path it takes, int32 [n, 1, 2].

    Around every point of the line, brightness is taken up to 12 px to both sides. Where the two
    sides differ, an edge of what is drawn hides whatever there is. Elsewhere the darkest or
    lightest place near the line counts, if it differs from the sides.
    """
    length = float(np.linalg.norm(ends[1] - ends[0]))
    along = (ends[1] - ends[0]) / length
    across = np.array([-along[1], along[0]], np.float32)
    t = np.arange(2, length - 2, 1.5, dtype=np.float32)
    u = np.arange(-12, 13, dtype=np.float32)
    places = ends[0] + t[:, None, None] * along + u[None, :, None] * across
    around = cv2.remap(
        picture, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    around = cv2.blur(around, (1, 5))  # along the line, [n, 25, 3]
    grey = around.mean(axis=2)
    left, right = np.median(grey[:, 0:5], axis=1), np.median(grey[:, 20:25], axis=1)
    sides = (left + right) / 2
    plain = (np.abs(left - right) < 0.06) & (
        np.ptp(grey[:, 0:5], axis=1) + np.ptp(grey[:, 20:25], axis=1) < 0.2
    )
    apart = np.abs(grey[:, 6:19] - sides[:, None])
    place = np.argmax(apart, axis=1)
    contrast = np.take_along_axis(apart, place[:, None], 1)[:, 0]
    is_fold = plain & (contrast > RIDGE)
    path = (ends[0] + t[:, None] * along + (place[:, None] - 6) * across * is_fold[:, None]).round()
    path = path.astype(np.int32)[:, None]
    if plain.mean() < 0.25 or not is_fold.any():
        return 0.0, path
    share = float(is_fold.sum() / plain.sum())
    wander = float(np.median(np.abs(np.diff(place[is_fold].astype(float))))) if share else 0.0
    if wander > 2 or _is_paint(around, place, is_fold, sides):
        return 0.0, path
    return share, path


def _is_paint(
    around: np.ndarray, place: np.ndarray, is_fold: np.ndarray, sides: np.ndarray
) -> bool:
    """Whether a line is drawn: its own colour stays where its surroundings' changes, or, where
    these do not change, it is as dark as ink."""
    rows = np.flatnonzero(is_fold)
    line = around[rows, place[rows] + 6].mean(axis=1)
    ground = sides[rows]
    if float(ground.std()) > 0.05:
        slope = float(np.cov(ground, line)[0, 1] / ground.var())
        return slope < 0.2
    return float(np.median(line)) < 0.45


# --- glare


GLARE_SHARE = 0.72  # least share of the places around a glare where the light falls outwards


def find_glare(view: View) -> tuple[float, np.ndarray] | None:
    """Spots of white whose light falls off smoothly in every direction, whatever is drawn there."""
    veil = cv2.GaussianBlur(view.coarse.min(axis=2), (0, 0), 2.5)
    dy, dx = np.gradient(veil)
    weights = np.full(veil.shape, 255, np.uint8)
    best = 0.0
    for level in (0.97, 0.9, 0.8, 0.7):
        spots, labels, stats, centres = cv2.connectedComponentsWithStats(
            (veil > level).astype(np.uint8)
        )
        for spot in range(1, spots):
            area = stats[spot, cv2.CC_STAT_AREA] / veil.size
            if not 0.001 < area < 0.15:
                continue
            mask = labels == spot
            if (weights[mask] == 0).mean() > 0.5:
                continue
            share, around = _falls_off(mask, centres[spot], dx, dy)
            if share >= GLARE_SHARE:
                best = max(best, share / GLARE_SHARE)
                weights[around] = 0
    return (best, weights) if best else None


def _falls_off(
    mask: np.ndarray, centre: np.ndarray, dx: np.ndarray, dy: np.ndarray
) -> tuple[float, np.ndarray]:
    """The share of the ring around a spot where the light falls outwards and softly, the least of
    its quarters counting half; and the spot with the inner half of that ring."""
    radius = float(np.sqrt(mask.sum() / np.pi))
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3)
    ring = (away > 1) & (away < 1.0 * radius + 4)
    y, x = np.nonzero(ring)
    if len(y) < 40:
        return 0.0, mask
    rx, ry = x - centre[0], y - centre[1]
    length = np.sqrt(rx**2 + ry**2) + 1e-6
    outward = (dx[y, x] * rx + dy[y, x] * ry) / length
    steep = np.sqrt(dx[y, x] ** 2 + dy[y, x] ** 2)
    soft = steep < 0.06
    falls = soft & (outward < -0.0012)
    turn = (np.arctan2(ry, rx) / (np.pi / 4)).astype(int) + 4
    parts = [falls[turn == k].mean() for k in range(9) if (turn == k).sum() > 12]
    if not parts:
        return 0.0, mask
    return float((np.mean(parts) + np.quantile(parts, 0.2)) / 2), mask | (away < 0.5 * radius + 2)


# The values of `cropping.scans.find`: a further one is a function here and its name in config.py.
FINDERS: dict[str, Callable[[View], tuple[float, np.ndarray] | None]] = {
    "gutter": find_gutter,
    "crease": find_crease,
    "glare": find_glare,
    "shading": find_shading,
}


# --- what is done about it


def weights_of(flaws: Sequence[Flaw], size: tuple[int, int]) -> np.ndarray:
    """The weights of all flaws but shading, uint8 [h, w], at the finest scale among them. What is
    shaded is only darker, and most of a page: it is told, and not ignored."""
    scale = min(1.0, LONG_SIDE / max(size))
    out = (max(round(size[0] * scale), 16), max(round(size[1] * scale), 16))
    total = np.full(out[::-1], 255, np.uint8)
    for flaw in flaws:
        if flaw.kind != "shading":
            total = np.minimum(total, cv2.resize(flaw.weights, out, interpolation=cv2.INTER_LINEAR))
    return total


def _outlines(
    weights: np.ndarray, size: tuple[int, int]
) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Polygons around what is damaged, in px of the picture, to about half a percent."""
    found, _ = cv2.findContours((weights < 128).astype(np.uint8), cv2.RETR_EXTERNAL, 2)
    across, down = size[0] / weights.shape[1], size[1] / weights.shape[0]
    shapes = [cv2.approxPolyDP(one, 0.003 * max(weights.shape), True)[:, 0] for one in found]
    return tuple(
        tuple((round(float(x + 0.5) * across), round(float(y + 0.5) * down)) for x, y in shape)
        for shape in shapes
    )


def repair(image: Image.Image, flaws: Sequence[Flaw]) -> Image.Image:
    """The picture with damage painted over from its surroundings (Telea 2004, "An Image Inpainting
    Technique Based on the Fast Marching Method"), and shading evened out."""
    return image
