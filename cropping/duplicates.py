"""Pictures that are there twice, and crops with nothing in them."""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

ALIKE = 6  # of 64 bits: two scans of one plate differ in fewer, two plates in more
BLANK = 3.0  # of 255: paper and its grain vary by less
BLURRED_SIDE = 128  # px that is left to blur: what is finer would be blurred away


def perceptual_hash(image: Image.Image) -> str:
    """64 bits, as 16 hexadecimal digits, that stay nearly the same when a picture is resized,
    brightened or compressed: the signs, against their median, of the 8 x 8 lowest frequencies of
    its cosine transform at 32 x 32 px (Zauner 2010, "Implementation and Benchmarking of Perceptual
    Image Hash Functions", section 3.2.1)."""
    grey = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.BOX), np.float32)
    low = cv2.dct(cv2.blur(grey, (3, 3)))[:8, :8].ravel()
    bits = low > np.median(low[1:])  # the first is the mean brightness
    return f"{int(''.join('1' if bit else '0' for bit in bits), 2):016x}"


def distance(one: str, other: str) -> int:
    """In how many of 64 bits two hashes differ."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


def find_duplicates(hashes: Sequence[str], most: int = ALIKE) -> dict[int, int]:
    """For each picture that is like one before it, that one: the first that differs in at most
    `most` bits and is no duplicate itself."""
    found: dict[int, int] = {}
    values = np.array([int(one, 16) for one in hashes], np.uint64)
    for index in range(1, len(values)):
        differing = np.bitwise_count(values[:index] ^ values[index])
        for earlier in np.flatnonzero(differing <= most):
            if int(earlier) not in found:
                found[index] = int(earlier)
                break
    return found


def detail(crop: Image.Image) -> float:
    """How much there is in a picture: the standard deviation of its blurred brightness, of 255. The
    blur, a fiftieth of the side, takes away the grain of paper."""
    grey = np.asarray(crop.convert("L"), np.float32)
    scale = min(1.0, BLURRED_SIDE / max(grey.shape))
    size = (max(round(grey.shape[1] * scale), 1), max(round(grey.shape[0] * scale), 1))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return round(float(cv2.GaussianBlur(small, (0, 0), max(small.shape) / 50).std()), 2)
