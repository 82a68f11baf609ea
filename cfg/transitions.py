"""Where pictures turn into others as the guidance scale grows, and from where on none changes.

Everything here is arithmetic on curves of distances between neighbouring scales. A *transition* is
sudden: within a narrow range of scales the pictures change faster than before and after. What one
seed shows is kept apart from what seeds share, because toy models already put their transitions at
another scale for every seed.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter
from scipy.signal import find_peaks, peak_widths

LEAST_FACTOR = 2.0
"""A transition is at least this many times faster than what surrounds it."""
WIDEST = 1.0
"""Of guidance scale: what takes longer is a development and no transition."""
FLOOR = 0.01
"""Of a curve's mean, added before the logarithm: standing still is not infinitely slow."""


@dataclass(frozen=True)
class Transition:
    """A sudden change of one curve: where, between which scales, and how much faster than beside
    it."""

    at: float
    low: float
    high: float
    factor: float


@dataclass(frozen=True)
class SharedTransition:
    """A transition of the mean curve of several seeds, with what resampling the seeds makes of
    it."""

    transition: Transition
    interval: tuple[float, float]
    """95% bootstrap interval of the scale at which it is."""
    support: float
    """Share of the resamplings that have a transition there: 1 does not hang on a few seeds."""
    seeds: int
    """How many seeds have a transition of their own there."""


def evenly(
    scales: Sequence[float] | np.ndarray, distances: Sequence[float] | np.ndarray, step: float
) -> tuple[np.ndarray, np.ndarray]:
    """A curve on gaps of equal width: their middles [n] and the distance across each [n].

    `scales` [m + 1] rise, `distances` [m] lie between them. A wide gap, as adaptive sweeps leave
    where little happens, spreads its distance evenly; gaps narrower than `step` are added up.
    The sum of all distances is kept.
    """
    scales, distances = np.asarray(scales, float), np.asarray(distances, float)
    if len(scales) != len(distances) + 1 or np.any(np.diff(scales) <= 0):
        raise ValueError("m + 1 rising scales go with m distances")
    count = max(1, round((scales[-1] - scales[0]) / step))
    edges = np.linspace(scales[0], scales[-1], count + 1)
    travelled = np.concatenate([[0.0], np.cumsum(distances)])
    return (edges[:-1] + edges[1:]) / 2, np.diff(np.interp(edges, scales, travelled))


def log_speed(distances: np.ndarray) -> np.ndarray:
    """log d of curves [..., n], with a floor of a hundredth of each one's mean; all 0 stays even.

    Multiplying all distances by a number only moves the result up or down.
    """
    distances = np.asarray(distances, float)
    mean = distances.mean(axis=-1, keepdims=True)
    return np.log(distances + np.where(mean > 0, FLOOR * mean, 1.0))


def roughness(curve: np.ndarray, window: int) -> float:
    """Standard deviation of a curve [n] about its running median over `window` gaps.

    Neighbouring values need not be independent, so their differences would not show it; and the
    median absolute deviation does not see a few peaks.
    """
    window = min(len(curve) - 1, max(11, window)) | 1
    trend = median_filter(curve, window, mode="nearest")
    return float(np.median(np.abs(curve - trend)) / 0.6745)


def reach_of_noise(count: int) -> float:
    """How far apart the ends of `count` noisy values may be, in standard deviations: twice the
    expected largest one, sqrt(2 log n) (extreme value theory), and half as much again of one."""
    return 2 * float(np.sqrt(2 * np.log(count))) + 1.5


