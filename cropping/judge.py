"""What is a fold, of what may be one on a page: the evidence of trees and of a network together.
Fitted by benchmarks/cropping/scan_fit.py to drawn scans."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cropping.strips import Net
from cropping.trees import Trees

OTHERS = 4  # lines of the page that speak against a line: many that look like folds are a pattern
PATTERN = 0.3  # of what speaks for them
UNLIKELY = -6.0  # the least that they are counted with


@dataclass(frozen=True)
class Judge:
    """`threshold` is the evidence above which a line is taken for a fold."""

    trees: Trees
    net: Net
    threshold: float

    def evidence(self, measures: np.ndarray, strips: np.ndarray) -> np.ndarray:
        """How much speaks for each of all the lines [n] of one page, above 0 for folds, from their
        measures [n, m] and strips [n, steps, channels]."""
        odds = self.trees.log_odds(measures) + self.net.log_odds(strips, measures)
        others = np.full(OTHERS, UNLIKELY)
        next_best = np.sort(odds)[::-1][1 : OTHERS + 1]
        others[: len(next_best)] = np.maximum(next_best, UNLIKELY)
        return odds - PATTERN * others.mean() - self.threshold


def read_judge(path: Path) -> Judge:
    """A judge from a JSON file of `threshold` and the arrays of `trees` and `net`."""
    found = json.loads(path.read_text(encoding="utf-8"))
    net = {name: np.array(rows, np.float32) for name, rows in found["net"].items()}
    trees = found["trees"]
    return Judge(
        Trees(
            float(trees["start"]),
            np.array(trees["features"], int),
            np.array(trees["levels"], float),
            np.array(trees["leaves"], float),
        ),
        Net(**net),
        float(found["threshold"]),
    )
