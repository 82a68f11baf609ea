"""A set of drawn pictures beside real ones: all measures of it, and which may stand side by side.

A distance means something only against the same real pictures, at the same number of pictures,
over the same network's features. Every score carries these terms, and others are not compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lab.errors import UserError
from metrics.extractors import Extractor
from metrics.fidelity import (
    class_score,
    copies,
    frechet_distance,
    kernel_distance,
    standard_error,
)


@dataclass(frozen=True)
class Score:
    """What was measured of one set."""

    what: str
    """Whose pictures these are."""
    extractor: str
    """Name of the features, such as drawn64."""
    weights: str
    """Of the extractor."""
    real: str
    """Names the real pictures that it was compared with."""
    n: int
    """Pictures on each side."""
    frechet: float
    frechet_error: float
    """Standard error, as the others."""
    kernel: float
    kernel_error: float
    classes: float | None
    classes_error: float | None
    """None where the extractor knows no classes."""
    learned: float
    """Share of copies of training pictures; 0.01 of unseen real pictures would pass for one."""
    repeated: float
    """Share of pictures that are in the set twice, likewise."""


@dataclass(frozen=True)
class Judged:
    """What the extractor sees in a set: features [n, d], and probabilities [n, classes]."""

    features: np.ndarray
    probabilities: np.ndarray | None


def judge(extractor: Extractor, pictures: np.ndarray) -> Judged:
    """Let the extractor look at pictures, uint8 [n, h, w, 3]."""
    classes = extractor.probabilities
    return Judged(extractor.features(pictures), None if classes is None else classes(pictures))


def score(
    what: str, extractor: Extractor, seen: Judged, real: Judged, training: np.ndarray, name: str
) -> Score:
    """Measure n pictures against n real ones, called `name`, that nothing was trained on.

    Args:
        training: features [m, d] of the pictures that were learned.

    Raises:
        ValueError: the two sets are not of one size.
    """
    if len(seen.features) != len(real.features):
        raise ValueError(f"{len(seen.features)} pictures beside {len(real.features)} real ones")

    def frechet(rows: np.ndarray) -> float:
        return frechet_distance(rows, real.features)

    def kernel(rows: np.ndarray) -> float:
        return kernel_distance(rows, real.features)

    found = copies(seen.features, training, real.features)
    p = seen.probabilities
    return Score(
        what=what,
        extractor=extractor.name,
        weights=extractor.identity,
        real=name,
        n=len(seen.features),
        frechet=frechet(seen.features),
        frechet_error=standard_error(frechet, seen.features),
        kernel=kernel(seen.features),
        kernel_error=standard_error(kernel, seen.features),
        classes=None if p is None else class_score(p),
        classes_error=None if p is None else standard_error(class_score, p),
        learned=found.learned,
        repeated=found.repeated,
    )


TERMS = {
    "extractor": "features of {}",
    "weights": "an extractor with the weights {}",
    "n": "n = {} pictures",
    "real": "the real pictures {}",
}


def require_comparable(scores: Sequence[Score]) -> None:
    """Refuse to put scores into one table that were not measured on the same terms.

    Raises:
        UserError: naming two of them and what they differ in.
    """
    for score in scores[1:]:
        for term, words in TERMS.items():
            ours, theirs = getattr(scores[0], term), getattr(score, term)
            if ours != theirs:
                raise UserError(
                    f"{scores[0].what} and {score.what} cannot be compared: one was measured with "
                    f"{words.format(ours)}, the other with {words.format(theirs)}; measure both "
                    "alike"
                )
