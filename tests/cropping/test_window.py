"""Laws of the one-dimensional search, on profiles made by hand."""

from typing import get_args

import numpy as np
import pytest

from cropping.config import Strategy
from cropping.window import (
    EDGE_WEIGHT,
    STRATEGIES,
    best_offset,
    cut_through,
    fit,
    focal,
    kept_mass,
    largest,
    ridge,
    window_at,
)


def best(profile: np.ndarray, length: float, top_weight: float = 0.0) -> float:
    """Of a picture with this profile and nothing across."""
    cuts = profile / max(float(profile.max()), 1e-12)
    return best_offset(profile, cuts, length, (EDGE_WEIGHT, EDGE_WEIGHT), top_weight)


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
    offset = best(lump(100, start, start + 30), 50, top_weight)
    assert 0 <= offset <= 50
    assert offset <= start
    assert start + 30 <= offset + 50


def test_the_mirrored_profile_has_the_mirrored_window():
    rng = np.random.default_rng(0)
    for _ in range(50):
        profile = rng.random(60) ** 4
        there, back = best(profile, 37.25), best(profile[::-1], 37.25)
        assert there + 37.25 == pytest.approx(60 - back)


def test_nothing_to_choose_between_means_the_middle():
    assert best(np.ones(80), 80) == 0
    assert best(np.zeros(81), 40) == pytest.approx(20.5)


def test_the_top_weight_raises_the_window_and_never_lowers_it():
    rng = np.random.default_rng(1)
    for _ in range(50):
        profile = rng.random(60)
        offsets = [best(profile, 40, weight) for weight in (0, 0.1, 0.3, 3)]
        assert offsets == sorted(offsets, reverse=True)
        assert offsets[-1] == 0


def test_only_ends_inside_the_picture_cut():
    np.testing.assert_allclose(cut_through(np.ones(10), np.array([0.0, 2, 4, 10])), [0, 1, 1, 0])


def test_a_cut_through_a_thin_neck_counts_although_there_is_little_on_its_line():
    lines = np.full((60, 40), 1e-3)
    lines[5:15, 10:30] = 1  # a head,
    lines[15:25, 18:20] = 1  # its neck
    lines[25:55, 5:35] = 1  # and the body
    cuts = ridge(lines)
    assert cuts.max() == 1
    assert cuts[2] < 0.5 < cuts[20] < cuts[10] < cuts[40]
    assert lines.sum(axis=1)[20] < 0.1 * lines.sum(axis=1).max()


def test_of_two_cuts_nearly_alike_the_upper_is_not_made():
    """A figure longer than the window, with a little more of what matters at its lower end."""
    lines = np.zeros((100, 20))
    lines[22:78, 8:12] = np.linspace(0.95, 1, 56)[:, None]
    assert focal(lines, 50, True) < 22
    assert focal(lines, 50, False) > 27


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
