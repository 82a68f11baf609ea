"""How different two pictures look, without any network or weights.

Colour differences are taken in CIE Lab, at several sizes of the picture, because the eye forgives a
texture that moved but not an area that changed, and in many places of it, because a bird that
appears in a corner is visible though the mean hardly moves. The largest local difference counts.
"""

import cv2
import numpy as np

SIDE = 64  # px of the longer side at which pictures are compared
LEVELS = 3  # of the pyramid: 64, 32 and 16 px
WINDOW = 8  # of each level's side is a window's: differences are averaged over windows
JUST_NOTICEABLE = 2.3
"""Just noticeable difference of CIE Lab (Mahy, Van Eycken & Oosterlinck 1994)."""


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """The largest local difference of two pictures, in just noticeable differences.

    The root mean square of the colour difference (CIE 1976) within a window of an eighth of the
    picture's side, averaged over three sizes of the picture, at the window where it is largest. It
    is a norm of a difference of features, so it is symmetric, 0 for equal pictures, and obeys the
    triangle inequality.

    Args:
        a, b: uint8 RGB [H, W, 3] of one size.

    Raises:
        ValueError: the pictures differ in size.
    """
    if a.shape != b.shape:
        raise ValueError(f"pictures of {a.shape[1::-1]} and {b.shape[1::-1]} px cannot be compared")
    return between(features(a), features(b))


def features(picture: np.ndarray) -> tuple[np.ndarray, ...]:
    """CIE Lab float32 [h, w, 3] at each level, in just noticeable differences."""
    height, width = picture.shape[:2]
    shrink = min(1.0, SIDE / max(height, width))
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    levels = [np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2LAB) / JUST_NOTICEABLE, np.float32)]
    while len(levels) < LEVELS:
        levels.append(np.asarray(cv2.pyrDown(levels[-1]), np.float32))
    return tuple(levels)


def between(a: tuple[np.ndarray, ...], b: tuple[np.ndarray, ...]) -> float:
    """`distance` of two pictures' features: for comparing one picture with many."""
    size = a[0].shape[1::-1]
    total = np.zeros(a[0].shape[:2], np.float32)
    for one, other in zip(a, b, strict=True):
        squares = ((one - other) ** 2).sum(axis=2)
        side = max(1, max(squares.shape) // WINDOW)
        local = cv2.boxFilter(squares, -1, (side, side), borderType=cv2.BORDER_REPLICATE)
        local = np.sqrt(np.maximum(local, 0))
        total += cv2.resize(local, size, interpolation=cv2.INTER_NEAREST) / LEVELS
    return float(total.max())
