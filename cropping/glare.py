"""Glare: the reflection of a lamp."""

import cv2
import numpy as np

from cropping.view import Finding, View

GLARE_SIDE = 160  # px, long side that glare is looked for at
GLARE_SHARE = 0.575  # least share of the ring around a glare whose light falls outwards, softly
GLARE_SEEN = 0.3  # least part of that ring that is neither burnt out nor beside an edge
RADII = (10, 14, 20, 28)  # px, inner, of the rings
UNEQUAL = 0.25  # most that a glare's rises in the channels differ, of the largest
GLARE_LIGHT = 0.85  # least whiteness, 0..1, of its middle
SOFT = (0.003, 0.09)  # whiteness a px, at that scale: less is flat, more is the edge of something


def find_glare(view: View) -> Finding:
    """Spots of white from whose middle the light falls smoothly, all around, whatever is drawn.

    Whiteness is the darkest channel, as in the dark channel prior (He, Sun & Tang 2009). Around
    every place, and for rings of several sizes, the share of soft slopes that point to the place is
    a sum of convolutions; edges and what is burnt out say nothing.
    """
    colours = _without_text(view.coarse)
    white = colours.min(axis=2)
    dy, dx = np.gradient(white)
    steepness = np.sqrt(dx**2 + dy**2)
    soft = (steepness > SOFT[0]) & (steepness < SOFT[1]) & _adds_white(colours, dx, dy, steepness)
    hidden = cv2.dilate((steepness > SOFT[1]).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    hidden |= white > 0.985
    ux, uy = (
        np.where(soft & ~hidden, d / (steepness + 1e-6), 0).astype(np.float32) for d in (dx, dy)
    )
    seen = (~hidden).astype(np.float32)
    weights = np.full(white.shape, 255, np.uint8)
    best = 0.0
    for radius in RADII:
        inward_x, inward_y, ring = _ring(radius)
        flow = _sum(ux, inward_x) + _sum(uy, inward_y)
        there = _sum(seen, ring)
        plain = there > GLARE_SEEN * ring.sum()
        share = np.where(plain, flow / np.maximum(there, 1e-6), 0)
        share[white < GLARE_LIGHT] = 0
        y, x = np.unravel_index(int(np.argmax(share)), share.shape)
        if share[y, x] > best:
            best, weights = float(share[y, x]), _spot(white, int(x), int(y), radius)
    return (best / GLARE_SHARE, weights) if best >= GLARE_SHARE else None


def _without_text(picture: np.ndarray) -> np.ndarray:
    """The picture without what is as thin and dark as text, float32 [h, w, 3] of 160 px."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    closed = cv2.morphologyEx(picture, cv2.MORPH_CLOSE, kernel)
    scale = min(1.0, GLARE_SIDE / max(closed.shape))
    size = (max(round(closed.shape[1] * scale), 8), max(round(closed.shape[0] * scale), 8))
    return cv2.GaussianBlur(cv2.resize(closed, size, interpolation=cv2.INTER_AREA), (0, 0), 0.8)


def _adds_white(
    colours: np.ndarray, dx: np.ndarray, dy: np.ndarray, steepness: np.ndarray
) -> np.ndarray:
    """Where the channels that are not burnt out rise alike, bool [h, w]: a reflection adds the same
    to each, where paint that thins out on white paper adds most to its own complement."""
    rise_y, rise_x = np.gradient(colours, axis=(0, 1))
    rise = (rise_x * dx[..., None] + rise_y * dy[..., None]) / (steepness[..., None] + 1e-6)
    burnt = colours > 0.965
    most = np.where(burnt, -np.inf, rise).max(axis=2)
    least = np.where(burnt, np.inf, rise).min(axis=2)
    return (most - least) < UNEQUAL * np.maximum(most, 0)


def _ring(radius: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kernels of the ring from `radius` to twice that: the way to its middle (x and y), and 1."""
    reach = int(np.ceil(2 * radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    away = np.sqrt(x**2 + y**2) + 1e-6
    ring = ((away >= radius) & (away <= 2 * radius)).astype(np.float32)
    return -x / away * ring, -y / away * ring, ring


def _sum(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return cv2.filter2D(values, -1, kernel, borderType=cv2.BORDER_CONSTANT)


def _spot(white: np.ndarray, x: int, y: int, radius: float) -> np.ndarray:
    """Weights that leave out what is nearer in whiteness to a place than to its surroundings."""
    rows, columns = np.mgrid[: white.shape[0], : white.shape[1]]
    away = np.sqrt((columns - x) ** 2 + (rows - y) ** 2)
    around = float(np.median(white[np.abs(away - 2 * radius) <= 1.5]))
    level = around + 0.25 * (float(white[y, x]) - around)
    bright = ((white > level) & (away < 2 * radius)) | (away < 0.4 * radius)
    _, labels = cv2.connectedComponents(bright.astype(np.uint8))
    spot = (labels == labels[y, x]).astype(np.uint8)
    spot = cv2.morphologyEx(spot, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return np.where(spot > 0, 0, 255).astype(np.uint8)
