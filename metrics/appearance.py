"""What large guidance scales do to a picture: colour, contrast, clipping and sharpness."""

from dataclasses import dataclass

import cv2
import numpy as np

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


@dataclass(frozen=True)
class Appearance:
    """Four numbers of one picture, each 0..1."""

    saturation: float
    """Mean over the pixels of the largest minus the smallest channel: 0 for a grey picture."""
    contrast: float
    """Standard deviation of the luminance; at most 0.5, half black and half white."""
    clipped: float
    """Share of the channel values that are 0 or 255: what the picture's range cut off."""
    sharpness: float
    """Mean strength of the luminance's gradient (Sobel): 0 for an even picture, and lower after any
    blur."""


def appearance(picture: np.ndarray) -> Appearance:
    """Measure one picture, uint8 RGB [H, W, 3].

    Turning or mirroring the picture, or giving its channels another order, leaves saturation and
    clipping as they are; contrast and sharpness grow in proportion to the range of the values.
    """
    pixels = picture.astype(np.float64) / 255
    luminance = pixels @ LUMA
    across = cv2.Sobel(luminance, cv2.CV_64F, 1, 0, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
    down = cv2.Sobel(luminance, cv2.CV_64F, 0, 1, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
    return Appearance(
        saturation=float((pixels.max(axis=2) - pixels.min(axis=2)).mean()),
        contrast=float(luminance.std()),
        clipped=float(((picture == 0) | (picture == 255)).mean()),
        sharpness=float(np.hypot(across, down).mean()),
    )


def root_mean_square(one: np.ndarray, other: np.ndarray) -> float:
    """Distance of two pictures, uint8 [H, W, 3], by their values: 0 equal, 1 black and white."""
    difference = (one.astype(np.float64) - other.astype(np.float64)) / 255
    return float(np.sqrt((difference**2).mean()))
