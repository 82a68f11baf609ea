"""Oblong pictures -> squares of a given side."""

from collections.abc import Callable

import numpy as np
from PIL import Image


def centre(image: Image.Image, size: int) -> Image.Image:
    """The middle square."""
    least = min(image.size)
    x, y = (image.width - least) / 2, (image.height - least) / 2
    # one resize with a box: no pixel is lost to rounding
    return image.resize((size, size), Image.Resampling.LANCZOS, box=(x, y, x + least, y + least))


def squash(image: Image.Image, size: int) -> Image.Image:
    """All of the picture, its sides made equal."""
    return image.resize((size, size), Image.Resampling.LANCZOS)


def pad(image: Image.Image, size: int) -> Image.Image:
    """All of the picture in the middle of its mean border colour."""
    scale = size / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    values = np.asarray(image)
    rows, columns = values[[0, -1]].reshape(-1, 3), values[:, [0, -1]].reshape(-1, 3)
    colour = np.concatenate([rows, columns]).mean(axis=0).round().astype(int)
    canvas = Image.new("RGB", (size, size), (int(colour[0]), int(colour[1]), int(colour[2])))
    small = image.resize((width, height), Image.Resampling.LANCZOS)
    canvas.paste(small, ((size - width) // 2, (size - height) // 2))
    return canvas


CROPS: dict[str, Callable[[Image.Image, int], Image.Image]] = {
    "centre": centre,
    "squash": squash,
    "pad": pad,
}
"""A further way is a function of (RGB picture, side) here and its name in config.py."""
