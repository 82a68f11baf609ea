"""Glare: the reflection of a lamp."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from cropping.view import Finding, View, log_odds

GLARE_SIDE = 160  # px, long side that glare is looked for at
LEVELS = (0.98, 0.94, 0.88)  # of whiteness: the middle of a reflection is burnt out
SPOTS = 6  # of every level, the largest
SOFT = (0.003, 0.09)  # whiteness a px, at that scale: less is flat, more is the edge of something
UNEQUAL = 0.25  # most that a glare's rises in the channels differ, of the largest
# Of `Spot.measures`, fitted by benchmarks/cropping/scan_fit.py; the last one alone.
WEIGHTS = (6.241, 3.873, 1.723, -16.19, 2.952, 100.4, -117.9)


@dataclass(frozen=True)
class Spot:
    """A white place, bool [h, w], and what says whether it is glare.

    `measures`: how far the light falls outwards, softly, around it, of what can be seen there (1:
    everywhere, and straight); the share of these slopes that are alike in all channels; the log of
    its area in px; the share of the picture's border that it covers, as paper does; the share of
    its convex hull that it fills; how white it is.
    """

    core: np.ndarray
    measures: np.ndarray


def find_glare(view: View) -> Finding:
    """The white places from which light falls softly, in every colour alike, whatever is drawn."""
    colours = without_text(view)
    found = [(log_odds(spot.measures, WEIGHTS), spot) for spot in spots(colours)]
    found = [(odds, spot) for odds, spot in found if odds > 0]
    if not found:
        return None
    weights = np.full(colours.shape[:2], 255, np.uint8)
    for _, spot in found:
        weights[_lit(colours.min(axis=2), spot.core)] = 0
    return 1 + max(odds for odds, _ in found), weights


def without_text(view: View) -> np.ndarray:
    """The picture without what is as thin and dark as text, float32 [h, w, 3] of 160 px."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    closed = cv2.morphologyEx(view.coarse, cv2.MORPH_CLOSE, kernel)
    scale = min(1.0, GLARE_SIDE / max(closed.shape))
    size = (max(round(closed.shape[1] * scale), 8), max(round(closed.shape[0] * scale), 8))
    return cv2.GaussianBlur(cv2.resize(closed, size, interpolation=cv2.INTER_AREA), (0, 0), 0.8)


def spots(colours: np.ndarray) -> Iterator[Spot]:
    """The large white places of a picture, float32 [h, w, 3]. Whiteness is the darkest channel, as
    in the dark channel prior (He, Sun & Tang 2009)."""
    white = colours.min(axis=2)
    dy, dx = np.gradient(white)
    steepness = np.sqrt(dx**2 + dy**2)
    is_edge = steepness > SOFT[1]
    is_soft = (steepness > SOFT[0]) & ~is_edge
    hidden = cv2.dilate(is_edge.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    hidden |= white > 0.985
    x, y = (np.where(is_soft, d / (steepness + 1e-6), 0) for d in (dx, dy))
    alike = _alike(colours, dx, dy, steepness)
    for core in _cores(white):
        radius = np.sqrt(core.sum() / np.pi)
        away = cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, 5)
        seen = (away > 0.5) & (away <= 6 + 0.5 * radius) & ~hidden
        if seen.sum() < 8:
            continue
        in_y, in_x = np.gradient(-cv2.GaussianBlur(away, (0, 0), 2))
        inwards = (x * in_x + y * in_y) / (np.sqrt(in_x**2 + in_y**2) + 1e-6)
        slopes = seen & is_soft & (inwards > 0.5)
        shared = float(alike[slopes].mean()) if slopes.sum() > 4 else 0.0
        border = np.concatenate([core[0], core[-1], core[:, 0], core[:, -1]])
        outlines, _ = cv2.findContours(core.astype(np.uint8), cv2.RETR_EXTERNAL, 2)
        hull = cv2.contourArea(cv2.convexHull(np.concatenate(outlines)))
        measures = [
            inwards[seen].mean(),
            shared,
            np.log(core.sum()),
            border.mean(),
            core.sum() / max(hull, core.sum()),
            white[core].mean(),
        ]
        yield Spot(core, np.array(measures))


def _cores(white: np.ndarray) -> Iterator[np.ndarray]:
    """The connected places above each level, bool [h, w], that are neither specks nor the page."""
    for level in LEVELS:
        _, labels, stats, _ = cv2.connectedComponentsWithStats((white > level).astype(np.uint8))
        areas = stats[1:, cv2.CC_STAT_AREA]
        for index in np.argsort(-areas)[:SPOTS]:
            if 10 <= areas[index] <= 0.4 * white.size:
                yield labels == index + 1


def _alike(
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


def _lit(white: np.ndarray, core: np.ndarray) -> np.ndarray:
    """Around a core, what is nearer in whiteness to it than to its surroundings, bool [h, w]."""
    reach = 8 + 1.2 * np.sqrt(core.sum() / np.pi)
    away = cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, 5)
    around = white[(away > 0.8 * reach) & (away <= 1.2 * reach)]
    floor = float(np.median(around)) if around.size else float(white.min())
    level = floor + 0.3 * (float(white[core].mean()) - floor)
    bright = ((white > level) & (away < reach)) | core
    _, labels = cv2.connectedComponents(bright.astype(np.uint8))
    spot = np.isin(labels, np.unique(labels[core])).astype(np.uint8)
    return cv2.morphologyEx(spot, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)) > 0
