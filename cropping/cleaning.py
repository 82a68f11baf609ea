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
from cropping.view import LONG_SIDE, Finding, View, view_of


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


def find_flaws(image: Image.Image | View, kinds: Sequence[str]) -> tuple[Flaw, ...]:
    """Damage of these kinds (keys of `FINDERS`) in an RGB picture."""
    view = view_of(image)
    found = []
    for kind in kinds:
        result = FINDERS[kind](view)
        if result is not None:
            score, weights = result
            found.append(Flaw(kind, score, weights, _outlines(weights, view.size)))
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
FOLD = 0.011  # of the long side: a fold is thinner
WAYS = 8  # directions across a fold that are told apart
VEIL = 0.03  # of the long side, around a glare: there its light is weak, but would be painted on


def repair(image: Image.Image, flaws: Sequence[Flaw]) -> Image.Image:
    """The picture with shading evened out, creases filled from their sides, and gutters and glare
    painted over from their surroundings (Telea 2004, "An Image Inpainting Technique Based on the
    Fast Marching Method")."""
    pixels = np.asarray(image.convert("RGB"))
    if any(flaw.kind == "shading" for flaw in flaws):
        light = light_surface(View(image))
        if light is not None:
            gain = np.exp(light.max() - light).astype(np.float32)
            gain = cv2.resize(gain, image.size, interpolation=cv2.INTER_CUBIC)[..., None]
            pixels = np.clip(pixels * gain, 0, 255).round().astype(np.uint8)
    creases = [flaw for flaw in flaws if flaw.kind == "crease"]
    if creases:
        pixels = _mixed(pixels, _unfolded, weights_of(creases, image.size))
    others = [flaw for flaw in flaws if flaw.kind in ("gutter", "glare")]
    if others:
        weights = weights_of(others, image.size)
        reach = round(VEIL * max(weights.shape)) if any(f.kind == "glare" for f in others) else 0
        weights = cv2.erode(weights, np.ones((2 * reach + 1,) * 2, np.uint8))
        pixels = _mixed(pixels, _painted, weights)
    return Image.fromarray(pixels)


def _mixed(
    pixels: np.ndarray,
    repaired: Callable[[np.ndarray, np.ndarray], np.ndarray],
    weights: np.ndarray,
) -> np.ndarray:
    """The pixels where the weights are 255, what `repaired` makes of them where they are 0."""
    size = (pixels.shape[1], pixels.shape[0])
    scale = min(1.0, REPAIR_SIDE / max(size))
    small_size = (max(round(size[0] * scale), 1), max(round(size[1] * scale), 1))
    small = cv2.resize(pixels, small_size, interpolation=cv2.INTER_AREA)
    hole = (cv2.resize(weights, small_size, interpolation=cv2.INTER_LINEAR) < 255).astype(np.uint8)
    made = cv2.resize(repaired(small, hole), size, interpolation=cv2.INTER_CUBIC)
    sound = cv2.resize(weights, size, interpolation=cv2.INTER_LINEAR)[..., None] / 255.0
    return (pixels * sound + made * (1 - sound)).round().astype(np.uint8)


def _painted(pixels: np.ndarray, hole: np.ndarray) -> np.ndarray:
    return cv2.inpaint(pixels, hole, 5, cv2.INPAINT_TELEA)


def _unfolded(pixels: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Without the dark lines that, across the hole, are thinner than a fold, or without the light
    ones, or both, whichever there are more of. Whatever is broader that way stays as it is."""
    side = 2 * round(FOLD * max(pixels.shape) / 2) + 1
    way = _way_across(hole, side)
    first, second = cv2.MORPH_CLOSE, cv2.MORPH_OPEN
    made = {kind: _across(pixels, kind, way, side) for kind in (first, second)}
    change = {kind: cv2.absdiff(one, pixels)[hole > 0].mean() for kind, one in made.items()}
    if change[second] > change[first]:
        first, second = second, first
    is_relief = 2 * change[second] > change[first]
    return _across(made[first], second, way, side) if is_relief else made[first]


def _way_across(hole: np.ndarray, side: int) -> np.ndarray:
    """The direction across a long hole, by the structure tensor around every pixel: int [h, w], in
    eighths of half a turn from the x axis."""
    soft = cv2.GaussianBlur(hole.astype(np.float32), (0, 0), side / 4)
    dx, dy = cv2.Sobel(soft, -1, 1, 0), cv2.Sobel(soft, -1, 0, 1)
    xx, yy, xy = (cv2.GaussianBlur(one, (0, 0), side) for one in (dx * dx, dy * dy, dx * dy))
    return np.round(np.arctan2(2 * xy, xx - yy) / 2 * WAYS / np.pi).astype(int) % WAYS


def _across(pixels: np.ndarray, kind: int, way: np.ndarray, side: int) -> np.ndarray:
    """Morphology with a line of `side` px that lies, at every pixel, in its own direction."""
    made, half = pixels.copy(), side // 2
    for k in range(WAYS):
        turn = k * np.pi / WAYS
        x, y = round(half * np.cos(turn)), round(half * np.sin(turn))
        line = np.zeros((side, side), np.uint8)
        cv2.line(line, (half - x, half - y), (half + x, half + y), (1,))
        np.copyto(made, cv2.morphologyEx(pixels, kind, line), where=(way == k)[..., None])
    return made
