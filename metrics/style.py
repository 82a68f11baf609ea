"""Distance of pictures to a style, by palette and by texture.

Both are Hellinger distances (0 = the same, 1 = nothing in common) between one picture's histogram
and the mean histogram of the reference pictures. They need no network and no weights, so they
judge a learned word by something it was not trained on. A picture of the style itself does not
reach 0: `style_floor` says what it reaches.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

SIDE = 64  # px to which pictures are reduced before they are measured
LEVELS = 3  # of the pyramid on which texture is measured
LIGHTNESS_BINS, COLOUR_BINS = 6, 10
MAGNITUDE_EDGES = (0.0, 4.0, 12.0, 28.0, 60.0, np.inf)  # of the gradient, in CIE L* a step
ORIENTATIONS = 8


@dataclass(frozen=True)
class StyleDistance:
    """One value a picture, [N] each, between 0 and 1."""

    palette: np.ndarray
    texture: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """The mean of both, [N]."""
        return (self.palette + self.texture) / 2


def _lab(picture: np.ndarray) -> np.ndarray:
    """uint8 RGB [H, W, 3] -> CIE Lab float32 [64, 64, 3]; L in 0..100, a and b about -110..110."""
    small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def _blurred(counts: np.ndarray, axis: int) -> np.ndarray:
    """Counts with 0.2 of each cell moved to either neighbour along an axis."""
    padding = [(1, 1) if k == axis else (0, 0) for k in range(counts.ndim)]
    padded = np.moveaxis(np.pad(counts, padding), axis, 0)
    return np.moveaxis(0.2 * padded[:-2] + 0.6 * padded[1:-1] + 0.2 * padded[2:], 0, axis)


def palette_histogram(picture: np.ndarray) -> np.ndarray:
    """Share of the picture's area in each cell of CIE Lab; sums to 1.

    The counts are blurred over one neighbouring cell so that a colour at a cell's border does not
    count as two different ones.
    """
    lab = _lab(picture).reshape(-1, 3)
    edges = [
        np.linspace(0, 100, LIGHTNESS_BINS + 1),
        np.linspace(-100, 110, COLOUR_BINS + 1),
        np.linspace(-110, 110, COLOUR_BINS + 1),
    ]
    counts, _ = np.histogramdd(np.clip(lab, [0, -99, -109], [100, 109, 109]), edges)
    for axis in range(3):
        counts = _blurred(counts, axis)
    return (counts / counts.sum()).ravel()


def texture_histogram(picture: np.ndarray) -> np.ndarray:
    """Strength by orientation of the lightness edges, at three sizes; sums to 1."""
    light = _lab(picture)[..., 0]
    parts = []
    for _ in range(LEVELS):
        across = cv2.Sobel(light, cv2.CV_32F, 1, 0) / 4
        down = cv2.Sobel(light, cv2.CV_32F, 0, 1) / 4
        strength = np.hypot(across, down)
        angle = np.mod(np.arctan2(down, across), np.pi) / np.pi * ORIENTATIONS
        # nearest of the directions, so that exactly upright edges do not straddle two bins
        direction = np.mod(np.rint(angle), ORIENTATIONS)
        counts, _, _ = np.histogram2d(
            strength.ravel(),
            direction.ravel(),
            bins=[np.array(MAGNITUDE_EDGES), np.arange(ORIENTATIONS + 1) - 0.5],
        )
        counts[0] = counts[0].sum() / ORIENTATIONS  # the direction of a flat area means nothing
        parts.append((counts / counts.sum()).ravel())
        light = cv2.pyrDown(light)
    return np.concatenate(parts) / LEVELS


def hellinger(p: np.ndarray, q: np.ndarray) -> float:
    """sqrt(1 - sum sqrt(p q)) of two distributions (Hellinger 1909); 0 equal, 1 disjoint."""
    return float(np.sqrt(max(0.0, 1 - np.sqrt(p * q).sum())))


def _distances(pictures, reference, histogram) -> np.ndarray:
    mean = np.mean([histogram(picture) for picture in reference], axis=0)
    return np.array([hellinger(histogram(picture), mean) for picture in pictures])


def style_distance(
    pictures: Sequence[np.ndarray], reference: Sequence[np.ndarray]
) -> StyleDistance:
    """How far each picture is from the style of the reference pictures.

    Args:
        pictures: N pictures, uint8 RGB [H, W, 3], of any size.
        reference: pictures of the style, likewise.

    Raises:
        ValueError: one of the two is empty.
    """
    if not len(pictures) or not len(reference):
        raise ValueError("a style distance needs at least one picture on each side")
    return StyleDistance(
        _distances(pictures, reference, palette_histogram),
        _distances(pictures, reference, texture_histogram),
    )


def style_floor(reference: Sequence[np.ndarray]) -> StyleDistance:
    """The distance of every reference picture to the others: what a perfect imitation reaches."""
    if len(reference) < 2:
        raise ValueError("a floor needs at least two reference pictures")
    singles = [
        style_distance([picture], [*reference[:k], *reference[k + 1 :]])
        for k, picture in enumerate(reference)
    ]
    return StyleDistance(
        np.concatenate([s.palette for s in singles]),
        np.concatenate([s.texture for s in singles]),
    )
