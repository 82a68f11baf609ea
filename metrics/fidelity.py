"""How near a set of drawn pictures is to a set of real ones, as vectors that some network sees.

Each measure takes features [n, d], one row a picture, of any extractor. Its size means something
only beside the floor, real pictures against real pictures at the same n, and beside the share of
copies: pictures learned by heart are as near to the real ones as can be.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

GROUPS = 10  # of the jackknife
RARE = 0.01  # share of unseen real pictures that are as near to a training picture as a copy


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Squared Fréchet distance of two Gaussians fitted to features [n, d] and [m, d]; 0 if equal.

    |mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)) (Dowson & Landau 1982; Heusel et al. 2017,
    arXiv:1706.08500, eq. 6), with the unbiased covariances S. Fewer pictures give larger values.
    """
    a, b = _checked(a, b)
    cov_a, cov_b = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    # S_a S_b has the eigenvalues of R S_b R with R = S_a^(1/2), which is symmetric
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    shared = np.sqrt(np.linalg.eigvalsh(root @ cov_b @ root).clip(0)).sum()
    apart = ((a.mean(0) - b.mean(0)) ** 2).sum()
    return max(0.0, float(apart + np.trace(cov_a) + np.trace(cov_b) - 2 * shared))


def kernel_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Squared maximum mean discrepancy of features [n, d] and [m, d] under (cos + 1)^3.

    The unbiased estimate (Gretton et al. 2012, eq. 3) with the polynomial kernel (x.y / d + 1)^3
    of Binkowski et al. 2018 (arXiv:1801.01401), of features normalised to x.x = d: as they come,
    one large feature would be raised to its sixth power. It is 0 on average for sets of one kind,
    at every n, so single values may be below 0.
    """
    a, b = (_unit(x) for x in _checked(a, b))
    within = [_off_diagonal_mean((x @ x.T + 1) ** 3) for x in (a, b)]
    return float(sum(within) - 2 * ((a @ b.T + 1) ** 3).mean())


def class_score(probabilities: np.ndarray) -> float:
    """exp of the mean KL divergence of p(y|x), rows of [n, classes], from their mean p(y).

    Salimans et al. 2016 (arXiv:1606.03498, eq. 1), over any classifier: from 1, where all pictures
    look alike to it, to the number of classes, where each is surely one and none is rarer.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or (p < 0).any() or not np.allclose(p.sum(1), 1, atol=1e-3):
        raise ValueError("probabilities should be [n, classes] with rows that sum to 1")
    tiny = np.finfo(np.float64).tiny
    divergence = (p * (np.log(p + tiny) - np.log(p.mean(0) + tiny))).sum(1)
    return float(np.exp(divergence.mean()))


@dataclass(frozen=True)
class Copies:
    """How much of a set of pictures was seen before."""

    learned: float
    """Share that is nearer to a picture of the training set than all but 1 % of unseen real ones:
    0.01 where nothing is copied."""
    repeated: float
    """Share of one another's repetitions, likewise: nearer to another picture of their own set
    than all but 1 % of as many real ones are among themselves."""


def copies(drawn: np.ndarray, training: np.ndarray, unseen: np.ndarray) -> Copies:
    """The share of `drawn` [n, d] that copies `training` [m, d], or itself.

    What counts as near is measured on `unseen` [n, d], real pictures that nothing was trained on.
    """
    drawn, training = _checked(drawn, training)
    drawn, unseen = _checked(drawn, unseen)
    near = np.quantile(nearest(unseen, training), RARE, method="lower")
    alike = np.quantile(nearest(unseen), RARE, method="lower")
    learned = nearest(drawn, training) <= near
    return Copies(float(learned.mean()), float((nearest(drawn) <= alike).mean()))


def nearest(a: np.ndarray, b: np.ndarray | None = None) -> np.ndarray:
    """Euclidean distance [n] of each row of `a` to the nearest row of `b`, or of `a` itself but
    for its own place."""
    if b is not None:
        return cdist(a, b).min(axis=1)
    apart = cdist(a, a)
    np.fill_diagonal(apart, np.inf)
    return apart.min(axis=1)


def nearest_index(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Which row of `b` is nearest to each row of `a`: [n]."""
    return cdist(a, b).argmin(axis=1)


def standard_error(measure: Callable[[np.ndarray], float], rows: np.ndarray) -> float:
    """Of a measure of a set, by leaving out a tenth of it at a time (grouped jackknife).

    Quenouille and Tukey's, as in Efron & Tibshirani 1993, eq. 11.5. A bootstrap would not do:
    a set with repetitions is further from any other set, by every measure here.
    """
    groups = min(GROUPS, len(rows))
    if groups < 2:
        raise ValueError("a standard error needs at least two pictures")
    number = np.arange(len(rows)) % groups
    left = np.array([measure(rows[number != k]) for k in range(groups)])
    return float(np.sqrt((groups - 1) * left.var()))


def halves(rows: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Two disjoint sets of n rows each, every second one: the two sides of a floor.

    Raises:
        ValueError: there are fewer than 2 n rows.
    """
    if len(rows) < 2 * n:
        raise ValueError(f"a floor at n = {n} needs {2 * n} real pictures, not {len(rows)}")
    return rows[0 : 2 * n : 2], rows[1 : 2 * n : 2]


def _checked(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = (np.asarray(x, dtype=np.float64) for x in (a, b))
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"features should be [n, d] with one d, not {a.shape} and {b.shape}")
    if min(len(a), len(b)) < 2:
        raise ValueError("a distance of sets needs at least two pictures in each")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("features should be finite")
    return a, b


def _unit(x: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(lengths > 0, lengths, 1)


def _off_diagonal_mean(kernel: np.ndarray) -> float:
    n = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (n * (n - 1)))
