"""Damage of scans, laid over a page by its optics: folds and shading multiply the light, worn paper
covers it, glare adds to it. This is what `cropping.cleaning` was tuned on."""

from collections.abc import Callable

import cv2
import numpy as np
from scan_pages import Light
from scene import Rng

Damaged = tuple[Light, np.ndarray]
"""The page with the damage, and where that is, bool [h, w]."""


def grid(light: Light) -> tuple[np.ndarray, np.ndarray]:
    """y and x of every pixel, float32."""
    y, x = np.mgrid[: light.shape[0], : light.shape[1]].astype(np.float32)
    return y, x


def gutter(light: Light, rng: Rng) -> Damaged:
    """The shadow of a book's fold: soft, dark, at a side or in the middle, a little aslant."""
    height, width = light.shape[:2]
    where = rng.choice([0.0, 0.02, 0.5, 0.98, 1.0]) * width
    tilt = np.tan(np.radians(rng.uniform(-1.2, 1.2)))
    y, x = grid(light)
    away = np.abs(x - where - (y - height / 2) * tilt)
    soft = rng.uniform(0.015, 0.05) * width
    depth = rng.uniform(0.35, 0.8)
    form = np.exp(-away / soft) if rng.random() < 0.6 else np.exp(-0.5 * (away / soft) ** 2)
    shadow = depth * form
    return light * (1 - shadow[..., None]), shadow > 0.1


def crease(light: Light, rng: Rng) -> Damaged:
    """One fold, or two that cross."""
    folded, where = _fold(light, rng, rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)]))
    if rng.random() < 0.2:
        folded, also = _fold(folded, rng, rng.choice([0, np.pi / 2]))
        where |= also
    return folded, where


def _fold(light: Light, rng: Rng, angle: float) -> Damaged:
    """A thin line of broken, lighter or darker paper, or a ridge with a lit and a shaded side, not
    quite straight, along three quarters of the way across or all of it."""
    height, width = light.shape[:2]
    side = max(height, width)
    angle = angle + np.radians(rng.uniform(-4, 4))
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-np.sin(angle), np.cos(angle)])
    middle = np.array([rng.uniform(0.2, 0.8) * width, rng.uniform(0.2, 0.8) * height])
    t = np.linspace(-1.5, 1.5, 400) * side
    wobble = np.interp(t, np.linspace(t[0], t[-1], 40), rng.normal(0, 0.0012, 40) * side)
    points = middle + t[:, None] * along + wobble[:, None] * across
    line = np.zeros((height, width), np.float32)
    thick = max(1, round(rng.uniform(0.0015, 0.005) * side))
    corners = [(points * 16).round().astype(np.int32)]
    cv2.polylines(line, corners, False, (1.0,), thick, cv2.LINE_AA, 4)
    y, x = grid(light)
    reach = (x - middle[0]) * along[0] + (y - middle[1]) * along[1]
    if rng.random() < 0.4:  # it ends somewhere
        inside = reach[line > 0.5]
        cut = np.quantile(inside, rng.uniform(0.05, 0.25)) if len(inside) else 0
        line *= reach > cut
    line = cv2.GaussianBlur(line, (0, 0), 0.0006 * side + 0.3)
    where = line > 0.3
    if rng.random() < 0.4:  # worn more here than there
        wear = np.interp(reach, np.linspace(-side, side, 60), rng.uniform(0.3, 1, 60))
        line *= wear.astype(np.float32)
    offset = np.float32([[1, 0, across[0] * thick], [0, 1, across[1] * thick]])
    beside = cv2.warpAffine(line, offset, (width, height))
    if rng.random() < 0.3:  # a ridge, lit from one side
        lit, shaded = rng.uniform(0.15, 0.4), rng.uniform(0.15, 0.4)
        relief = 1 + lit * line - shaded * beside
        return np.clip(light * relief[..., None], 0, 1), where
    strength, bare = rng.uniform(0.3, 0.75), 0.93 if rng.random() < 0.6 else 0.25
    mixed = light + strength * line[..., None] * (bare - light)
    return mixed * (1 - rng.uniform(0.1, 0.35) * beside[..., None]), where


def glare(light: Light, rng: Rng) -> Damaged:
    """A lamp's reflection: added white without an edge, burnt out in its middle; an ellipse, one
    with a flat top, the streak of a tube, or two lamps."""
    height, width = light.shape[:2]
    side = max(height, width)
    spot = np.zeros((height, width), np.float32)
    y, x = grid(light)
    for _ in range(2 if rng.random() < 0.15 else 1):
        u, v = x - rng.uniform(0.1, 0.9) * width, y - rng.uniform(0.1, 0.9) * height
        turn = rng.uniform(0, np.pi)
        a, b = rng.uniform(0.05, 0.14) * side, rng.uniform(0.03, 0.1) * side
        if rng.random() < 0.15:
            a, b = rng.uniform(0.2, 0.4) * side, rng.uniform(0.03, 0.05) * side
        u, v = u * np.cos(turn) + v * np.sin(turn), v * np.cos(turn) - u * np.sin(turn)
        power = rng.choice([1.0, 1.0, 1.6])
        form = np.exp(-0.5 * ((u / a) ** 2 + (v / b) ** 2) ** power)
        spot = np.maximum(spot, rng.uniform(0.9, 1.6) * form)
    warm = np.array([1, rng.uniform(0.94, 1), rng.uniform(0.85, 1)], np.float32)
    return np.minimum(light + spot[..., None] * warm, 1), spot > 0.35


def shading(light: Light, rng: Rng) -> Damaged:
    """Light that falls off evenly across the page, to between half and three quarters."""
    height, width = light.shape[:2]
    turn = rng.uniform(0, 2 * np.pi)
    y, x = grid(light)
    ramp = (x / width - 0.5) * np.cos(turn) + (y / height - 0.5) * np.sin(turn)
    ramp = (ramp - ramp.min()) / (ramp.max() - ramp.min())
    dark = rng.uniform(0.3, 0.5) * ramp ** rng.uniform(1, 2)
    return light * (1 - dark[..., None]), dark > 0.15


DAMAGES: dict[str, Callable[[Light, Rng], Damaged]] = {
    "gutter": gutter,
    "crease": crease,
    "glare": glare,
    "shading": shading,
}
