"""The croppers' benchmark: its boxes, its scores and its oracle."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

FOLDER = Path(__file__).parents[2] / "benchmarks" / "cropping"


@pytest.fixture(scope="module")
def bench():
    """The benchmark's modules, found as they are when it is run."""
    names = ("scene", "scores", "development", "decisive", "fourth")
    sys.path.insert(0, str(FOLDER))
    try:
        yield {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(str(FOLDER))
        for name in names:
            sys.modules.pop(name, None)


@pytest.mark.parametrize("world", ["development", "decisive", "fourth"])
def test_a_picture_follows_from_its_seed_and_boxes_lie_in_it(bench, world):
    drawn = getattr(bench[world], world.upper())
    for index in range(4):
        one, again = (
            bench["scene"].compose(drawn, np.random.default_rng([5, index])) for _ in range(2)
        )
        assert one.subjects == again.subjects
        assert one.image.tobytes() == again.image.tobytes()
        assert 1 <= len(one.subjects) <= 3
        for subject in one.subjects:
            for x0, y0, x1, y1 in filter(None, (subject.box, subject.head)):
                assert 0 <= x0 < x1 <= one.image.width + 1e-6
                assert 0 <= y0 < y1 <= one.image.height + 1e-6
            if subject.head:
                assert bench["scores"].kept(subject.head, subject.box) == pytest.approx(1)


def test_scores_say_what_is_lost(bench):
    subject = bench["scene"].Subject((10, 0, 30, 100), (10, 0, 30, 25))
    whole = bench["scores"].score([subject], (0, 0, 100, 100))
    assert (whole.subjects_whole, whole.heads_whole, whole.headless) == (True, True, False)
    beheaded = bench["scores"].score([subject], (0, 20, 100, 120))
    assert (beheaded.subjects_whole, beheaded.heads_whole, beheaded.headless) == (
        False,
        False,
        True,
    )
    gone = bench["scores"].score([subject], (50, 0, 150, 100))
    assert (gone.subjects_whole, gone.headless) == (False, False)


def test_the_oracle_keeps_what_can_be_kept(bench):
    Subject = bench["scene"].Subject
    image = Image.new("RGB", (300, 100))
    near = bench["scene"].Sample(
        image, (Subject((150, 0, 170, 50)), Subject((220, 0, 240, 50))), ""
    )
    assert bench["scores"].best_of(near).score.subjects_whole
    far = bench["scene"].Sample(
        image, (Subject((0, 0, 20, 99), (0, 0, 20, 30)), Subject((200, 0, 300, 99))), ""
    )
    best = bench["scores"].best_of(far)
    assert not best.score.subjects_whole
    assert best.score.heads_whole
    row = bench["scores"].row([near, far], [bench["scores"].best_of(s) for s in (near, far)],
                              [(150, 0, 250, 100), (100, 0, 200, 100)])  # fmt: skip
    assert row.subjects_whole == 100  # of the one picture in which they fit
    assert row.anyway == 50


def test_every_plate_has_boxes_in_hundredths():
    boxes = YAML(typ="safe").load(FOLDER / "plates.yaml")
    assert len(boxes) == 27
    for subjects in boxes.values():
        assert subjects
        for one in subjects:
            for x0, y0, x1, y1 in [one["box"], *([one["head"]] if "head" in one else [])]:
                assert 0 <= x0 < x1 <= 100
                assert 0 <= y0 < y1 <= 100
