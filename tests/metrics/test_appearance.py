"""Saturation, contrast, clipping and sharpness: closed forms and what must not change them."""

import cv2
import numpy as np
import pytest

from metrics.appearance import appearance, root_mean_square


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(1, 255, (24, 32, 3)).astype(np.uint8)


def even(*colour):
    return np.broadcast_to(np.array(colour, np.uint8), (16, 16, 3)).copy()


@pytest.mark.parametrize(
    ("colour", "saturation", "clipped"),
    [((128, 128, 128), 0, 0), ((255, 0, 0), 1, 1), ((200, 100, 50), 150 / 255, 0),
     ((0, 10, 20), 20 / 255, 1 / 3)],
)  # fmt: skip
def test_an_even_colour(colour, saturation, clipped):
    measured = appearance(even(*colour))
    assert measured.saturation == pytest.approx(saturation)
    assert measured.clipped == pytest.approx(clipped)
    assert measured.contrast == pytest.approx(0, abs=1e-12)
    assert measured.sharpness == pytest.approx(0, abs=1e-12)


def test_half_black_and_half_white_has_the_largest_contrast():
    picture = even(0, 0, 0)
    picture[:, 8:] = 255
    assert appearance(picture).contrast == pytest.approx(0.5)
    # the only edge is crossed by two of the sixteen columns, each with half of the step
    assert appearance(picture).sharpness == pytest.approx(2 / 16 * 0.5)


def test_a_ramp_is_as_sharp_as_it_is_steep():
    ramp = np.repeat(np.arange(0, 128, 4, dtype=np.uint8)[None, :, None], 3, axis=2).repeat(9, 0)
    inner = appearance(ramp[:, 1:-1]).sharpness
    assert inner == pytest.approx(4 / 255, rel=0.05)


def test_turning_and_mirroring_change_nothing(noise):
    expected = appearance(noise)
    for other in (noise[::-1], noise[:, ::-1], np.rot90(noise)):
        measured = appearance(np.ascontiguousarray(other))
        assert measured.saturation == pytest.approx(expected.saturation)
        assert measured.contrast == pytest.approx(expected.contrast)
        assert measured.clipped == expected.clipped
        assert measured.sharpness == pytest.approx(expected.sharpness)


def test_the_order_of_the_channels_leaves_colourfulness_and_clipping(noise):
    noise[:4] = 255
    swapped = np.ascontiguousarray(noise[..., ::-1])
    assert appearance(swapped).saturation == pytest.approx(appearance(noise).saturation)
    assert appearance(swapped).clipped == appearance(noise).clipped


def test_blur_lowers_sharpness_and_half_the_range_halves_it(noise):
    sharp = appearance(noise).sharpness
    values = [appearance(cv2.GaussianBlur(noise, (0, 0), s)).sharpness for s in (0.7, 1.4, 2.8)]
    assert sharp > values[0] > values[1] > values[2]
    even_values = noise // 2 * 2
    half = appearance(even_values // 2)
    assert half.sharpness == pytest.approx(appearance(even_values).sharpness / 2)
    assert half.contrast == pytest.approx(appearance(even_values).contrast / 2)


def test_distance_by_values_is_a_metric_with_known_ends(noise):
    black, white = even(0, 0, 0), even(255, 255, 255)
    assert root_mean_square(black, white) == 1
    assert root_mean_square(noise, noise) == 0
    other, third = noise[::-1], noise[:, ::-1]
    assert root_mean_square(noise, other) == root_mean_square(other, noise)
    around = root_mean_square(noise, other) + root_mean_square(other, third)
    assert root_mean_square(noise, third) <= around
