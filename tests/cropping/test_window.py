"""Laws of the one-dimensional search, on profiles made by hand."""

from typing import get_args

import numpy as np
import pytest

from cropping.config import Strategy
from cropping.window import STRATEGIES, best_offset, edge_height, kept_mass, square_at


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


@pytest.mark.parametrize("width, height", [(7, 20), (20, 7), (9, 9), (1, 50), (4001, 3000)])
def test_the_square_is_the_largest_and_inside_at_any_offset(width, height):
    for offset in (-3, 0, 0.5, 2.4, abs(width - height) / 2, abs(width - height) + 0.6):
        x0, y0, x1, y1 = square_at(width, height, offset).corners
        assert x1 - x0 == y1 - y0 == min(width, height)
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
