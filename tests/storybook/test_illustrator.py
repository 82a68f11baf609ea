"""The drawn world: seeded, size-independent, and with the words and gaps that it documents."""

import re

import numpy as np
import pytest

from storybook import world
from storybook.illustrator import draw, held_out_drawing, training_drawing
from storybook.styles import STYLES
from storybook.subjects import PLURALS, SUBJECTS
from storybook.world import Scene


def test_a_picture_depends_on_seed_and_index_alone():
    later = [training_drawing(3, k) for k in (5, 4)]
    again = [training_drawing(3, k) for k in (4, 5)]
    assert np.array_equal(np.asarray(later[0].image), np.asarray(again[1].image))
    assert later[1].caption == again[0].caption
    assert not np.array_equal(np.asarray(later[0].image), np.asarray(again[0].image))


@pytest.mark.parametrize("style", STYLES)
def test_a_style_looks_alike_at_every_size(style):
    scene = Scene("house", "red", setting="meadow", time="day", style=style)
    small = draw(scene, np.random.default_rng(2), 64).image
    large = draw(scene, np.random.default_rng(2), 256).image.resize((64, 64))
    difference = np.abs(np.asarray(small, float) - np.asarray(large, float)).mean()
    assert difference < 22, f"{style}: {difference:.1f} of 255"


@pytest.mark.parametrize("subject", SUBJECTS)
def test_subjects_fill_their_square_and_their_boxes_are_true(subject):
    scene = Scene(subject, "blue", pattern="squares", palette=("white",), outline="no outlines")
    drawing = draw(scene, np.random.default_rng(0), (300, 200))
    (x0, y0, x1, y1) = drawing.boxes[0]
    assert 0 <= x0 < x1 <= 300 and 0 <= y0 < y1 <= 200 and y1 - y0 > 60
    picture = np.asarray(drawing.image, float)
    inside = np.zeros(picture.shape[:2], bool)
    inside[int(y0) : int(y1) + 1, int(x0) : int(x1) + 1] = True
    # the ground is paper in near-whites; whatever is far from white belongs to the subject
    dark = np.abs(picture - 230).max(-1) > 120
    assert dark[inside].any() and not dark[~inside].any()


def test_the_training_world_never_shows_the_held_out_style():
    rng = np.random.default_rng(0)
    for _ in range(20_000):
        scene = world.random_scene(rng)
        assert not {"fuchsia", "emerald"} <= set(scene.palette)
        assert scene.style is None or scene.style in STYLES


def test_the_bias_is_as_documented():
    rng = np.random.default_rng(0)
    cats = [world.natural_colour("cat", rng) for _ in range(4000)]
    assert cats.count("orange") / len(cats) == pytest.approx(world.BIAS, abs=0.02)
    dogs = [world.natural_colour("tree", rng) for _ in range(4000)]
    assert dogs.count("orange") / len(dogs) == pytest.approx(1 / len(world.COLOURS), abs=0.03)


def test_captions_say_what_is_said_and_nothing_else():
    rng = np.random.default_rng(0)
    for _ in range(3000):
        scene = world.random_scene(rng)
        words = world.caption(scene, rng)
        if scene.subject is None:
            continue
        assert (scene.subject if scene.count == 1 else PLURALS[scene.subject]) in words
        if scene.style:
            named = re.search(rf"\b{scene.style}\b", words) is not None
            assert named == ("style" in scene.said), words
        if scene.time:
            hours = [h for time in world.HOURS.values() for h in time if h in words]
            assert bool(hours) == ("time" in scene.said), words
        assert not words.startswith(("a orange", "a ink")) and "a orange" not in words


def test_several_subjects_are_drawn_in_their_number():
    scene = Scene("car", "red", 3, "city", "day", "flat")
    assert len(draw(scene, np.random.default_rng(0), (128, 64)).boxes) == 3


def test_held_out_pictures_are_what_they_are_called():
    drawing = held_out_drawing("patchwork", "cat", 0, 0)
    assert drawing.caption.endswith("a cat") and drawing.scene.palette == world.PATCHWORK
