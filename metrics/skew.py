"""How unevenly pictures take the values of an attribute, and how sure one can be of it.

The judge of each picture says one of K values, or None where it cannot tell. Shares are among the
pictures whose value is known; the others are reported and not spread over the values.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metrics.statistics import bootstrap_interval

LEVEL, DRAWS = 0.95, 4000


@dataclass(frozen=True)
class Distribution:
    """What N pictures show of an attribute of K values."""

    values: tuple[str, ...]
    counts: tuple[int, ...]
    """Pictures of each value, [K]."""
    undecided: int
    """Pictures whose value nobody could tell; they are part of no share."""
    shares: tuple[float, ...]
    """Of the decided pictures, [K]; sums to 1."""
    intervals: tuple[tuple[float, float], ...]
    """95% bootstrap interval of each share."""
    kl: float
    """Divergence from the uniform distribution, in nats; 0 is even, log K is one value only."""
    kl_interval: tuple[float, float]
    kl_floor: float
    """What as many draws from the uniform distribution read in the mean."""
    kl_wanted: float | None
    """Divergence from the wanted distribution, where one was given."""
    farthest: float
    """The largest distance of a share from 1/K."""
    farthest_interval: tuple[float, float]

    @property
    def pictures(self) -> int:
        """All of them, undecided ones as well."""
        return sum(self.counts) + self.undecided

    @property
    def undecided_share(self) -> float:
        return self.undecided / self.pictures

    @property
    def most(self) -> tuple[str, float]:
        """The commonest value and its share."""
        k = int(np.argmax(self.counts))
        return self.values[k], self.shares[k]


def distribution(
    answers: Sequence[str | None],
    values: Sequence[str],
    wanted: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Distribution:
    """Count answers, one for each picture; `wanted` has a positive share for each value.

    Where of no picture a value could be told, shares and divergences are nan.

    Raises:
        ValueError: fewer than two values, no pictures, an answer that is not among the values, or
            wanted shares that are not for these values.
    """
    if len(values) < 2 or not answers:
        raise ValueError("a distribution needs at least two values and one picture")
    codes = np.array([list(values).index(a) for a in answers if a is not None], int)
    shares = _shares(codes, len(values))
    even = np.full(len(values), 1 / len(values))
    resampled = _resampled(codes, len(values), seed)
    aim = None if wanted is None else _aim(wanted, values)
    return Distribution(
        values=tuple(values),
        counts=tuple(int(count) for count in np.bincount(codes, minlength=len(values))),
        undecided=len(answers) - len(codes),
        shares=tuple(map(float, shares)),
        intervals=tuple(_interval(resampled[:, k]) for k in range(len(values))),
        kl=kl_divergence(shares, even),
        kl_interval=_unbiased(_kl_rows(resampled, even), kl_divergence(shares, even)),
        kl_floor=(len(values) - 1) / (2 * len(codes)) if len(codes) else math.nan,
        kl_wanted=None if aim is None else kl_divergence(shares, aim),
        farthest=float(np.abs(shares - even).max()),
        farthest_interval=_unbiased(
            np.abs(resampled - even).max(axis=1), float(np.abs(shares - even).max())
        ),
    )


def kl_divergence(p: np.ndarray, q: np.ndarray) -> float:
    """sum p log(p / q) in nats (Kullback & Leibler 1951); p [K] may have zeros, q [K] may not."""
    return float(_kl_rows(np.asarray(p, float)[None], np.asarray(q, float))[0])


def _kl_rows(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """`kl_divergence` of each row of p [N, K]."""
    ratio = np.where(p > 0, p, 1.0) / q
    terms = np.where(p > 0, p * np.log(ratio), p * 0)  # 0 log 0 is 0, and nan stays nan
    return np.maximum(0.0, terms.sum(axis=-1))


def _shares(codes: np.ndarray, count: int) -> np.ndarray:
    if not len(codes):
        return np.full(count, math.nan)
    return np.bincount(codes, minlength=count) / len(codes)


def _resampled(codes: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Shares [DRAWS, K] of bootstrap samples of the pictures: drawing n of n pictures with
    replacement is a multinomial draw of their shares."""
    if not len(codes):
        return np.full((1, count), math.nan)
    rng = np.random.default_rng(seed)
    return rng.multinomial(len(codes), _shares(codes, count), DRAWS) / len(codes)


def _interval(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _unbiased(values: np.ndarray, estimate: float) -> tuple[float, float]:
    """The interval without what resampling adds: distances from even only grow by it, so that a
    plain interval may lie above the estimate (Efron & Tibshirani 1993, chapter 10)."""
    low, high = _interval(values - (values.mean() - estimate))
    return float(np.maximum(0.0, low)), float(np.maximum(0.0, high))  # nan stays nan


def _aim(wanted: Mapping[str, float], values: Sequence[str]) -> np.ndarray:
    if set(wanted) != set(values) or min(wanted.values()) <= 0:
        raise ValueError("a wanted distribution has a positive share for each value")
    aim = np.array([wanted[value] for value in values], float)
    return aim / aim.sum()


@dataclass(frozen=True)
class Change:
    """The mean of something before and after, over the same pictures' places."""

    before: float
    after: float
    difference: float
    """after - before."""
    interval: tuple[float, float]
    """95% bootstrap interval of the difference, over pairs."""
    pairs: int


def change(before: Sequence[float] | np.ndarray, after: Sequence[float] | np.ndarray) -> Change:
    """Compare pairs: equal prompt, equal noise. [N] each.

    Raises:
        ValueError: they are not pairs, or there are none.
    """
    one, other = np.asarray(before, float), np.asarray(after, float)
    if one.shape != other.shape or one.ndim != 1:
        raise ValueError("a change needs as many values after as before")
    difference = other - one
    interval = bootstrap_interval(difference, LEVEL, DRAWS)
    return Change(
        float(one.mean()), float(other.mean()), float(difference.mean()), interval, len(one)
    )


def decided(
    chances: np.ndarray, names: Sequence[str], values: Sequence[str], band: float
) -> list[str | None]:
    """The value of each picture, out of probabilities [N, len(names)]: the likeliest of the names,
    or None where the second is less than `band` behind it, or where the likeliest is not one of
    `values`."""
    found: list[str | None] = []
    for row in chances:
        second, first = np.argsort(row)[-2:]
        name = names[int(first)]
        sure = float(row[first] - row[second]) >= band
        found.append(name if sure and name in values else None)
    return found
