"""Curves with known transitions, smooth ones without any, and what must not change the answer."""

import itertools

import numpy as np
import pytest

from cfg import transitions
from cfg.transitions import (
    evenly,
    find_transitions,
    log_speed,
    settled_at,
    shared_transitions,
)

SHAPES = ("decay", "line", "hump", "wave", "step")


def middles_of(count: int, last: float = 20.0) -> np.ndarray:
    return (np.arange(count) + 0.5) * last / count


def smooth(kind: str, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Log speeds that develop over units of scale and have no transition."""
    if kind == "decay":
        return -np.log1p(x) * rng.uniform(0, 2)
    if kind == "line":
        return rng.uniform(-0.3, 0.3) * x
    if kind == "hump":
        centre, width = rng.uniform(-2, 22), rng.uniform(1.5, 6)
        return rng.uniform(-2, 2) * np.exp(-((x - centre) ** 2) / 2 / width**2)
    if kind == "wave":
        return rng.uniform(0, 1) * np.sin(2 * np.pi * x / rng.uniform(6, 20) + rng.uniform(0, 7))
    return rng.uniform(-2, 2) / (1 + np.exp(-(x - rng.uniform(0, 20)) / rng.uniform(1, 3)))


def rough(count: int, deviation: float, memory: float, rng: np.random.Generator) -> np.ndarray:
    """Noise whose neighbours are correlated, as those of real sweeps are."""
    noise = rng.normal(size=count) * deviation
    for k in range(1, count):
        noise[k] = memory * noise[k - 1] + noise[k] * np.sqrt(1 - memory**2)
    return noise


def bump(x: np.ndarray, at: float, factor: float = 6.0, width: float = 0.15) -> np.ndarray:
    return np.log(factor) * np.exp(-((x - at) ** 2) / 2 / max(width, x[1] - x[0]) ** 2)


CASES = list(itertools.product((40, 200, 1000), (0.0, 0.7), (0.0, 0.05, 0.15)))


def test_false_alarms_in_smooth_curves_are_rare():
    """Stated: in at most 1 of 50 smooth curves, with noise of up to 15%, correlated or not."""
    alarms, total = 0, 0
    for count, memory, deviation in CASES:
        x, rng = middles_of(count), np.random.default_rng(1)
        for kind in SHAPES * 12:
            curve = smooth(kind, x, rng) + rough(count, deviation, memory, rng)
            alarms, total = alarms + bool(find_transitions(x, curve)), total + 1
    assert alarms / total < 0.02


@pytest.mark.parametrize("deviation", [0.0, 0.05, 0.15])
def test_known_transitions_are_found_where_they_are(deviation):
    """A sixfold speed at one scale of a smooth curve: found in 19 of 20, and nothing beside it."""
    found, beside, total = 0, 0, 0
    for count, memory in itertools.product((81, 200, 1000), (0.0, 0.7)):
        x, rng = middles_of(count), np.random.default_rng(2)
        for kind in SHAPES * 6:
            at = rng.uniform(1, 19)
            curve = smooth(kind, x, rng) + rough(count, deviation, memory, rng) + bump(x, at)
            places = [t.at for t in find_transitions(x, curve)]
            found += any(abs(place - at) < 0.5 for place in places)
            beside += sum(abs(place - at) >= 1 for place in places)
            total += 1
    assert found / total > 0.95
    assert beside / total < 0.03


def test_several_transitions_and_their_extent():
    x = middles_of(1000)
    curve = -0.1 * x + bump(x, 1.0, 10) + bump(x, 4.0, 5) + bump(x, 9.0, 3)
    found = find_transitions(x, curve)
    assert [t.at for t in found] == pytest.approx([1, 4, 9], abs=0.05)
    assert [t.factor for t in found] == pytest.approx([10, 5, 3], rel=0.15)
    for transition in found:
        assert transition.low < transition.at < transition.high
        # half of the prominence of a Gaussian is reached 1.18 deviations beside its middle
        assert transition.high - transition.low == pytest.approx(2 * 1.18 * 0.15, rel=0.15)


def test_what_takes_long_is_no_transition():
    x = middles_of(400)
    assert find_transitions(x, bump(x, 8.0, factor=20, width=2.0)) == ()
    assert len(find_transitions(x, bump(x, 8.0, factor=20, width=2.0), widest=6.0)) == 1


def test_invariances():
    """Distances in another unit, a sweep run backwards, and a range that begins elsewhere."""
    x, rng = middles_of(400), np.random.default_rng(3)
    distances = np.exp(bump(x, 4.0) - 0.1 * x + rough(400, 0.05, 0.5, rng)) / 50
    expected = find_transitions(x, log_speed(distances))
    assert len(expected) == 1
    for unit in (255.0, 1e-4):
        (other,) = find_transitions(x, log_speed(distances * unit))
        assert other.at == expected[0].at
        assert other.factor == pytest.approx(expected[0].factor)
    (mirrored,) = find_transitions(x, log_speed(distances[::-1]))
    assert mirrored.at == pytest.approx(20 - expected[0].at)
    (moved,) = find_transitions(x + 3, log_speed(distances))
    assert moved.at == pytest.approx(expected[0].at + 3)


def test_nothing_comes_of_standing_still_or_of_too_few_pictures():
    x = middles_of(50)
    assert find_transitions(x, log_speed(np.zeros(50))) == ()
    assert find_transitions(x, log_speed(np.ones(50))) == ()
    assert find_transitions(x[:3], np.array([0.0, 9.0, 0.0])) == ()


def test_seeds_that_agree_share_a_transition_with_a_narrow_interval():
    x, rng = middles_of(200), np.random.default_rng(4)
    curves = np.stack(
        [bump(x, rng.normal(4, 0.1)) + rough(200, 0.1, 0.5, rng) - 0.1 * x for _ in range(16)]
    )
    (shared,) = shared_transitions(x, curves, draws=200)
    low, high = shared.interval
    assert low <= shared.transition.at <= high
    assert abs(shared.transition.at - 4) < 0.2
    assert high - low < 0.4
    assert shared.support > 0.95
    assert shared.seeds >= 14


def test_seeds_that_disagree_share_none_though_each_has_one():
    x, rng = middles_of(200), np.random.default_rng(5)
    places = np.linspace(2, 18, 16)
    curves = np.stack([bump(x, at) + rough(200, 0.05, 0.5, rng) for at in places])
    assert all(len(find_transitions(x, curve)) == 1 for curve in curves)
    assert shared_transitions(x, curves, draws=100) == ()


def test_a_few_seeds_that_shout_do_not_speak_for_all():
    """Three of sixteen seeds have it: whatever the mean shows, resampling does not support it."""
    x, rng = middles_of(200), np.random.default_rng(6)
    curves = np.stack(
        [bump(x, 4.0, 60 if k < 3 else 1) + rough(200, 0.05, 0.5, rng) for k in range(16)]
    )
    assert all(s.support < 0.95 and s.seeds == 3 for s in shared_transitions(x, curves, draws=200))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_seeds_say_nothing_about_others(count):
    x = middles_of(200)
    assert shared_transitions(x, np.stack([bump(x, 4.0)] * 16)[:count]) == ()


def test_uneven_scales_keep_what_was_travelled():
    scales = np.array([0, 1, 1.25, 1.5, 3, 4.0])
    distances = np.array([4, 1, 2, 6, 8.0])
    middles, even = evenly(scales, distances, 0.25)
    assert len(even) == 16
    assert even.sum() == pytest.approx(distances.sum())
    assert middles[:2] == pytest.approx([0.125, 0.375])
    assert even[:6] == pytest.approx([1, 1, 1, 1, 1, 2])
    assert even[-4:] == pytest.approx([2, 2, 2, 2])
    same = evenly(np.arange(5), np.arange(4), 1.0)
    assert same[1] == pytest.approx(np.arange(4))
    with pytest.raises(ValueError, match="rising"):
        evenly([0, 2, 1], [1, 1], 1.0)


def test_settling_is_a_number_or_said_not_to_be():
    scales = np.linspace(0, 20, 201)
    assert settled_at(scales, np.exp(-scales), 0.1) == pytest.approx(2.4)
    assert settled_at(scales, 20 - scales, 0.1) is None  # it walks on until the end
    assert settled_at(scales, np.zeros(201), 0.1) == 0
    late = np.where(np.arange(201) == 150, 1.0, 0.0)
    assert settled_at(scales, late, 0.1) == pytest.approx(15.1)
    assert settled_at([7.5], [0.0], 0.1) is None


def test_pelt_has_a_say(monkeypatch):
    """Lone values 4.7 deviations above a rough curve: peaks alone believe in more of them."""
    x = middles_of(200)

    def believed():
        rng, count = np.random.default_rng(7), 0
        for _ in range(100):
            curve = 0.3 * rng.normal(size=200)
            curve[rng.integers(20, 180)] = 0.3 * 4.7
            count += bool(find_transitions(x, curve))
        return count

    both = believed()
    monkeypatch.setattr(transitions, "_is_raised", lambda *_: True)
    assert both < 0.75 * believed()
