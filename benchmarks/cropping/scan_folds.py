"""Folds of many forms, by what is common to all of them: a way across the page, a profile across
that way, what the profile does to the light, and where along the way it shows."""

from collections.abc import Callable

import cv2
import numpy as np
from scan_damage import Damaged, grid
from scan_pages import Light
from scene import Rng

BARE = ((1.0, 0.99, 0.96), (0.93, 0.9, 0.82), (0.85, 0.78, 0.66), (0.75, 0.74, 0.72))
DIRT = ((0.45, 0.36, 0.27), (0.3, 0.28, 0.26), (0.16, 0.13, 0.11))


def fold(light: Light, rng: Rng) -> Damaged:
    """One fold of any form, two that cross, or two or three side by side, as of a letter."""
    form = FORMS[int(rng.integers(len(FORMS)))]
    return folded(light, rng, form)


def folded(light: Light, rng: Rng, form: Callable[[Light, np.ndarray, float, Rng], Light]):
    """A page with folds of one form: `form` gets the page, how far every pixel is from the middle
    of the fold (px, signed), how thick the fold is (px), and random numbers."""
    turn = rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)]) + np.radians(rng.uniform(-4, 4))
    kind = rng.random()
    ways = [turn]
    if kind < 0.15:
        ways.append(turn + np.pi / 2 + np.radians(rng.uniform(-3, 3)))
    elif kind < 0.25:
        ways += [turn + np.radians(rng.uniform(-1, 1))] * int(rng.integers(1, 3))
    is_letter = kind >= 0.15
    where = np.zeros(light.shape[:2], bool)
    for k, way in enumerate(ways):
        place = (
            (k + 1) / (len(ways) + 1) if is_letter and len(ways) > 1 else rng.uniform(0.06, 0.94)
        )
        light, on = _one(light, rng, form, float(way), float(place))
        where |= on
    return light, where


def _one(
    light: Light,
    rng: Rng,
    form: Callable[[Light, np.ndarray, float, Rng], Light],
    turn: float,
    place: float,
) -> Damaged:
    height, width = light.shape[:2]
    side = max(height, width)
    y, x = grid(light)
    cos, sin = float(np.cos(turn)), float(np.sin(turn))
    u, v = x - place * width, y - place * height
    reach, away = u * cos + v * sin, v * cos - u * sin
    steps = np.linspace(-1.5, 1.5, 400) * side
    away = away - np.interp(reach, steps, _path(steps / side, side, rng)).astype(np.float32)
    thick = max(1.0, float(np.exp(rng.uniform(np.log(0.0011), np.log(0.006)))) * side)
    shown = np.interp(reach, steps, _shown(steps / side, reach / side, rng)).astype(np.float32)
    changed = form(light, away, thick, rng)
    if rng.random() < 0.3:  # the two halves lie at an angle to the lamp
        step = rng.uniform(-0.06, 0.06) * np.tanh(away / (rng.uniform(0.002, 0.03) * side))
        changed = changed * (1 + step[..., None])
    made = light + shown[..., None] * (changed - light)
    on = (np.abs(away) < max(0.6 * thick, 1.0)) & (shown > 0.25)
    return np.clip(made, 0, 1).astype(np.float32), on


def _path(t: np.ndarray, side: int, rng: Rng) -> np.ndarray:
    """How far a fold is beside its chord, px, at t long sides along it: it bows, and wanders at
    any scale, or not at all."""
    path = rng.uniform(-0.007, 0.007) * (2 * t) ** 2
    for knots in (6, 20, 70):
        wander = rng.normal(0, 1, knots) * rng.choice([0, rng.uniform(0, 0.0015)])
        path = path + np.interp(t, np.linspace(-1.5, 1.5, knots), wander)
    return path * side


def _shown(t: np.ndarray, reach: np.ndarray, rng: Rng) -> np.ndarray:
    """How much of a fold there is, 0..1, at t long sides along it: it is here stronger than there,
    is worn off in places, or ends within the page, at once or by and by."""
    shown = np.ones_like(t)
    if rng.random() < 0.5:
        count = int(rng.integers(8, 200))
        shown *= np.interp(t, np.linspace(-1.5, 1.5, count), rng.uniform(rng.random(), 1, count))
    if rng.random() < 0.3:
        count = int(rng.integers(30, 240))
        gone = np.where(rng.random(count) < rng.uniform(0.1, 0.4), rng.uniform(0, 0.3), 1)
        shown *= np.interp(t, np.linspace(-1.5, 1.5, count), gone)
    if rng.random() < 0.25:
        low, high = float(reach.min()), float(reach.max())
        start = low + rng.uniform(0.03, 0.35) * (high - low)
        fade = rng.uniform(0.002, 0.1)
        shown *= np.clip((t - start) / fade, 0, 1)
    return shown


