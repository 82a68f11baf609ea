"""The ways to place a square that are compared."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import smartcrop
from PIL import Image

from cropping.plan import plan
from cropping.tiles import plan_tiles
from cropping.window import best_square

SIZE = 512
PADDED = "ours, padding by default"
Method = Callable[[Image.Image], Sequence[float]]


def centre(image: Image.Image) -> Sequence[float]:
    """The middle."""
    width, height = image.size
    side = min(width, height)
    x, y = (width - side) / 2, (height - side) / 2
    return x, y, x + side, y + side


def entropy(image: Image.Image, bins: int = 32) -> Sequence[float]:
    """The window with the greatest Shannon entropy of its grey values: AUTOMATIC1111's idea, of
    windows of the size that is cut, at every place, with a true histogram."""
    scale = min(1, 224 / max(image.size))
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    grey = np.asarray(image.convert("L").resize(size, Image.Resampling.BOX))
    lines = grey if image.height > image.width else grey.T
    counts = np.stack([np.bincount(line // (256 // bins), minlength=bins) for line in lines])
    total = np.concatenate([np.zeros((1, bins)), np.cumsum(counts, axis=0)])
    side = min(size)
    share = (total[side:] - total[:-side]) / (side * side)
    best = int(np.argmax(-(share * np.log(np.maximum(share, 1e-12))).sum(axis=1)))
    start = best / scale
    short = min(image.size)
    start = min(start, max(image.size) - short)
    if image.height > image.width:
        return 0, start, short, start + short
    return start, 0, start + short, short


def smart(image: Image.Image) -> Sequence[float]:
    """smartcrop.py at its largest square."""
    found = smartcrop.SmartCrop().crop(image, 100, 100, min_scale=1)["top_crop"]
    return found["x"], found["y"], found["x"] + found["width"], found["y"] + found["height"]


def ours(image: Image.Image) -> Sequence[float]:
    """cropping.window.best_square."""
    return best_square(image, SIZE)


def padded(image: Image.Image) -> Sequence[float]:
    """cropping.plan.plan with what it does by default: padding instead of cutting too much."""
    return plan(image, SIZE).windows[0].box.corners


SQUARES: dict[str, Method] = {
    "centre": centre,
    "smartcrop, min_scale=1": smart,
    "windowed entropy, done right": entropy,
    "ours": ours,
    PADDED: padded,
}


def halves(image: Image.Image) -> Sequence[Sequence[float]]:
    """As many squares side by side as cover the picture, as AUTOMATIC1111 splits it (20%)."""
    width, height = image.size
    side = min(width, height)
    count = int(np.ceil((max(width, height) - side * 0.2) / (side * 0.8)))
    starts = [k * (max(width, height) - side) / max(count - 1, 1) for k in range(count)]
    if width > height:
        return [(s, 0, s + side, side) for s in starts]
    return [(0, s, side, s + side) for s in starts]


def our_tiles(image: Image.Image) -> Sequence[Sequence[float]]:
    """cropping.tiles.plan_tiles."""
    return plan_tiles(image, SIZE)


TILES = {"tiles with 20% overlap alone": halves, "ours": our_tiles}


def scaled(image: Image.Image, pixels: float) -> Image.Image:
    """The picture with about so many pixels."""
    factor = (pixels / (image.width * image.height)) ** 0.5
    size = (round(image.width * factor), round(image.height * factor))
    return Image.fromarray(cv2.resize(np.asarray(image), size, interpolation=cv2.INTER_CUBIC))
