"""Laws of the one-dimensional search, on profiles made by hand."""

from typing import get_args

import numpy as np
import pytest

from cropping.config import Strategy
from cropping.window import STRATEGIES, best_offset, edge_height, fit, kept_mass, largest, window_at


def lump(n: int, start: int, stop: int) -> np.ndarray:
    profile = np.zeros(n)
    profile[start:stop] = 1
    return profile


def test_a_strategy_is_known_to_the_configuration_and_to_the_code():
    assert set(get_args(Strategy)) == set(STRATEGIES)


@pytest.mark.parametrize("length", [1.0, 7.5, 20.0])
def test_a_uniform_profile_keeps_the_share_that_the_window_covers(length):
    offsets = np.linspace(0, 20 - length, 9)
    np.testing.assert_allclose(kept_mass(np.ones(20), offsets, length), length / 20)


@pytest.mark.parametrize("top_weight", [0.0, 0.25])
@pytest.mark.parametrize("start", range(0, 71, 5))
def test_what_fits_is_kept_whole_wherever_it_is(start, top_weight):
    offset = best_offset(lump(100, start, start + 30), 50, top_weight)
    assert 0 <= offset <= 50
    assert offset <= start
    assert start + 30 <= offset + 50


def test_the_mirrored_profile_has_the_mirrored_window():
    rng = np.random.default_rng(0)
    for _ in range(50):
        profile = rng.random(60) ** 4
        there, back = best_offset(profile, 37.25), best_offset(profile[::-1], 37.25)
        assert there + 37.25 == pytest.approx(60 - back)


def test_nothing_to_choose_between_means_the_middle():
    assert best_offset(np.ones(80), 80) == 0
    assert best_offset(np.zeros(81), 40) == pytest.approx(20.5)


def test_the_top_weight_raises_the_window_and_never_lowers_it():
    rng = np.random.default_rng(1)
    for _ in range(50):
        profile = rng.random(60)
        offsets = [best_offset(profile, 40, weight) for weight in (0, 0.1, 0.3, 3)]
        assert offsets == sorted(offsets, reverse=True)
        assert offsets[-1] == 0


def test_only_ends_inside_the_picture_cut():
    heights = edge_height(np.ones(10), np.array([0.0, 2.0, 4.0]), 6.0)
    np.testing.assert_allclose(heights, [1, 2, 1])


@pytest.mark.parametrize("picture", [(7, 20), (20, 7), (9, 9), (1, 50), (4001, 3000)])
@pytest.mark.parametrize("aspect", [1.0, 0.5, 1.75])
def test_the_window_is_the_largest_of_its_shape_and_inside_at_any_offset(picture, aspect):
    width, height = size = largest(picture, aspect)
    assert width == picture[0] or height == picture[1]
    assert abs(width - aspect * height) <= 0.5 + aspect / 2
    for offset in (-3, 0, 0.5, 2.4, 10_000):
        box = window_at(picture, size, offset)
        assert (box.width, box.height) == size
        assert box.inside(picture) == box


def test_a_window_of_the_pictures_own_shape_loses_nothing():
    window = fit(np.ones((30, 40)), (400, 300), aspect=4 / 3)
    assert window.box.corners == (0, 0, 400, 300)
    assert window.lost_mass == 0