# --- profiles across the fold


def _bell(away: np.ndarray, thick: float) -> np.ndarray:
    return np.exp(-0.5 * (away / (0.5 * thick)) ** 2)


def _tent(away: np.ndarray, thick: float) -> np.ndarray:
    return np.exp(-np.abs(away) / (0.5 * thick))


def _bar(away: np.ndarray, thick: float) -> np.ndarray:
    return np.clip((0.5 * thick - np.abs(away)) / max(0.2 * thick, 0.7) + 0.5, 0, 1)


def _profile(away: np.ndarray, thick: float, rng: Rng) -> np.ndarray:
    """[h, w, 1]"""
    return (_bell, _tent, _bar)[int(rng.integers(3))](away, thick)[..., None]


def _tone(rng: Rng, among: tuple) -> np.ndarray:
    return np.array(among[int(rng.integers(len(among)))], np.float32)


# --- forms: what a fold does to the light


def valley(light: Light, away: np.ndarray, thick: float, rng: Rng) -> Light:
    """A shadow."""
    return light * (1 - rng.uniform(0.12, 0.6) * _profile(away, thick, rng))


def shine(light: Light, away: np.ndarray, thick: float, rng: Rng) -> Light:
    """Light that the raised paper catches: more of what is there, or the same for all."""
    line = rng.uniform(0.12, 0.5) * _profile(away, thick, rng)
    return light * (1 + line) if rng.random() < 0.5 else light + line * (1 - light)


def relief(light: Light, away: np.ndarray, thick: float, rng: Rng) -> Light:
    """A lit flank beside a shaded one."""
    apart = rng.uniform(0.35, 0.9) * thick * rng.choice([-1, 1])
    lit, shaded = rng.uniform(0.08, 0.4, 2)
    made = light * (1 - shaded * _profile(away + apart, thick, rng))
    return made + lit * _profile(away - apart, thick, rng) * (1.1 - made)


def cored(light: Light, away: np.ndarray, thick: float, rng: Rng) -> Light:
    """A soft wide fold, dark or light, with a crisp core of either kind."""
    tone, core = rng.choice([-1, 1], 2, p=[0.7, 0.3])
    made = light * (1 + tone * rng.uniform(0.05, 0.25) * _profile(away, 4 * thick, rng))
    line = _profile(away, 0.8 * thick, rng) * rng.uniform(0.12, 0.5)
    return made * (1 - line) if core < 0 else made + line * (1 - made)


def worn(light: Light, away: np.ndarray, thick: float, rng: Rng) -> Light:
    """Paint worn off, down to the paper, with a shadow at one side."""
    line = rng.uniform(0.25, 0.9) * _profile(away, thick, rng)
    made = light + line * (_tone(rng, BARE) - light)
    side = rng.choice([-1, 1]) * 0.8 * thick
    return made * (
        1 - rng.choice([0, 1]) * rng.uniform(0.08, 0.35) * _profile(away - side, thick, rng)
    )


def grimy(light: Light, away: np.ndarray, thick: float, rng: Rng) -> Light:
    """Dirt in the fold: it covers, or it stains."""
    line, dirt = rng.uniform(0.2, 0.7) * _profile(away, thick, rng), _tone(rng, DIRT)
    return light + line * (dirt - light) if rng.random() < 0.5 else light * (1 + line * (dirt - 1))


def chipped(light: Light, away: np.ndarray, thick: float, rng: Rng) -> Light:
    """Crumbs of paint are off, along a hairline."""
    height, width = light.shape[:2]
    made = valley(light, away, 0.6 * thick, rng) if rng.random() < 0.7 else light
    crumb = max(2, int(rng.uniform(0.5, 3) * thick))
    cells = rng.random((height // crumb + 2, width // crumb + 2)).astype(np.float32)
    ragged = cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR)
    wide = thick * (0.4 + 1.6 * ragged) * (ragged > rng.uniform(0.15, 0.65))
    bare = np.clip(0.5 * wide - np.abs(away) + 0.5, 0, 1)[..., None] * rng.uniform(0.5, 1)
    return made + bare * (_tone(rng, BARE) - made)


FORMS = (valley, shine, relief, cored, worn, grimy, chipped)
