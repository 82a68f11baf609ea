"""What resembles a fold: straight or nearly straight lines across a page that belong to it."""

from collections.abc import Callable

import cv2
import numpy as np
from scan_pages import Light
from scene import Rng

FINE = 16  # of a px: what places are drawn to
SHIFT = 4  # bits of that


def colour(rng: Rng, low: float = 0.05, high: float = 0.95) -> list[float]:
    return rng.uniform(low, high, 3).tolist()


def stroke(light: Light, start, end, colour, thick: int) -> None:
    ends = [tuple((np.array(one) * FINE).astype(int).tolist()) for one in (start, end)]
    cv2.line(light, ends[0], ends[1], colour, thick, cv2.LINE_AA, SHIFT)


def _some_line(light: Light, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """How far along and beside a straight line across the page every pixel is, px."""
    height, width = light.shape[:2]
    turn = rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)]) + rng.normal(0, 0.02)
    x0, y0 = rng.uniform(0.08, 0.92, 2) * (width, height)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    return (x - x0) * cos + (y - y0) * sin, (y - y0) * cos - (x - x0) * sin


def _drawn(light: Light, away: np.ndarray, thick: float, cover: float, rng: Rng) -> Light:
    line = cover * np.clip(0.5 * thick - np.abs(away) + 0.5, 0, 1)[..., None]
    return light + line * (np.array(colour(rng, 0, rng.choice([0.5, 1])), np.float32) - light)


def rope(light: Light, rng: Rng) -> Light:
    """A taut rope or wire, that sags a little."""
    reach, away = _some_line(light, rng)
    sag = rng.uniform(-0.02, 0.02) * reach**2 / max(light.shape)
    return _drawn(light, away + sag, rng.uniform(1, 4), rng.uniform(0.7, 1), rng)


def thread(light: Light, rng: Rng) -> Light:
    """A hand-drawn line across: it wanders, but lies on what it crosses as ink does."""
    reach, away = _some_line(light, rng)
    knots = int(rng.integers(8, 60))
    way = np.linspace(float(reach.min()), float(reach.max()), knots)
    wander = rng.normal(0, rng.uniform(0.3, 4), knots)
    away = away - np.interp(reach, way, wander).astype(np.float32)
    return _drawn(light, away, rng.uniform(1, 4), rng.uniform(0.7, 1), rng)


def pasted(light: Light, rng: Rng) -> Light:
    """A sheet laid over the lower part, another light on it, its edge drawn or not."""
    _, away = _some_line(light, rng)
    below = np.clip(away + 0.5, 0, 1)[..., None]
    made = light * (1 - below) + below * (
        light * np.float32(rng.uniform(0.5, 1.3)) + rng.uniform(-0.1, 0.2)
    )
    return _drawn(made, away, 2, 1, rng) if rng.random() < 0.3 else made


def dashed(light: Light, rng: Rng) -> Light:
    """A line of dashes or dots: a seam, a border, a way on a map."""
    reach, away = _some_line(light, rng)
    pitch, on = rng.uniform(4, 40), rng.uniform(0.3, 0.85)
    made = _drawn(light, away, rng.uniform(1, 4), 1, rng)
    return np.where(((reach / pitch) % 1 < on)[..., None], made, light)


def double(light: Light, rng: Rng) -> Light:
    """Two or three lines close together: a rule, a rail, an edging."""
    _, away = _some_line(light, rng)
    apart = rng.uniform(3, 14)
    for k in range(int(rng.integers(2, 4))):
        light = _drawn(light, away - k * apart, rng.uniform(1, 3), 1, rng)
    return light


def rain(light: Light, rng: Rng) -> Light:
    """Many short strokes, all one way."""
    height, width = light.shape[:2]
    turn, tone = rng.uniform(0, np.pi), colour(rng, 0.2, 1)
    half = rng.uniform(0.01, 0.08) * height * np.array([np.cos(turn), np.sin(turn)])
    for at in rng.uniform(0, 1, (int(rng.integers(30, 200)), 2)) * (width, height):
        stroke(light, at - half, at + half, tone, 1)
    return light


RESEMBLING: tuple[Callable[[Light, Rng], Light], ...] = (
    rope, thread, pasted, dashed, double, rain,
)  # fmt: skip
