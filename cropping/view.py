"""A picture as the finders of damage see it."""

from functools import cached_property
from typing import TypeAlias

import cv2
import numpy as np
from PIL import Image

LONG_SIDE = 800  # px that creases are looked for at: a fold of half a millimetre is two of them
COARSE_SIDE = 320  # px for light that changes slowly


Finding: TypeAlias = tuple[float, np.ndarray] | None
"""How plain damage is (1 at the threshold), and uint8 [h, w] at any scale, 0 where it is and 255
elsewhere; None where there is none."""


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
