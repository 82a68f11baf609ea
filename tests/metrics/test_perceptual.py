"""The distance is a metric, measured in just noticeable differences, that sees small places."""

import numpy as np
import pytest

from metrics.perceptual import between, distance, features


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (3, 64, 64, 3)).astype(np.uint8)


def grey(value, size=(64, 64)):
    return np.full((*size, 3), value, np.uint8)


def test_it_is_a_metric(pictures):
    a, b, c = pictures
    assert distance(a, a) == 0
    assert distance(a, b) == distance(b, a) > 0
    assert distance(a, c) <= distance(a, b) + distance(b, c)


def test_a_just_noticeable_change_of_lightness_is_one():
    """Around these greys a step of 6 of 255 is 2.37 of L*; OpenCV's Lab is a table's."""
    assert distance(grey(120), grey(126)) == pytest.approx(2.37 / 2.3, rel=0.1)


def test_a_small_place_that_changes_is_seen():
    a, b = grey(128), grey(128)
    b[4:12, 50:58] = (255, 0, 0)
    local = distance(a, b)
    assert local > 10
    everywhere = grey(128)
    everywhere[:] = (255, 0, 0)
    assert local > 0.2 * distance(a, everywhere)
    assert local < distance(a, everywhere)


def test_fine_noise_weighs_less_than_an_area_of_equal_energy():
    rng = np.random.default_rng(1)
    signs = rng.choice([-20, 20], (64, 64, 1))
    noisy = np.clip(grey(128).astype(int) + signs, 0, 255).astype(np.uint8)
    assert distance(grey(128), noisy) < 0.9 * distance(grey(128), grey(148))


def test_it_grows_with_the_change():
    steps = [distance(grey(100), grey(100 + k)) for k in (1, 5, 20, 60)]
    assert steps == sorted(steps)


def test_large_pictures_are_compared_at_a_small_size():
    a, b = (np.kron(grey(v, (8, 8)), np.ones((64, 64, 1), np.uint8)) for v in (100, 160))
    assert distance(a, b) == pytest.approx(distance(grey(100), grey(160)), rel=0.01)
    assert features(a)[0].shape == (64, 64, 3)
    assert features(np.zeros((40, 100, 3), np.uint8))[0].shape == (26, 64, 3)


def test_pictures_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match="64, 64"):
        distance(grey(1), grey(1, (32, 32)))


def test_features_can_be_kept(pictures):
    a, b, _ = pictures
    assert between(features(a), features(b)) == distance(a, b)
