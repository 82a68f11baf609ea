"""The whole search on drawn pictures whose subject's box is known exactly."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from cropping.subject import saliency
from cropping.window import best_square, fit

SIZES = [(600, 300), (300, 600), (480, 360), (360, 480)]


def creature(image: Image.Image, x: float, y: float, side: float) -> tuple[float, ...]:
    """Draw a two-eared animal of `side` pixels at x, y; returns its box."""
    draw = ImageDraw.Draw(image)
    fur, line = (150, 96, 60), (40, 28, 24)
    for ear in (0.2, 0.38):
        draw.ellipse(_at(x, y, side, ear, 0, ear + 0.1, 0.3), fur, line, 2)
    draw.ellipse(_at(x, y, side, 0.12, 0.4, 0.9, 1), fur, line, 2)
    draw.ellipse(_at(x, y, side, 0.1, 0.2, 0.6, 0.55), (190, 140, 100), line, 2)
    draw.ellipse(_at(x, y, side, 0.25, 0.3, 0.31, 0.36), line)
    return _at(x, y, side, 0.1, 0, 0.9, 1)


def _at(x, y, side, x0, y0, x1, y1):
    return x + side * x0, y + side * y0, x + side * x1, y + side * y1


def is_inside(box, square, slack=1.5) -> bool:
    x0, y0, x1, y1 = square
    return (
        box[0] >= x0 - slack
        and box[1] >= y0 - slack
        and box[2] <= x1 + slack
        and box[3] <= y1 + slack
    )


def foliage(width: int, height: int, seed: int) -> Image.Image:
    """A busy ground: leaves of one green in every shade and direction."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (width, height), (190, 205, 150))
    draw = ImageDraw.Draw(image)
    for _ in range(width * height // 500):
        x, y, a, b = (*rng.uniform((0, 0), (width, height)), *rng.uniform(4, 12, 2))
        shade = tuple(int(v) for v in np.array([165, 190, 120]) + rng.normal(0, 12, 3))
        draw.ellipse((x - a, y - b, x + a, y + b), shade, tuple(int(v * 0.8) for v in shade))
    return image


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("share", [0.25, 0.6, 0.9])
def test_on_a_plain_ground_the_subject_is_kept_wherever_it_stands(size, share):
    side = share * min(size)
    for step in np.linspace(0, 1, 5):
        image = Image.new("RGB", size, (238, 232, 214))
        box = creature(image, step * (size[0] - side), (1 - step) * (size[1] - side), side)
        assert is_inside(box, best_square(image, 64)), step


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("step", [0.0, 0.3, 1.0])
def test_on_a_busy_ground_too(size, step):
    image = foliage(*size, seed=3)
    side = 0.5 * min(size)
    box = creature(image, step * (size[0] - side), step * (size[1] - side), side)
    assert is_inside(box, best_square(image, 64))


def test_centre_would_have_cut_it():
    image = Image.new("RGB", (600, 300), "white")
    box = creature(image, 10, 60, 180)
    cut, kept = (fit(saliency(image), image.size, strategy=s) for s in ("centre", "focal"))
    assert not is_inside(box, cut.box.corners)
    assert cut.box.corners == (150, 0, 450, 300)
    assert cut.lost_mass > 0.3
    assert kept.lost_mass < 0.01


def test_the_mirrored_picture_has_the_mirrored_square():
    for seed, x in enumerate((0, 210, 330)):
        image = foliage(600, 400, seed)
        creature(image, x, 120, 200)
        x0, _, x1, _ = best_square(image, 64)
        mirrored = best_square(ImageOps.mirror(image), 64)
        assert mirrored == pytest.approx((600 - x1, 0, 600 - x0, 400), abs=1)


def test_a_portrait_picture_mirrored_keeps_its_square():
    image = foliage(400, 600, 1)
    creature(image, 30, 330, 200)
    assert best_square(ImageOps.mirror(image), 64) == pytest.approx(best_square(image, 64), abs=1)


@pytest.mark.parametrize("x", [0, 150, 400])
def test_twice_as_many_pixels_have_the_same_square(x):
    image = foliage(600, 400, 2)
    creature(image, x, 100, 200)
    double = image.resize((1200, 800), Image.Resampling.BICUBIC)
    small, large = best_square(image, 64), best_square(double, 64)
    assert large == pytest.approx([2 * corner for corner in small], abs=4)  # a cell is 5 px here


def test_a_page_margin_around_the_picture_changes_nothing_that_matters():
    plate = foliage(500, 300, 4)
    box = creature(plate, 300, 60, 180)
    page = ImageOps.expand(plate, 40, (252, 250, 244))
    moved = [corner + 40 for corner in box]
    assert is_inside(moved, best_square(page, 64))


def test_of_a_tall_figure_the_head_is_kept():
    """Where the whole does not fit, feet go before heads."""
    image = Image.new("RGB", (240, 480), (236, 230, 214))
    draw = ImageDraw.Draw(image)
    draw.rectangle((95, 130, 145, 460), (60, 80, 140), (30, 30, 30), 2)
    draw.ellipse((80, 40, 160, 130), (225, 180, 150), (30, 30, 30), 2)
    assert best_square(image, 64)[1] <= 40


def test_the_largest_square_is_never_smaller_than_the_short_side():
    for size in [(1, 300), (300, 1), (5, 4), (256, 256)]:
        x0, y0, x1, y1 = best_square(Image.new("RGB", size, "white"), 512)
        assert x1 - x0 == y1 - y0 == min(size)
