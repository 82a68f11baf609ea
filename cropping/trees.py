"""Evidence by boosted trees: what logistic regression is to straight lines, for measures that say
something only together. Fitted by benchmarks/cropping/boosting.py; here they are only read."""

from dataclasses import dataclass

import numpy as np

DEPTH = 3  # questions that every tree asks


@dataclass(frozen=True)
class Trees:
    """Trees of `DEPTH` questions: "is this measure at most that level?"

    `features` and `levels` are [trees, 2**DEPTH - 1], the questions from the root down, row by row;
    `leaves` is [trees, 2**DEPTH], what each tree adds to the evidence; `start` the evidence before
    any tree.
    """

    start: float
    features: np.ndarray
    levels: np.ndarray
    leaves: np.ndarray

    def log_odds(self, measures: np.ndarray) -> np.ndarray:
        """The evidence for each row of measures, [n, k] -> [n]."""
        trees = np.arange(len(self.leaves))[None]
        node = np.zeros((len(measures), len(self.leaves)), int)
        for _ in range(DEPTH):
            asked = np.take_along_axis(measures, self.features[trees, node], axis=1)
            node = 2 * node + 1 + (asked > self.levels[trees, node])
        return self.start + self.leaves[trees, node - (2**DEPTH - 1)].sum(axis=1)