def find_transitions(
    middles: np.ndarray, curve: np.ndarray, widest: float = WIDEST
) -> tuple[Transition, ...]:
    """The transitions of one log-speed curve [n] over evenly spaced middles [n].

    A peak counts when it is prominent (LEAST_FACTOR, and more than noise would reach), no wider
    than `widest` at half its prominence (or three gaps, where those are wide), and when PELT
    (Killick et al. 2012, arXiv:1101.1438), which knows nothing of peaks, also puts it into a raised
    piece of the curve. tests/cfg/test_transitions.py states how often it is wrong.
    """
    if len(curve) < 5:
        return ()
    step = float(middles[1] - middles[0])
    noise = roughness(curve, round(2 * widest / step))
    least = max(np.log(LEAST_FACTOR), noise * reach_of_noise(len(curve)))
    peaks, found = find_peaks(curve, prominence=least)
    if not len(peaks):
        return ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a peak of no width is refused below
        widths = peak_widths(curve, peaks, rel_height=0.5)
    pieces = _pieces(curve, noise)
    transitions = []
    for k, peak in enumerate(peaks):
        low, high = (float(middles[0] + step * widths[side][k]) for side in (2, 3))
        if high - low <= max(widest, 3 * step) and _is_raised(curve, pieces, int(peak)):
            factor = float(np.exp(found["prominences"][k]))
            transitions.append(Transition(float(middles[peak]), low, high, factor))
    return tuple(transitions)


def _pieces(curve: np.ndarray, noise: float) -> list[int]:
    """The ends of the pieces that PELT cuts a curve into, each with a mean of its own."""
    import ruptures

    # Each cut costs what three parameters cost in the Bayesian information criterion; on a curve
    # without noise a tenth of LEAST_FACTOR stands in for it.
    deviation = max(noise, np.log(LEAST_FACTOR) / 10)
    penalty = 3 * deviation**2 * np.log(len(curve))
    search = ruptures.KernelCPD(kernel="linear", min_size=1).fit(curve.reshape(-1, 1))
    return [int(end) for end in search.predict(pen=penalty) or ()]


def _is_raised(curve: np.ndarray, ends: Sequence[int], peak: int) -> bool:
    """Whether the curve falls, by pieces, on both sides of the peak's piece."""
    starts = [0, *ends[:-1]]
    means = [curve[start:end].mean() for start, end in zip(starts, ends, strict=True)]
    here = next(k for k, end in enumerate(ends) if peak < end)
    return 0 < here < len(ends) - 1 and means[here] > max(means[here - 1], means[here + 1])


def shared_transitions(
    middles: np.ndarray, curves: np.ndarray, widest: float = WIDEST, draws: int = 400, seed: int = 0
) -> tuple[SharedTransition, ...]:
    """Transitions of the mean of log-speed curves [seeds, n], with a bootstrap over the seeds.

    Empty for fewer than three seeds: nothing can be said of seeds that were not drawn. A transition
    that each seed has elsewhere disappears in the mean.
    """
    if len(curves) < 3:
        return ()
    found = find_transitions(middles, curves.mean(axis=0), widest)
    if not found:
        return ()
    rng = np.random.default_rng(seed)
    chosen = rng.integers(0, len(curves), (draws, len(curves)))
    resampled = [find_transitions(middles, curves[rows].mean(axis=0), widest) for rows in chosen]
    singles = [find_transitions(middles, curve, widest) for curve in curves]
    reach = max(widest, 3 * float(middles[1] - middles[0])) / 2
    shared = []
    for transition in found:
        places = [
            p for p in (_nearest(r, transition.at, reach) for r in resampled) if p is not None
        ]
        own = [_nearest(single, transition.at, reach) is not None for single in singles]
        low, high = np.quantile(places, [0.025, 0.975]) if places else (np.nan, np.nan)
        shared.append(
            SharedTransition(transition, (float(low), float(high)), len(places) / draws, sum(own))
        )
    return tuple(shared)


def _nearest(transitions: Sequence[Transition], at: float, reach: float) -> float | None:
    places = [t.at for t in transitions if abs(t.at - at) <= reach]
    return min(places, key=lambda place: abs(place - at)) if places else None


def settled_at(
    scales: Sequence[float] | np.ndarray, to_last: Sequence[float] | np.ndarray, threshold: float
) -> float | None:
    """From which scale on nothing changes: every picture from there on is within `threshold` of the
    last one.

    `to_last` [n] is each picture's distance to the last picture. None where that holds for the last
    tenth of the scales at most: a picture that is near its own neighbours has not settled.
    """
    scales, to_last = np.asarray(scales, float), np.asarray(to_last, float)
    moving = np.flatnonzero(to_last > threshold)
    first = int(moving[-1]) + 1 if len(moving) else 0
    late = scales[-1] - 0.1 * (scales[-1] - scales[0])
    return float(scales[first]) if scales[first] <= late and len(scales) > 1 else None
