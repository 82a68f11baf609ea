"""A picture reduced once, for all who look at it: what matters in it, letters, damage."""

from functools import cached_property
from typing import TypeAlias

import cv2
import numpy as np
from PIL import Image

LONG_SIDE = 640  # px that folds are looked for at: one of half a millimetre is nearly two of them
COARSE_SIDE = 320  # px for light that changes slowly

Finding: TypeAlias = tuple[float, np.ndarray] | None
"""How plain damage is (1 at the threshold), and uint8 [h, w] at any scale, 0 where it is and 255
elsewhere; None where there is none."""


class View:
    """An RGB picture at the scales that it is looked at; each is made when it is first wanted.

    Attributes:
        size: width and height of the picture in px.
        image: the picture, if its long side is below twice `LONG_SIDE`, or else reduced by the
            largest whole number that leaves it `LONG_SIDE`.
        pixels: the same, uint8 [H, W, 3].
    """

    def __init__(self, image: Image.Image | np.ndarray):
        whole = Image.fromarray(image) if isinstance(image, np.ndarray) else image
        self.size = whole.size
        factor = max(whole.size) // LONG_SIDE
        self.image = whole.reduce(factor) if factor > 1 else whole
        self.pixels = np.asarray(self.image)

    def at(self, long_side: int, least: int = 1) -> np.ndarray:
        """uint8 [h, w, 3]: at most this many px long, and at least so many on each side."""
        height, width = self.pixels.shape[:2]
        scale = min(1.0, long_side / max(height, width))
        size = (max(round(width * scale), least), max(round(height * scale), least))
        # The small ones are made of the fine one, which is there anyway: that is quicker.
        source = self.fine if long_side <= LONG_SIDE / 2 else self.pixels
        return cv2.resize(source, size, interpolation=cv2.INTER_AREA)

    @cached_property
    def fine(self) -> np.ndarray:
        """uint8 [h, w, 3] at `LONG_SIDE`."""
        return self.at(LONG_SIDE, 16)

    @cached_property
    def coarse(self) -> np.ndarray:
        """float32 [h, w, 3], 0..1, at `COARSE_SIDE`."""
        return self.at(COARSE_SIDE, 16).astype(np.float32) / 255


def view_of(image: "Image.Image | np.ndarray | View") -> View:
    """The view of a picture, which may be one already."""
    return image if isinstance(image, View) else View(image)


def log_odds(measures: np.ndarray, weights: tuple[float, ...]) -> float:
    """Evidence by logistic regression: a sum of weighted measures, and a last weight alone."""
    return float(np.dot(measures, weights[:-1]) + weights[-1])
