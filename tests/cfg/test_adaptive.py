"""Refinement on paths whose lengths are known: complete, sparing, and honest about jumps."""

from decimal import Decimal
from itertools import pairwise

import pytest

from cfg import adaptive

SCALES = [Decimal(2 * k) / 100 for k in range(1001)]


def refined(path, threshold=1.0):
    """What an adaptive sweep draws where the picture of index i is the number path(i)."""

    def difference(a, b):
        return abs(path(a) - path(b))

    chosen = adaptive.first_indices(SCALES)
    while more := adaptive.midpoints(chosen, difference, threshold):
        assert not set(more) & set(chosen)
        chosen = sorted({*chosen, *more})
    return chosen, adaptive.jumps(chosen, difference, threshold)


def test_nothing_changes_and_little_is_drawn():
    chosen, jumps = refined(lambda i: 0.0)
    assert jumps == []
    assert len(chosen) <= 1 + 1000 // adaptive.COARSEST + 3
    assert {0, 50, 1000} <= set(chosen)  # the scales 0, 1 and 20


@pytest.mark.parametrize(
    "path", [lambda i: i / 100, lambda i: (i / 100) ** 1.5, lambda i: 30 / (1 + i / 40)]
)
def test_no_skipped_picture_of_a_steady_path_is_further_than_the_threshold(path):
    chosen, jumps = refined(path)
    assert jumps == []
    assert len(chosen) < 130
    for a, b in pairwise(chosen):
        assert all(abs(path(i) - path(a)) <= 1.0 for i in range(a, b))


def test_a_jump_is_found_to_the_step_and_costs_little():
    chosen, jumps = refined(lambda i: 7.0 if i >= 333 else 0.0)
    assert jumps == [(332, 333, 7.0)]
    assert len(chosen) < 50


def test_a_lower_threshold_draws_more():
    counts = [len(refined(lambda i: i / 20, threshold)[0]) for threshold in (0.1, 0.5, 2.0)]
    assert counts[0] > counts[1] > counts[2]


def test_the_coarse_scales_suit_short_ranges_too():
    assert adaptive.first_indices(SCALES[:5]) == [0, 1, 2, 3, 4]
    assert adaptive.first_indices(SCALES[:1]) == [0]
    assert len(adaptive.first_indices(SCALES[:101])) <= 11
    without_landmarks = [Decimal(k) + Decimal("0.5") for k in range(65)]
    assert adaptive.first_indices(without_landmarks) == list(range(0, 65, 8))


@pytest.mark.parametrize("count", [1, 2, 9, 10, 101, 1001])
def test_coarse_first_is_every_index_once_and_always_spread_over_the_range(count):
    order = adaptive.coarse_first(SCALES[:count])
    assert sorted(order) == list(range(count))
    for drawn in range(len(adaptive.first_indices(SCALES[:count])), count):
        there = sorted(order[:drawn])
        widest = max(b - a for a, b in pairwise(there))
        assert widest * drawn <= 4 * count
