"""Gutters and shading: light that changes along one way, whatever is drawn."""

from collections.abc import Iterator

import cv2
import numpy as np

from cropping.view import Finding, View


def find_gutter(view: View) -> Finding:
    """A soft dark valley of light from edge to edge of the picture, at a side or within it."""
    logs = np.log(np.maximum(view.coarse, 0.02))
    best: tuple[float, np.ndarray] | None = None
    for across in (logs, logs.transpose(1, 0, 2)):
        valley = _valley(light_steps(across))
        if valley and (best is None or valley[0] > best[0]):
            weights = np.where(valley[1], 0, 255).astype(np.uint8)
            weights = np.tile(weights, (across.shape[0], 1))
            best = valley[0], weights if across is logs else weights.T.copy()
    return best and (best[0] / GUTTER_DEPTH, best[1])


def light_steps(logs: np.ndarray) -> np.ndarray:
    """How the log of the brightness, float32 [m, n, 3], changes along the second axis, in m lines,
    float32 [m, n - 1, 3]. What is drawn or woven differs from line to line: some are averaged."""
    return np.diff(cv2.blur(logs, (1, ALONG)), axis=1)


def light_profile(steps: np.ndarray) -> np.ndarray:
    """The light [n] along lines, float32 [m, n - 1] of changes, whatever is drawn.

    The medians of the changes, summed up: edges of what is drawn are elsewhere in every line and
    drop out, a shadow that runs through all of them stays (Weiss 2001, "Deriving intrinsic images
    from image sequences", with lines for frames).
    """
    return np.concatenate([[0.0], np.cumsum(np.median(steps, axis=0))])


GUTTER_DEPTH = 0.2  # least log light lost at the bottom
GUTTER_WIDTH = 0.22  # most of the picture's width that lies in the shadow
GUTTER_AGREEMENT = 0.62  # least share of lines that darken downwards, or brighten upwards
CRISP = 0.75  # a rise of which so many places make so much is edges, and no shadow
EDGE = 4
MOST_VALLEYS = 2  # in a picture: more are a pattern
ALONG = 9  # px along a gutter that are taken together


def _valley(steps: np.ndarray) -> tuple[float, np.ndarray] | None:
    """Depth and place (bool [n]) of a gutter, from `light_steps`."""
    grey = cv2.transform(np.ascontiguousarray(steps), np.full((1, 3), 1 / 3, np.float32))
    light = light_profile(grey)
    agreement = (grey < -0.004).mean(axis=0) - (grey > 0.004).mean(axis=0)
    count = len(light)
    reach = max(round(0.12 * count), 4)
    found: list[tuple[float, np.ndarray]] = []
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
        depth = max(inner) if at_edge else min(inner)
        dark = np.zeros(count, bool)
        dark[low : high + 1] = light[low : high + 1] < light[bottom] + depth - 0.1
        if depth < GUTTER_DEPTH or dark.mean() > GUTTER_WIDTH:
            continue
        channels = [light_profile(steps[:, low:high, c]) for c in range(3)]
        depths = [_depth_of(channel, bottom - low, at_edge) for channel in channels]
        if min(depths) >= 0.45 * max(depths):  # paint darkens colours unequally
            found.append((depth, dark))
    return max(found, key=lambda one: one[0]) if 0 < len(found) <= MOST_VALLEYS else None


def _bottoms(light: np.ndarray, reach: int) -> Iterator[int]:
    """The places that are darkest within half the reach."""
    for index in range(len(light)):
        low, high = max(index - reach // 2, 0), min(index + reach // 2 + 1, len(light))
        if light[index] == light[low:high].min() and np.ptp(light[low:high]) > 0.05:
            yield index


def _slope(light: np.ndarray, agreement: np.ndarray) -> float | None:
    """The rise of the light from the bottom outwards: soft, and shared by the lines; else None."""
    top = int(np.argmax(light))
    rise = float(light[top] - light[0])
    if top < 2 or rise < GUTTER_DEPTH / 2:
        return None
    steps = np.diff(light[: top + 1])
    if len(steps) < 3 or float(np.sort(steps)[-EDGE:].sum()) > CRISP * rise:
        return None
    strong = steps > 0.15 * steps.max()
    shared = float(-(agreement[:top][strong]).mean()) if strong.any() else 0.0
    return rise if shared >= GUTTER_AGREEMENT else None


def _depth_of(channel: np.ndarray, bottom: int, at_edge: bool) -> float:
    left = channel[: bottom + 1].max() - channel[bottom]
    right = channel[bottom:].max() - channel[bottom]
    return float(max(left, right) if at_edge else min(left, right))


SHADING_SIDE = 160  # px: what falls off across the page needs no more
SHADING_DEPTH = 0.22  # least log light lost across the picture
SHADING_AGREEMENT = 0.6  # least share of the places that darken the same way


def find_shading(view: View) -> Finding:
    """Light that falls off across the whole picture, evenly and in every colour alike."""
    light = light_surface(view)
    if light is None or float(np.ptp(light)) < SHADING_DEPTH:
        return None
    weights = np.where(light < light.max() - 0.35, 0, 255).astype(np.uint8)
    return float(np.ptp(light)) / SHADING_DEPTH, weights


def light_surface(view: View) -> np.ndarray | None:
    """The log of the light on a shaded page, float32 [h, w]; None where it is not shaded."""
    colours = view.at(SHADING_SIDE, 8).astype(np.float32) / 255
    logs = np.log(np.maximum(colours, 0.03))
    dy, dx = np.gradient(cv2.GaussianBlur(logs, (0, 0), 1), axis=(0, 1))
    gx, gy = dx.mean(axis=2), dy.mean(axis=2)
    strength = np.sqrt((dx**2 + dy**2).max(axis=2))
    flat = (strength < 0.05) & (colours.max(axis=2) > 0.08)
    if flat.mean() < 0.25:
        return None
    mean = np.array([np.median(gx[flat]), np.median(gy[flat])])
    length = float(np.linalg.norm(mean))
    if length * max(gx.shape) < 0.06:
        return None
    way = mean / length
    along = gx * way[0] + gy * way[1]
    falls, rises = along[flat] > 0.15 * length, along[flat] < -0.15 * length
    if falls.mean() - rises.mean() < SHADING_AGREEMENT or _even(along, flat, length) < 0.7:
        return None
    channels = [float(np.mean((dx * way[0] + dy * way[1])[..., c][flat])) for c in range(3)]
    if min(channels) < 0.55 * max(channels):  # paint fades unequally
        return None
    return _fit_surface(gx, gy, flat)


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


def _fit_surface(gx: np.ndarray, gy: np.ndarray, flat: np.ndarray) -> np.ndarray:
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
