"""Clean and damaged scans that decide: other drawing code, and damage of other forms.

Nothing of `cropping.cleaning` was chosen, or changed, by what it finds here.
"""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from decisive import DECISIVE, framed_with_title, oval_vignette
from scan_damage import Damaged, grid
from scan_pages import Light
from scene import Rng, compose

WORLD = replace(DECISIVE, pages=(framed_with_title, oval_vignette))  # its third has a fold


def page(seed: int, index: int, rng: Rng) -> Light:
    """A picture of the world that decides, printed at any size; sometimes as an engraving, or with
    plain margins of white or yellowed paper."""
    picture = np.asarray(compose(WORLD, rng).image)
    long_side = rng.uniform(600, 2400)
    factor = long_side / max(picture.shape)
    size = (max(round(picture.shape[1] * factor), 8), max(round(picture.shape[0] * factor), 8))
    light = cv2.resize(picture, size, interpolation=cv2.INTER_LANCZOS4).astype(np.float32) / 255
    if rng.random() < 0.2:
        light = _engraved(np.clip(light, 0, 1), rng)
    if rng.random() < 0.4:
        tone = np.array([1, rng.uniform(0.93, 1), rng.uniform(0.8, 1)]) * rng.uniform(0.8, 1)
        around = [int(v) for v in rng.uniform(0.02, 0.2, 4) * max(size)]
        light = cv2.copyMakeBorder(light, *around, cv2.BORDER_CONSTANT, value=tone.tolist())
    return np.clip(light, 0, 1).astype(np.float32)


def _engraved(light: Light, rng: Rng) -> Light:
    """Lines that swell where it is dark, in one ink."""
    y, x = grid(light)
    pitch, turn = rng.uniform(4, 9) * max(light.shape) / 900, rng.uniform(0, np.pi)
    wave = 0.5 + 0.5 * np.sin((x * np.cos(turn) + y * np.sin(turn)) * 2 * np.pi / pitch)
    ink = np.clip((wave - light.mean(axis=2) * 1.1) * pitch / 2 + 0.5, 0, 1)[..., None]
    tones = (1 - ink) * np.float32(rng.uniform(0.85, 1)) + ink * np.float32(rng.uniform(0, 0.3))
    return np.repeat(tones, 3, axis=2)


# --- damage


def gutter(light: Light, rng: Rng) -> Damaged:
    """Paper that bends away from the light: brightness by the cosine of its slope."""
    height, width = light.shape[:2]
    y, x = grid(light)
    middle = rng.choice([0.0, 0.5, 1.0]) + rng.uniform(-0.01, 0.01)
    away = np.abs(x / width - middle - rng.uniform(-0.02, 0.02) * (y / height - 0.5))
    slope = rng.uniform(1.0, 2.2) * np.maximum(1 - away / rng.uniform(0.06, 0.14), 0) ** 2
    bright = 1 - rng.uniform(0.5, 0.8) * (1 - np.cos(np.minimum(slope, np.pi / 2)))
    return light * bright[..., None], bright < 0.9


def crease(light: Light, rng: Rng) -> Damaged:
    """A bend of the paper, a soft step of its brightness and a sharp line in it, whose paint has
    flaked off in places; level, upright or anyhow; some bow."""
    height, width = light.shape[:2]
    side = max(height, width)
    y, x = grid(light)
    turn = rng.choice([0.0, 0.5, rng.random()]) * np.pi + rng.normal(0, 0.02)
    middle = np.array([width, height]) * rng.uniform(0.2, 0.8, 2)
    across = (x - middle[0]) * np.cos(turn) + (y - middle[1]) * np.sin(turn)
    along = (y - middle[1]) * np.cos(turn) - (x - middle[0]) * np.sin(turn)
    across = across - rng.uniform(-0.006, 0.006) * side * (2 * along / side) ** 2
    thick = rng.uniform(0.0012, 0.0028) * side
    line = np.exp(-((across / thick) ** 2))
    bend = 1 + rng.choice([-1, 1]) * rng.uniform(0, 0.04) * np.tanh(across / (0.01 * side))
    tone = rng.choice([-1, 1]) * rng.uniform(0.15, 0.4)
    out = light * (bend * (1 + tone * line))[..., None]
    flakes = cv2.resize(
        rng.random((max(height // 12, 2), max(width // 12, 2))).astype(np.float32), (width, height)
    )
    bare = ((flakes > rng.uniform(0.45, 0.9)) * np.exp(-((across / (1.2 * thick)) ** 4)))[..., None]
    out = out * (1 - bare) + np.array([0.95, 0.93, 0.88], np.float32) * bare
    return np.clip(out, 0, 1), line > 0.3


def glare(light: Light, rng: Rng) -> Damaged:
    """The blurred reflection of a window with its bars, of a shade, or of a bulb with a wide veil
    around it."""
    height, width = light.shape[:2]
    side = max(height, width)
    y, x = grid(light)
    u, v = x - rng.uniform(0.1, 0.9) * width, y - rng.uniform(0.1, 0.9) * height
    kind = int(rng.integers(3))
    if kind == 0:
        a, b = rng.uniform(0.05, 0.13, 2) * side
        pane = ((np.abs(u + 0.2 * v) < a) & (np.abs(v) < b)).astype(np.float32)
        spot = cv2.GaussianBlur(pane, (0, 0), rng.uniform(0.02, 0.04) * side)
    elif kind == 1:
        shade = (v > 0) & (np.abs(u) < rng.uniform(0.3, 0.6) * v + 0.03 * side)
        shade &= v < rng.uniform(0.1, 0.2) * side
        spot = cv2.GaussianBlur(shade.astype(np.float32), (0, 0), rng.uniform(0.02, 0.04) * side)
    else:
        spot = 1 / (1 + (u**2 + v**2) / (rng.uniform(0.05, 0.1) * side) ** 2) ** 1.5
    spot = rng.uniform(0.95, 1.5) * spot / spot.max()
    colour = np.array([1, rng.uniform(0.95, 1), rng.uniform(0.88, 1)], np.float32)
    return np.minimum(light + spot[..., None] * colour, 1), spot > 0.35


def shading(light: Light, rng: Rng) -> Damaged:
    """A lamp that stands near one corner or side: its light falls with the squared distance."""
    height, width = light.shape[:2]
    y, x = grid(light)
    turn, away = rng.uniform(0, 2 * np.pi), rng.uniform(1.0, 1.6)
    u, v = x / width - 0.5 - away * np.cos(turn), y / height - 0.5 - away * np.sin(turn)
    bright = 1 / (u**2 + v**2 + 0.5)
    bright = bright / bright.max()
    return light * bright[..., None], bright < 0.85


DAMAGES: dict[str, Callable[[Light, Rng], Damaged]] = {
    "gutter": gutter,
    "crease": crease,
    "glare": glare,
    "shading": shading,
}
