"""Boosted trees of a few questions each (Friedman 2001, "Greedy Function Approximation: A Gradient
Boosting Machine"; Newton's steps and the gain of a question as in Chen & Guestrin 2016, "XGBoost").
"""

import numpy as np

from cropping.trees import DEPTH, Trees

ROUNDS = 160
RATE = 0.12  # of each tree's answer that is added
SHRINK = 3.0  # against leaves with little in them
LEAST = 2.0  # of the second derivative on either side of a question
LEVELS = 24  # that a measure is asked about


def fitted(measures: np.ndarray, is_so: np.ndarray) -> Trees:
    """Trees that tell rows of measures [n, k] that are so, [n] of 0 and 1, from those that are not.
    The same rows give the same trees."""
    shares = np.linspace(0, 1, LEVELS + 1)[1:-1]
    levels = [rounded(np.unique(np.quantile(column, shares))) for column in measures.T]
    cells = np.stack(
        [
            np.searchsorted(level, column)
            for level, column in zip(levels, measures.T, strict=True)
        ],
        axis=1,
    )  # fmt: skip
    start = float(np.log(is_so.mean() / (1 - is_so.mean())))
    odds = np.full(len(is_so), start)
    features, asked, leaves = [], [], []
    for _ in range(ROUNDS):
        likely = 1 / (1 + np.exp(-odds))
        feature, cell, leaf, node = _tree(cells, is_so - likely, likely * (1 - likely))
        leaf = rounded(RATE * leaf)
        odds += leaf[node]
        features.append(feature)
        asked.append([levels[f][c] if c < len(levels[f]) else 1e9
                      for f, c in zip(feature, cell, strict=True)])  # fmt: skip
        leaves.append(leaf)
    return Trees(start, np.array(features), np.array(asked), np.array(leaves))


def rounded(values: np.ndarray) -> np.ndarray:
    """Four significant digits, as the file of the trees keeps them."""
    return np.array([float(f"{value:.4g}") for value in values])


def _tree(
    cells: np.ndarray, slope: np.ndarray, curvature: np.ndarray
) -> tuple[list[int], list[int], np.ndarray, np.ndarray]:
    """One tree: what is asked at each node (a measure, and the last cell that says yes), the value
    of each leaf, and the leaf of each row."""
    node = np.zeros(len(cells), int)
    features, last = [], []
    for inner in range(2**DEPTH - 1):
        feature, cell = _question(cells, slope, curvature, np.flatnonzero(node == inner))
        features.append(feature)
        last.append(cell)
        here = node == inner
        node[here] = 2 * inner + 1 + (cells[here, feature] > cell)
    node -= 2**DEPTH - 1
    count = 2**DEPTH
    total, steep = (np.bincount(node, values, count) for values in (slope, curvature))
    return features, last, total / (steep + SHRINK), node


def _question(
    cells: np.ndarray, slope: np.ndarray, curvature: np.ndarray, rows: np.ndarray
) -> tuple[int, int]:
    """The measure and the cell that divide some rows best; where none does, all say yes."""
    total, steep = slope[rows].sum(), curvature[rows].sum()
    best, found = 1e-3, (0, LEVELS)
    for feature in range(cells.shape[1]):
        here = cells[rows, feature]
        yes = np.cumsum(np.bincount(here, slope[rows], LEVELS + 1))
        bent = np.cumsum(np.bincount(here, curvature[rows], LEVELS + 1))
        gain = yes**2 / (bent + SHRINK) + (total - yes) ** 2 / (steep - bent + SHRINK)
        gain -= total**2 / (steep + SHRINK)
        gain[(bent < LEAST) | (steep - bent < LEAST)] = -1
        cell = int(gain.argmax())
        if gain[cell] > best:
            best, found = gain[cell], (feature, cell)
    return found
