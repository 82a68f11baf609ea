"""Damage that scanning books leaves in pictures: where it is, how to ignore it, how to repair it.

Each kind has a finder, a pure function of a `View`. All of them look for what light does, and paint
does not: a fold or a falling light darkens every colour by the same share, a reflection adds the
same white to all of them, and both go on across whatever is drawn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from cropping.creases import find_crease
from cropping.glare import find_glare
from cropping.shadows import find_gutter, find_shading, light_surface
from cropping.view import LONG_SIDE, Finding, View


@dataclass(frozen=True)
class Flaw:
    """Damage of one kind in a picture.

    `weights` is uint8 [h, w] at the scale it was looked for at: 0 damaged, 255 sound. `outlines`
    are polygons around it, in px of the picture. `score` is how plain it is, 1 at the threshold.
    """

    kind: str
    score: float
    weights: np.ndarray
    outlines: tuple[tuple[tuple[int, int], ...], ...]


# The values of `cropping.scans.find`: a further one is a function here and its name in config.py.
FINDERS: dict[str, Callable[[View], Finding]] = {
    "gutter": find_gutter,
    "crease": find_crease,
    "glare": find_glare,
    "shading": find_shading,
}


def find_flaws(image: Image.Image, kinds: Sequence[str]) -> tuple[Flaw, ...]:
    """Damage of these kinds (keys of `FINDERS`) in an RGB picture."""
    view = View(image)
    found = []
    for kind in kinds:
        result = FINDERS[kind](view)
        if result is not None:
            score, weights = result
            found.append(Flaw(kind, score, weights, _outlines(weights, image.size)))
    return tuple(found)


def weights_of(flaws: Sequence[Flaw], size: tuple[int, int]) -> np.ndarray:
    """The weights of all flaws but shading, uint8 [h, w], at the finest scale among them. What is
    shaded is only darker, and most of a page: it is told, and not ignored."""
    scale = min(1.0, LONG_SIDE / max(size))
    out = (max(round(size[0] * scale), 16), max(round(size[1] * scale), 16))
    total = np.full(out[::-1], 255, np.uint8)
    for flaw in flaws:
        if flaw.kind != "shading":
            total = np.minimum(total, cv2.resize(flaw.weights, out, interpolation=cv2.INTER_LINEAR))
    return total


def _outlines(
    weights: np.ndarray, size: tuple[int, int]
) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Polygons around what is damaged, in px of the picture, to about half a percent."""
    found, _ = cv2.findContours((weights < 128).astype(np.uint8), cv2.RETR_EXTERNAL, 2)
    across, down = size[0] / weights.shape[1], size[1] / weights.shape[0]
    shapes = [cv2.approxPolyDP(one, 0.003 * max(weights.shape), True)[:, 0] for one in found]
    return tuple(
        tuple((round(float(x + 0.5) * across), round(float(y + 0.5) * down)) for x, y in shape)
        for shape in shapes
    )


REPAIR_SIDE = 1600  # px that painting over is done at: what is invented needs no more detail


def repair(image: Image.Image, flaws: Sequence[Flaw]) -> Image.Image:
    """The picture with creases, gutters and glare painted over from their surroundings (Telea 2004,
    "An Image Inpainting Technique Based on the Fast Marching Method"), and shading evened out."""
    pixels = np.asarray(image.convert("RGB"))
    if any(flaw.kind == "shading" for flaw in flaws):
        light = light_surface(View(image))
        if light is not None:
            gain = np.exp(light.max() - light).astype(np.float32)
            gain = cv2.resize(gain, image.size, interpolation=cv2.INTER_CUBIC)[..., None]
            pixels = np.clip(pixels * gain, 0, 255).round().astype(np.uint8)
    weights = weights_of(flaws, image.size)
    if weights.min() == 255:
        return Image.fromarray(pixels)
    scale = min(1.0, REPAIR_SIDE / max(image.size))
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    hole = (cv2.resize(weights, size, interpolation=cv2.INTER_LINEAR) < 255).astype(np.uint8)
    painted = cv2.inpaint(small, hole, 5, cv2.INPAINT_TELEA)
    painted = cv2.resize(painted, image.size, interpolation=cv2.INTER_CUBIC)
    sound = cv2.resize(weights, image.size, interpolation=cv2.INTER_LINEAR)[..., None] / 255.0
    mixed = pixels * sound + painted * (1 - sound)
    return Image.fromarray(mixed.round().astype(np.uint8))
