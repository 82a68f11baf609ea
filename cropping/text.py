"""Blocks of printed text on a page: what they weigh in the search, for nobody learns a style of
painting from letters."""

import cv2
import numpy as np

from cropping.view import View, view_of

SIDE = 560  # px, the long side at which letters are looked for
FAINTEST = 14  # grey levels by which ink differs from the paper around it
TALLEST = 0.05  # height of a letter, in long sides
LINES = 3  # a block has at least so many
EVEN = 9.0  # Lab units: largest standard deviation of the paper between the letters
WEIGHT = 0.1  # of what lies in a block


def text_weight(image: np.ndarray | View, shape: tuple[int, int]) -> np.ndarray:
    """1 everywhere, but `WEIGHT` in blocks of text; float32 of `shape` (h, w).

    Letters are small dark marks in rows; a block is rows above each other, on even paper.

    Args:
        image: uint8 RGB [H, W, 3], or the view of a picture.
        shape: height and width of the answer.
    """
    small = view_of(image).at(SIDE)
    letters = _letters(small)
    weight = np.ones(small.shape[:2], np.float32)
    for x, y, width, height in _blocks(letters):
        part = slice(y, y + height), slice(x, x + width)
        if _is_paper(small[part], letters[part]):
            weight[part] = WEIGHT
    return cv2.resize(weight, shape[::-1], interpolation=cv2.INTER_AREA)


def _letters(rgb: np.ndarray) -> np.ndarray:
    """0/1 [h, w]: dark marks no taller and no longer than a short word."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    tallest = max(3, round(TALLEST * max(grey.shape)))
    around = cv2.blur(grey, (2 * tallest + 1, 2 * tallest + 1))
    ink = (grey.astype(np.int16) < around.astype(np.int16) - FAINTEST).astype(np.uint8)
    _, marks, stats, _ = cv2.connectedComponentsWithStats(ink)
    width, height, area = stats[:, 2], stats[:, 3], stats[:, 4]
    fits = (height <= tallest) & (height >= 2) & (width <= 6 * tallest) & (area >= 2)
    fits[0] = False
    return np.isin(marks, np.flatnonzero(fits)).astype(np.uint8)


def _blocks(letters: np.ndarray) -> list[tuple[int, int, int, int]]:
    """(x, y, width, height) of areas of letters in rows: lines are found by closing the gaps
    between words, blocks by closing those between lines."""
    longest = max(letters.shape)
    gap = max(3, round(0.02 * longest))
    lines = cv2.morphologyEx(letters, cv2.MORPH_CLOSE, np.ones((1, gap), np.uint8))
    _, marks, stats, _ = cv2.connectedComponentsWithStats(lines)
    long = (stats[:, 2] >= 4 * stats[:, 3]) & (stats[:, 2] >= 0.05 * longest)
    long &= stats[:, 3] <= TALLEST * longest
    long[0] = False
    if long.sum() < LINES:
        return []
    kept = np.isin(marks, np.flatnonzero(long)).astype(np.uint8)
    joined = cv2.morphologyEx(kept, cv2.MORPH_CLOSE, np.ones((gap, gap), np.uint8))
    _, areas, boxes, _ = cv2.connectedComponentsWithStats(joined)
    firsts = np.array([areas[marks == k][0] for k in np.flatnonzero(long)])
    rows = np.bincount(firsts, minlength=len(boxes))
    return [tuple(boxes[k, :4].tolist()) for k in range(1, len(boxes)) if rows[k] >= LINES]


def _is_paper(rgb: np.ndarray, letters: np.ndarray) -> bool:
    """Whether what lies between the letters is of one colour."""
    between = cv2.dilate(letters, np.ones((3, 3), np.uint8)) == 0
    lab = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)[between]
    return len(lab) > 0 and float(np.sqrt(lab.var(axis=0).sum())) <= EVEN
