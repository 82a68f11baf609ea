"""Damage of scans, laid over a page by its optics: folds and shading multiply the light, worn paper
covers it, glare adds to it. This is what `cropping.cleaning` was tuned on."""

from collections.abc import Callable

import cv2
import numpy as np
from scan_pages import Light
from scene import Rng

Damaged = tuple[Light, np.ndarray]
"""The page with the damage, and where that is, bool [h, w]."""

BARE = (
    (0.96, 0.95, 0.93), (0.9, 0.86, 0.76), (0.8, 0.74, 0.64), (0.5, 0.42, 0.34),
    (0.3, 0.28, 0.27), (0.18, 0.15, 0.13),
)  # fmt: skip
"""What shows in a fold: worn paper, white to brown, or dirt."""


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
    """A thin line along three quarters of the way across or all of it, not quite straight: worn
    paper or dirt over the paint, a soft shadow, or a ridge with a lit and a shaded side."""
    height, width = light.shape[:2]
    side = max(height, width)
    angle = angle + np.radians(rng.uniform(-4, 4))
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-np.sin(angle), np.cos(angle)])
    middle = np.array([rng.uniform(0.15, 0.85) * width, rng.uniform(0.15, 0.85) * height])
    y, x = grid(light)
    reach = (x - middle[0]) * along[0] + (y - middle[1]) * along[1]
    away = (x - middle[0]) * across[0] + (y - middle[1]) * across[1]
    knots = np.linspace(-1.5, 1.5, 40) * side
    way = rng.normal(0, rng.uniform(0, 0.0015), 40) * side  # how it wanders, and bows
    way += rng.uniform(-0.004, 0.004) * side * (2 * knots / side) ** 2
    away = away - np.interp(reach, knots, way).astype(np.float32)
    thick = max(0.8, np.exp(rng.uniform(np.log(0.0012), np.log(0.006))) * side)
    line = _profile(away, thick, soft=rng.random() < 0.4)
    where = line > 0.3
    if rng.random() < 0.3:  # it ends somewhere
        cut = np.quantile(reach[where], rng.uniform(0.03, 0.25)) if where.any() else 0
        line, where = line * (reach > cut), where & (reach > cut)
    line = line * _wear(reach, side, rng)
    beside = _profile(away - thick, thick, soft=True)
    kind = rng.random()
    if kind < 0.25:  # a ridge, lit from one side
        lit, shaded = rng.uniform(0.12, 0.4), rng.uniform(0.12, 0.4)
        relief = 1 + lit * line - shaded * beside
    elif kind < 0.5:  # nothing but shadow, or a shine
        relief = 1 + rng.choice([-1, -1, 1]) * rng.uniform(0.15, 0.5) * line
    else:  # worn paper, or dirt in it, over the paint
        tint = np.array(BARE[int(rng.integers(len(BARE)))], np.float32)
        light = light + rng.uniform(0.25, 0.85) * line[..., None] * (tint - light)
        relief = 1 - rng.choice([0, 1]) * rng.uniform(0.1, 0.35) * beside
    if rng.random() < 0.3:  # the two halves lie at an angle to the lamp
        relief = relief * (1 + rng.uniform(-0.04, 0.04) * np.tanh(away / (0.015 * side)))
    return np.clip(light * relief[..., None], 0, 1).astype(np.float32), where


def cracked(light: Light, rng: Rng) -> Damaged:
    """A fold as above, or one along which paint has chipped off: a hairline, darker or lighter by a
    share of what is there, with crumbs of bare paper on it; it may bow."""
    if rng.random() < 0.35:
        return crease(light, rng)
    height, width = light.shape[:2]
    side = max(height, width)
    turn = rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)]) + np.radians(rng.uniform(-4, 4))
    y, x = grid(light)
    u, v = (x - rng.uniform(0.15, 0.85) * width, y - rng.uniform(0.15, 0.85) * height)
    reach = u * float(np.cos(turn)) + v * float(np.sin(turn))
    away = v * float(np.cos(turn)) - u * float(np.sin(turn))
    away = away + rng.uniform(-0.007, 0.007) * side * (2 * reach / side) ** 2
    thick = max(0.8, np.exp(rng.uniform(np.log(0.001), np.log(0.004))) * side)
    line = _profile(away, thick, soft=True) * _wear(reach, side, rng)
    tone = rng.choice([-1, 1]) * rng.uniform(0.1, 0.45)
    crumb = max(2, int(rng.uniform(0.003, 0.015) * side))
    cells = rng.random((height // crumb + 2, width // crumb + 2)).astype(np.float32)
    chips = cv2.resize(cells, (width, height)) > rng.uniform(0.45, 0.95)
    bare = (chips * _profile(away, 1.2 * thick, soft=False))[..., None]
    tint = np.array(BARE[int(rng.integers(2))], np.float32)
    folded = light * (1 + tone * line[..., None]) * (1 - bare) + tint * bare
    if rng.random() < 0.5:  # the two halves lie at an angle to the lamp
        folded *= (1 + rng.uniform(-0.04, 0.04) * np.tanh(away / (0.012 * side)))[..., None]
    return np.clip(folded, 0, 1).astype(np.float32), np.abs(away) < thick / 2


def _profile(away: np.ndarray, thick: float, soft: bool) -> np.ndarray:
    """1 on the line and 0 beside it, by the distance to its middle: like a bell, or with edges."""
    if soft:
        return np.exp(-0.5 * (away / (0.6 * thick)) ** 2)
    return np.clip((0.5 * thick - np.abs(away)) / max(0.15 * thick, 0.7) + 0.5, 0, 1)


def _wear(reach: np.ndarray, side: int, rng: Rng) -> np.ndarray:
    """How much of the fold shows along its way: all of it, more here than there, or patches."""
    kind = rng.random()
    if kind < 0.5:
        return np.ones_like(reach)
    count = int(rng.integers(30, 150))
    wear = rng.uniform(0.3, 1, count)
    if kind > 0.75:
        wear = np.where(rng.random(count) < rng.uniform(0.15, 0.4), rng.uniform(0, 0.3), 1)
    return np.interp(reach, np.linspace(-side, side, count), wear).astype(np.float32)


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
