"""Folds: lines that are proposed, what is told of them, and how they are judged."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from cropping.creases import JUDGE, folds
from cropping.judge import OTHERS, PATTERN, read_judge
from cropping.lines import lines_across
from cropping.strips import STEPS, channels
from cropping.view import View


@pytest.fixture(scope="module")
def judge():
    return read_judge(JUDGE)


def folded(angle: float, size=(420, 560)) -> np.ndarray:
    """Textured paper with a shadow line through its middle, uint8 [h, w, 3]."""
    width, height = size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    away = (x - width / 2) * np.sin(angle) - (y - height / 2) * np.cos(angle)
    light = 0.8 + np.random.default_rng(2).normal(0, 0.01, (height, width))
    light = light * (1 - 0.3 * np.exp(-0.5 * (away / 1.2) ** 2))
    return np.repeat((light * 255).round().astype(np.uint8)[..., None], 3, axis=2)


def distance(line, point) -> float:
    return abs(point[0] * np.cos(line.turn) + point[1] * np.sin(line.turn) - line.rho)


@pytest.mark.parametrize("angle", [0.0, 0.3, 1.2, np.pi / 2, 2.5])
def test_the_first_line_is_the_one_there_is(angle):
    grey = folded(angle)[..., 0].astype(np.float32) / 255
    first = lines_across(grey, 3)[0]
    for step in (-150, 0, 150):
        assert distance(first, (210 + step * np.cos(angle), 280 + step * np.sin(angle))) < 4
    for x, y in first.ends:
        assert min(x, 419 - x, y, 559 - y) < 2


def test_a_line_that_is_broken_all_the_way_comes_before_whole_ones_that_are_short():
    picture, paper = folded(np.pi / 2), folded(np.pi / 2)[:, :100].mean()
    for y in range(0, 560, 28):
        picture[y : y + 14, 195:225] = paper
    for y in range(60, 540, 60):
        cv2.line(picture, (0, y), (260, y), (20, 20, 20), 2, cv2.LINE_AA)
    first = lines_across(picture[..., 0].astype(np.float32) / 255, 1)[0]
    assert distance(first, (210, 280)) < 4


@pytest.mark.parametrize("angle", [0.2, 1.5])
def test_a_strip_has_its_line_in_the_middle(angle):
    fold = next(folds(View(folded(angle))))
    across = fold.strip[:, :25].mean(axis=0)
    assert fold.strip.shape == (STEPS, 39)
    assert abs(int(across.argmin()) - 12) <= 1
    assert across.min() < 6 * -0.15
    assert np.abs(fold.strip[:, 36]).max() < 1  # and runs straight


def test_a_strip_is_the_same_from_either_side():
    rng = np.random.default_rng(3)
    around = rng.random((300, 41, 3)).astype(np.float32)
    place, height = 20 + rng.normal(0, 1, 300), rng.random(300) / 20
    one, other = channels(around, place, height), channels(around[:, ::-1], 40 - place, height)
    np.testing.assert_allclose(one[:, :25], other[:, 24::-1], atol=1e-3)
    odd = [34, 36, 37]
    np.testing.assert_allclose(one[:, odd], -other[:, odd], atol=1e-3)
    even = [k for k in range(25, 39) if k not in odd]
    np.testing.assert_allclose(one[:, even], other[:, even], atol=1e-3)


def test_lines_that_look_like_folds_speak_against_each_other(judge):
    fold = next(folds(View(folded(1.5))))
    alone = judge.evidence(fold.measures[None], fold.strip[None])[0]
    several = judge.evidence(
        np.repeat(fold.measures[None], OTHERS + 1, 0), np.repeat(fold.strip[None], OTHERS + 1, 0)
    )
    assert np.ptp(several) < 1e-5
    assert several[0] < alone
    odds = judge.trees.log_odds(fold.measures[None]) + judge.net.log_odds(
        fold.strip[None], fold.measures[None]
    )
    assert several[0] == pytest.approx((1 - PATTERN) * odds[0] - judge.threshold, abs=1e-4)


def test_the_threshold_is_what_evidence_is_counted_from(judge):
    fold = next(folds(View(folded(1.5))))
    higher = replace(judge, threshold=judge.threshold + 1.5)
    lines = fold.measures[None], fold.strip[None]
    assert judge.evidence(*lines) - higher.evidence(*lines) == pytest.approx(1.5)


def test_the_committed_judge_asks_of_what_is_told(judge):
    fold = next(folds(View(folded(0.2))))
    assert 0 <= judge.trees.features.min() <= judge.trees.features.max() < len(fold.measures)
    assert judge.net.channels.shape == (2, fold.strip.shape[1])
    assert judge.net.measures.shape == (2, len(fold.measures))
