"""Printed text is found on pages, and nothing is taken for it that a picture is made of."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from cropping.subject import saliency
from cropping.text import text_weight
from lab.images import font

WORDS = "once there were four little rabbits whose names were said aloud beside the river " * 40


def page(size=(900, 600), ink="#333", paper="#f6f0e0", points: float = 18) -> Image.Image:
    """A page whose left half is text."""
    image = Image.new("RGB", size, paper)
    draw, letters = ImageDraw.Draw(image), font(points)
    per_line = int(size[0] * 0.45 / (points * 0.5))
    for line in range(int((size[1] - 60) / (points * 1.4))):
        text = WORDS[line * per_line : (line + 1) * per_line]
        draw.text((30, 30 + line * points * 1.4), text, fill=ink, font=letters)
    return image


@pytest.mark.parametrize("size, points", [((900, 600), 18), ((2400, 1600), 44), ((700, 1000), 20)])
@pytest.mark.parametrize("ink", ["#333", "#8a6a50"])
def test_a_block_of_text_counts_a_tenth(size, points, ink):
    image = page(size, ink, points=points)
    weight = text_weight(np.asarray(image), (60, 90))
    assert np.median(weight[10:50, 10:35]) == pytest.approx(0.1, abs=0.02)
    assert weight[:, 70:].min() > 0.95


def test_the_subject_wins_against_text():
    image = page()
    ImageDraw.Draw(image).ellipse((640, 330, 760, 450), (190, 170, 150), (120, 100, 90), 2)
    blend = saliency(image)
    assert blend[:, : blend.shape[1] // 2].sum() < 0.25


def test_leaves_stripes_and_noise_are_no_text():
    rng = np.random.default_rng(0)
    leaves = Image.new("RGB", (600, 400), (170, 190, 130))
    draw = ImageDraw.Draw(leaves)
    for _ in range(900):
        x, y, a, b = (*rng.uniform((0, 0), (600, 400)), *rng.uniform(2, 9, 2))
        draw.ellipse((x - a, y - b, x + a, y + b), tuple(rng.integers(90, 190, 3).tolist()))
    noise = rng.integers(0, 256, (400, 600, 3), np.uint8)
    stripes = np.repeat(np.where(np.arange(400) % 16 < 8, 60, 200), 600 * 3)
    stripes = stripes.reshape(400, 600, 3).astype(np.uint8)
    flat = np.full((400, 600, 3), 200, np.uint8)
    for rgb in (np.asarray(leaves), noise, stripes, flat, noise[:1], noise[:, :1]):
        assert (text_weight(rgb, (40, 60)) > 0.99).mean() > 0.97
