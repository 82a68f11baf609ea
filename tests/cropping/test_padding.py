"""What is drawn of a window, and what stands where there is no picture."""

import numpy as np
import pytest
from PIL import Image

from cropping.padding import FILLS, render
from cropping.window import Box, Window

RNG = np.random.default_rng(0)
PICTURE = Image.fromarray(RNG.integers(0, 256, (60, 120, 3), np.uint8))


def window(*corners: int) -> Window:
    return Window(Box(*corners), 0.0, "")


@pytest.mark.parametrize("fill", FILLS)
def test_inside_the_picture_nothing_is_padded(fill):
    crop, mask = render(PICTURE, window(10, 0, 70, 60), 60, fill)
    assert mask is None
    np.testing.assert_array_equal(np.asarray(crop), np.asarray(PICTURE)[:, 10:70])


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize(
    "corners", [(0, -30, 120, 90), (0, -61, 120, 59), (-200, 0, 120, 60), (-20, -20, 140, 140)]
)
def test_the_picture_stands_where_it_was_and_the_mask_says_where(fill, corners):
    box = Box(*corners)
    crop, mask = render(PICTURE, window(*corners), (box.width, box.height), fill)
    assert mask is not None
    assert crop.size == mask.size == (box.width, box.height)
    expected = np.zeros((box.height, box.width), np.uint8)
    inside = box.inside(PICTURE.size)
    at = (
        slice(inside.y0 - box.y0, inside.y1 - box.y0),
        slice(inside.x0 - box.x0, inside.x1 - box.x0),
    )
    expected[at] = 255
    np.testing.assert_array_equal(np.asarray(mask), expected)
    source = np.asarray(PICTURE)[inside.y0 : inside.y1, inside.x0 : inside.x1]
    np.testing.assert_array_equal(np.asarray(crop)[at], source)


@pytest.mark.parametrize("fill", FILLS)
def test_paper_goes_on_as_paper(fill):
    paper = Image.new("RGB", (40, 90), (246, 238, 220))
    crop, mask = render(paper, window(-25, 0, 65, 90), 64, fill)
    assert mask is not None
    assert np.ptp(np.asarray(crop).reshape(-1, 3).astype(int), axis=0).max() <= 1
    share = np.asarray(mask).mean() / 255
    assert share == pytest.approx(40 / 90, abs=1 / 64)


def test_each_edge_has_its_own_colour():
    picture = Image.new("RGB", (40, 40), "red")
    picture.paste("blue", (20, 0, 40, 40))
    crop, _ = render(picture, window(-20, 0, 60, 40), (80, 40), "edge")
    colours = np.asarray(crop)
    assert (colours[:, :40] == (255, 0, 0)).all()
    assert (colours[:, 40:] == (0, 0, 255)).all()


def test_a_mirror_mirrors():
    crop, _ = render(PICTURE, window(-120, 0, 120, 60), (240, 60), "mirror")
    pixels = np.asarray(crop)
    np.testing.assert_array_equal(pixels[:, :120], pixels[:, :119:-1])


@pytest.mark.parametrize("picture", [(1, 300), (300, 1)])
def test_a_line_of_pixels_does_not_vanish(picture):
    line = Image.new("RGB", picture, "green")
    long = max(picture)
    x, y = (long - picture[0]) // 2, (long - picture[1]) // 2
    crop, mask = render(line, window(-x, -y, long - x, long - y), 16)
    assert crop.size == (16, 16)
    assert mask is not None
    assert np.asarray(mask).any()
