"""Masks: which parts of a picture training learns from. 1 = learn, 0 = ignore.

They are the files that other trainers read as well: `cat-masklabel.png` beside `cat.jpg`
(OneTrainer), `cat.mask.png`, or the picture's own alpha channel (kohya). White, or opaque, is
learned from.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from lab.images import MASK_SUFFIXES, is_mask, read_image, read_with_alpha

__all__ = ["MASK_SUFFIXES", "is_mask", "mask_of", "read_mask"]


def mask_of(picture: Path) -> Path | None:
    """The mask file beside a picture; None where there is none."""
    for suffix in MASK_SUFFIXES:
        mask = picture.with_name(picture.stem + suffix)
        if mask.is_file():
            return mask
    return None


def read_mask(picture: Path, size: tuple[int, int], mask: Path | None = None) -> np.ndarray | None:
    """The weights of a picture's pixels at `size` (width, height): float32 [h, w] from 0 to 1.

    From `mask` or the mask file beside the picture, else from the picture's alpha channel; None
    where neither says anything. Each weight is the mean of the mask over its pixel.

    Raises:
        ImageError: when the mask, or the picture, cannot be read.
    """
    file = mask or mask_of(picture)
    image = read_image(file).convert("L") if file else read_with_alpha(picture)[1]
    if image is None:
        return None
    resized = image.resize(size, Image.Resampling.BOX)
    return np.asarray(resized, np.float32) / 255
