"""Laws of the style distance: zero to itself, one to a stranger, blind to order and mirroring."""

import numpy as np
import pytest

from metrics.statistics import bootstrap_interval
from metrics.style import hellinger, style_distance, style_floor


def plain(colour, side=64):
    return np.full((side, side, 3), colour, dtype=np.uint8)


def checks(cell, side=64):
    rows, columns = np.mgrid[0:side, 0:side] // cell
    return np.where(((rows + columns) % 2)[..., None], 255, 0).repeat(3, -1).astype(np.uint8)


def test_hellinger_against_its_closed_form():
    p, q = np.array([0.36, 0.64]), np.array([0.64, 0.36])
    assert hellinger(p, q) == pytest.approx(np.sqrt(1 - 2 * 0.48))
    assert hellinger(p, p) == pytest.approx(0, abs=1e-7)
    assert hellinger(np.array([1.0, 0]), np.array([0, 1.0])) == 1


def test_a_picture_is_at_distance_zero_from_itself():
    picture = checks(8)
    distance = style_distance([picture], [picture])
    assert distance.total[0] == pytest.approx(0, abs=1e-6)


def test_palette_and_texture_are_told_apart():
    """Two plain colours differ in palette alone; two grids of the same greys in texture alone."""
    colours = style_distance([plain((230, 20, 140))], [plain((16, 130, 100))])
    assert colours.palette[0] > 0.9 and colours.texture[0] < 0.01
    grids = style_distance([checks(32)], [checks(4)])
    assert grids.texture[0] > 0.3 and grids.palette[0] < 0.25


def test_mirroring_and_order_change_nothing():
    rng = np.random.default_rng(0)
    pictures = list(rng.integers(0, 255, (4, 64, 64, 3)).astype(np.uint8))
    reference = [checks(8), checks(16)]
    straight = style_distance(pictures, reference)
    backwards = style_distance(pictures[::-1], reference[::-1])
    np.testing.assert_allclose(straight.total, backwards.total[::-1])
    mirrored = style_distance([p[:, ::-1] for p in pictures], reference)
    np.testing.assert_allclose(straight.palette, mirrored.palette, atol=1e-6)


def test_the_floor_is_below_the_distance_of_strangers():
    style = [checks(8), checks(9), checks(7)]
    strangers = style_distance([plain((200, 40, 40)), plain((40, 40, 200))], style)
    assert style_floor(style).total.mean() < strangers.total.mean() / 2


def test_nothing_to_compare_is_an_error():
    with pytest.raises(ValueError, match="at least one"):
        style_distance([], [plain((0, 0, 0))])
    with pytest.raises(ValueError, match="at least two"):
        style_floor([plain((0, 0, 0))])


def test_the_bootstrap_interval_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(1)
    hits = 0
    for trial in range(200):
        low, high = bootstrap_interval(rng.normal(3.0, 1.0, 40), draws=400, seed=trial)
        hits += low <= 3.0 <= high
    assert 175 <= hits <= 199  # 95% of 200 is 190; 4 standard deviations are 12
