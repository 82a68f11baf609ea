"""Boosted trees: what they answer."""

import numpy as np
import pytest

from cropping.trees import DEPTH, Trees


def asked(tree: int, trees: Trees, measures: np.ndarray) -> float:
    """One tree, one row, question by question."""
    node = 0
    for _ in range(DEPTH):
        says_no = measures[trees.features[tree, node]] > trees.levels[tree, node]
        node = 2 * node + (2 if says_no else 1)
    return trees.leaves[tree, node - (2**DEPTH - 1)]


def test_trees_answer_question_by_question():
    rng = np.random.default_rng(1)
    inner, count = 2**DEPTH - 1, 9
    trees = Trees(
        -0.5,
        rng.integers(0, 4, (count, inner)),
        rng.normal(size=(count, inner)),
        rng.normal(size=(count, inner + 1)),
    )
    measures = rng.normal(size=(30, 4))
    one_by_one = [-0.5 + sum(asked(k, trees, row) for k in range(count)) for row in measures]
    assert trees.log_odds(measures) == pytest.approx(one_by_one)


def test_a_level_itself_says_yes():
    inner = 2**DEPTH - 1
    trees = Trees(0.0, np.zeros((1, inner), int), np.full((1, inner), 2.0),
                  np.arange(inner + 1.0)[None])  # fmt: skip
    assert trees.log_odds(np.array([[2.0], [2.1]])).tolist() == [0.0, float(inner)]
