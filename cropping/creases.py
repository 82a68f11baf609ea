"""Creases: thin lines across the page that what is drawn shines through."""

from collections.abc import Iterator

import cv2
import numpy as np

from cropping.view import Finding, View

RIDGE = 0.035  # least brightness, 0..1, by which a fold differs from its surroundings
INK = 0.5  # and most: what differs more is drawn
CREASE_SHARE = 0.52  # least share of a line's way across on which there is a fold
SHORTEST_RUN = 9  # places, 1.5 px apart
MOST_LINES = 24
MOST_FOLDS = 3  # on one page: more are the lines of a pattern


def find_crease(view: View) -> Finding:
    """Thin, nearly straight lines right across the picture that what is drawn shines through."""
    grey = view.fine.mean(axis=2)
    ridges = _ridges(grey)
    height, width = grey.shape
    folds = [_fold(view.fine, ends) for ends in _lines(ridges, width, height)]
    folds = [(share, path) for share, path in folds if share >= CREASE_SHARE]
    if not 0 < len(folds) <= MOST_FOLDS:
        return None
    weights = np.full((height, width), 255, np.uint8)
    thick = max(5, round(0.011 * max(height, width)))
    for _, path in folds:
        cv2.polylines(weights, [path], False, (0,), thick)
    return max(share for share, _ in folds) / CREASE_SHARE, weights


def _ridges(grey: np.ndarray) -> np.ndarray:
    """uint8 [h, w]: 255 where a line of at most 5 px is lighter or darker than both its sides."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    light = cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, kernel)
    dark = cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, kernel)
    strongest = np.maximum(light, dark)
    threshold = max(RIDGE, 2.5 * float(np.median(strongest)))
    is_ridge = (strongest > threshold) & (strongest < INK)
    return np.where(is_ridge, 255, 0).astype(np.uint8)


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
    run = np.ones((1, SHORTEST_RUN), np.uint8)  # dots in a row are no fold
    is_fold = cv2.morphologyEx(is_fold[None].astype(np.uint8), cv2.MORPH_OPEN, run)[0] > 0
    path = (ends[0] + t[:, None] * along + (place[:, None] - 6) * across * is_fold[:, None]).round()
    path = path.astype(np.int32)[:, None]
    if plain.mean() < 0.25 or not is_fold.any():
        return 0.0, path
    share = float(is_fold.sum() / plain.sum())
    wander = float(np.median(np.abs(np.diff(place[is_fold].astype(float))))) if share else 0.0
    reaches_edge = min(_lead(is_fold, plain), _lead(is_fold[::-1], plain[::-1])) <= 4
    if not reaches_edge or wander > 2 or _is_paint(around, place, is_fold, sides):
        return 0.0, path
    return share, path


def _lead(is_fold: np.ndarray, plain: np.ndarray) -> int:
    """How many places of a line could show a fold before the first that does. A fold goes over the
    edge of the page, where what is drawn, a frame or a line of text, ends before."""
    return int(plain[: int(np.argmax(is_fold))].sum())


def _is_paint(
    around: np.ndarray, place: np.ndarray, is_fold: np.ndarray, sides: np.ndarray
) -> bool:
    """Whether a line is drawn: it is dark, and of one colour where its surroundings' changes, or,
    where these do not change, as dark as ink. A worn fold is light, or lets what is below show."""
    rows = np.flatnonzero(is_fold)
    line = around[rows, place[rows] + 6].mean(axis=1)
    ground = sides[rows]
    if float(np.median(np.abs(line - ground))) > INK:
        return True
    if float(ground.std()) > 0.05:
        slope = float(np.cov(ground, line)[0, 1] / ground.var())
        return slope < 0.08 and float(np.median(line)) < 0.55
    return float(np.median(line)) < 0.45
