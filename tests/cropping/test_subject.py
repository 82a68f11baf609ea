"""Each cue against the case that its paper makes, and the blend on pictures without one."""

import cv2
import numpy as np
import pytest
from PIL import Image

from cropping import subject
from cropping.subject import CUES, saliency, to_working_lab


def lab_of(width: int, height: int, background, *rectangles) -> np.ndarray:
    """Lab of a plain picture with rectangles ((x0, y0, x1, y1), colour)."""
    rgb = np.full((height, width, 3), background, np.uint8)
    for (x0, y0, x1, y1), colour in rectangles:
        rgb[y0:y1, x0:x1] = colour
    return to_working_lab(rgb)


@pytest.mark.parametrize("cue", CUES.values(), ids=CUES.keys())
def test_every_cue_prefers_a_figure_on_a_plain_ground(cue):
    saliency_map = cue(lab_of(160, 120, (230, 225, 210), ((60, 40, 100, 80), (40, 70, 130))))
    assert saliency_map.shape == (120, 160)
    assert saliency_map.min() >= 0
    assert saliency_map[36:84, 56:104].mean() > 1.5 * saliency_map[:, :30].mean()


@pytest.mark.parametrize("cue", CUES.values(), ids=CUES.keys())
def test_no_cue_knows_left_from_right_or_up_from_down(cue):
    rng = np.random.default_rng(0)
    rgb = np.full((160, 224, 3), (220, 226, 200), np.uint8)
    for _ in range(60):
        x, y = int(rng.integers(0, 224)), int(rng.integers(0, 160))
        cv2.circle(rgb, (x, y), int(rng.integers(4, 20)), rng.integers(0, 256, 3).tolist(), -1)
    lab = to_working_lab(rgb)
    expected = cue(lab)
    for axis in (0, 1):
        mirrored = np.flip(cue(np.ascontiguousarray(np.flip(lab, axis))), axis)
        np.testing.assert_allclose(mirrored, expected, rtol=1e-2, atol=1e-3 * expected.max())


@pytest.mark.parametrize("cue", CUES.values(), ids=CUES.keys())
@pytest.mark.parametrize("shape", [(40, 60), (8, 224), (224, 8), (8, 8)])
def test_every_cue_survives_any_picture(cue, shape):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    flat = np.full((*shape, 3), 200, np.uint8)
    for rgb in (noise, flat):
        saliency_map = cue(to_working_lab(rgb))
        assert saliency_map.shape == shape
        assert np.isfinite(saliency_map).all()
        assert saliency_map.min() >= 0


def test_border_distance_forgives_one_border_that_the_figure_covers():
    lab = lab_of(100, 100, (255, 255, 255), ((30, 40, 70, 100), (20, 60, 160)))
    distance = subject.border_distance(lab)
    assert distance[60, 50] > 10 * distance[10, 10]


def test_surroundedness_is_for_what_the_border_does_not_reach():
    enclosed = lab_of(100, 100, (255, 255, 255), ((40, 40, 60, 60), (200, 30, 30)))
    reached = lab_of(100, 100, (255, 255, 255), ((40, 40, 60, 100), (200, 30, 30)))
    assert subject.surroundedness(enclosed)[50, 50] > 0.01
    assert subject.surroundedness(reached).max() == 0


def test_inside_a_margin_the_plate_itself_is_not_the_figure():
    page = lab_of(
        200,
        160,
        (250, 248, 240),
        ((30, 20, 170, 140), (120, 170, 90)),
        ((90, 60, 110, 80), (90, 40, 40)),
    )
    assert subject.content_bounds(page) == (20, 140, 30, 170)
    assert subject.surroundedness(page)[100, 50] > 0
    inside = subject.content_surroundedness(page)
    assert inside[100, 50] == 0
    assert inside[70, 100] > 0


def test_orientation_entropy_prefers_edges_in_every_direction():
    canvas = np.full((120, 240, 3), 235, np.uint8)
    for x in range(10, 100, 12):
        canvas[20:100, x : x + 6] = 90
    for radius in (10, 22, 34):
        cv2.circle(canvas, (180, 60), radius, (90, 90, 90), 6)
    entropy = subject.orientation_entropy(to_working_lab(canvas))
    assert entropy[40:80, 150:200].mean() > 1.5 * entropy[40:80, 30:80].mean()


def test_what_fills_a_row_or_column_is_a_gutter():
    cue = np.zeros((40, 60), np.float32)
    cue[:, 28:32] = 5
    cue[10:13, :] = 4
    cue[25:30, 45:52] = 3
    left = subject.without_gutters(cue)
    assert left[25:30, 45:52].min() == 3
    left[25:30, 45:52] = 0
    assert left[:, :28].max() == 0


def test_what_is_found_at_a_figures_rim_is_spread_over_the_figure_and_not_the_ground():
    lab = lab_of(120, 80, (170, 200, 140), ((30, 20, 80, 60), (40, 70, 150)))
    found = np.zeros((80, 120), np.float32)
    found[20:60, 30:34] = 1
    found[20:60, 26:30] = 1  # a cue is never sharp: as much of it lies on the ground
    spread = subject.spread_by_colour(found, lab)
    inside = np.zeros(found.shape, bool)
    inside[20:60, 30:80] = True
    np.testing.assert_allclose(spread[inside], 0.08, atol=1e-4)  # 4 of the figure's 50 columns
    assert spread[~inside].max() < 0.03


def test_colours_that_shade_into_each_other_share_what_is_found():
    lab = np.zeros((10, 60, 3), np.float32)
    lab[..., 0] = np.linspace(20, 80, 60)
    spread = subject.spread_by_colour(np.full((10, 60), 0.7, np.float32), lab)
    np.testing.assert_allclose(spread, 0.7, rtol=1e-5)
    found = np.zeros((10, 60), np.float32)
    found[:, 30] = 1
    spread = subject.spread_by_colour(found, lab)[0]
    assert spread[30] == spread.max()
    assert spread[[5, 55]].max() == 0
    assert spread[26:34].min() > 0


@pytest.mark.parametrize("size", [(300, 200), (1, 400), (400, 1), (1, 1), (3, 2), (1300, 900)])
def test_the_blend_is_a_distribution_over_any_picture(size):
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    for rgb in (noise, np.full_like(noise, 127)):
        blend = saliency(Image.fromarray(rgb))
        assert blend.sum() == pytest.approx(1, abs=1e-4)
        assert blend.min() >= 0
        assert max(blend.shape) <= subject.WORKING_SIDE


def test_a_picture_of_one_colour_has_no_preference():
    blend = saliency(Image.new("RGB", (90, 60), "tan"))
    assert np.ptp(blend) == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (9, 1), (3, 2), (5, 6), (224, 167), (150, 224)])
def test_gutters_are_told_by_the_quartiles_that_numpy_finds(shape):
    cue = (np.random.default_rng(3).random(shape) ** 3).astype(np.float32)
    rows, columns = (np.percentile(cue, 25, axis=axis, keepdims=True) for axis in (1, 0))
    expected = np.maximum(cue - np.maximum(rows, columns), 0)
    assert np.array_equal(subject.without_gutters(cue), expected)
