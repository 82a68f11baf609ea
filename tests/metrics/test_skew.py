"""Distributions of judged pictures against closed forms."""

import math

import numpy as np
import pytest

from metrics.skew import change, decided, distribution, kl_divergence

VALUES = ("red", "green", "blue")


def answers(*counts):
    return [value for value, n in zip(VALUES, counts, strict=True) for _ in range(n)]


def test_an_even_set_has_no_divergence_and_one_value_has_log_k():
    even, one = distribution(answers(20, 20, 20), VALUES), distribution(answers(0, 60, 0), VALUES)
    assert even.kl == pytest.approx(0) and even.farthest == pytest.approx(0)
    assert one.kl == pytest.approx(math.log(3)) and one.farthest == pytest.approx(2 / 3)
    assert one.most == ("green", 1.0) and one.intervals[1] == (1.0, 1.0)
    assert one.kl_interval == pytest.approx((math.log(3), math.log(3)))


def test_divergence_is_that_of_kullback_and_leibler():
    assert kl_divergence(np.array([0.5, 0.5]), np.array([0.25, 0.75])) == pytest.approx(
        0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    )
    assert kl_divergence(np.array([1.0, 0.0]), np.array([0.5, 0.5])) == pytest.approx(math.log(2))


def test_undecided_pictures_are_counted_and_belong_to_no_value():
    found = distribution([*answers(6, 2, 2), *[None] * 10], VALUES)
    assert found.shares == pytest.approx((0.6, 0.2, 0.2))
    assert (found.undecided, found.undecided_share, found.pictures) == (10, 0.5, 20)


def test_the_divergence_from_what_is_wanted_may_be_nought_where_the_uniform_one_is_not():
    found = distribution(answers(30, 10, 20), VALUES, {"red": 3, "green": 1, "blue": 2})
    assert found.kl_wanted == pytest.approx(0) and found.kl > 0.05


def test_the_floor_is_what_fair_draws_read_in_the_mean():
    """E[KL] of n draws of K values is (K - 1) / 2n to first order (Miller 1955)."""
    rng = np.random.default_rng(0)
    even = np.full(3, 1 / 3)
    read = [kl_divergence(rng.multinomial(200, even) / 200, even) for _ in range(4000)]
    floor = distribution(answers(100, 50, 50), VALUES).kl_floor
    assert np.mean(read) == pytest.approx(floor, rel=0.05)


def test_the_intervals_hold_the_truth_as_often_as_they_say():
    truth, rng, hits = np.array([0.6, 0.3, 0.1]), np.random.default_rng(1), 0
    for k in range(200):
        drawn = rng.choice(3, 150, p=truth)
        low, high = distribution([VALUES[i] for i in drawn], VALUES, seed=k).intervals[0]
        hits += low <= 0.6 <= high
    assert 0.90 <= hits / 200 <= 0.99


def test_the_interval_of_a_distance_holds_it_also_near_even():
    """Resampling makes an even set less even: the plain interval would begin above nought."""
    even, near = (
        distribution(answers(20, 20, 20), VALUES),
        distribution(answers(22, 20, 18), VALUES),
    )
    for one in (even, near):
        assert one.kl_interval[0] <= one.kl <= one.kl_interval[1]
        assert one.farthest_interval[0] <= one.farthest <= one.farthest_interval[1]
    assert even.kl_interval[0] == 0


def test_where_nothing_could_be_told_there_are_no_shares():
    found = distribution([None] * 4, VALUES)
    assert (
        np.isnan(found.shares).all()
        and np.isnan([found.kl, found.kl_floor, *found.kl_interval]).all()
    )
    assert found.undecided == found.pictures == 4


@pytest.mark.parametrize("wrong", [{"red": 1.0}, {"red": 1, "green": 0, "blue": 1}])
def test_a_wanted_share_for_each_value_is_asked_for(wrong):
    with pytest.raises(ValueError, match="wanted"):
        distribution(answers(1, 1, 1), VALUES, wrong)
    with pytest.raises(ValueError):
        distribution(["violet"], VALUES)


def test_a_value_counts_if_it_is_clearly_likelier_and_asked_for():
    chances = np.array([[0.6, 0.3, 0.1], [0.5, 0.35, 0.15], [0.1, 0.2, 0.7]])
    names = ("red", "green", "violet")
    assert decided(chances, names, ("red", "green"), 0.2) == ["red", None, None]
    assert decided(chances, names, names, 0.0) == ["red", "red", "violet"]


def test_a_change_is_of_pairs():
    found = change([0.0, 1.0, 1.0], [1.0, 1.0, 1.0])
    assert found.difference == pytest.approx(1 / 3) and found.pairs == 3
    assert change([1.0, 2.0], [1.5, 2.5]).interval == pytest.approx((0.5, 0.5))
    with pytest.raises(ValueError, match="as many"):
        change([1.0], [1.0, 2.0])
