"""The weights of evidence by which `cropping.creases` and `cropping.glare` decide.

    python benchmarks/cropping/scan_fit.py [--count 100]

Draws the development set of scans.py (clean pages: 1.6 times as many), takes the measures of
everything that might be a fold or glare, and prints the weights of a logistic regression that tells
what is from what is not. Its last weight is such that `FLAGGED` of the clean pages are flagged.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import scans

from cropping import creases, glare
from cropping.view import View

FLAGGED = {"crease": 0.025, "glare": 0.015}
RIDGE = 1.0  # of the weights of standardised measures


@dataclass(frozen=True)
class Candidate:
    """Something on a page: its measures, and how much of it and of the damage are the same."""

    kind: str
    page: int
    measures: np.ndarray
    share: float


def of_creases(view: View, damage: np.ndarray | None) -> Iterator[tuple[np.ndarray, float]]:
    """The folds that may be: their measures, and how much of the damage they cover."""
    for fold in creases.folds(view):
        share = 0.0
        if damage is not None:
            on = np.zeros(view.fine.shape[:2], np.uint8)
            cv2.polylines(on, [fold.path], False, (1,), 9)
            true = _at(damage, on.shape)
            share = float((true & (on > 0)).sum() / max(true.sum(), 1))
        yield fold.measures, share


def of_glare(view: View, damage: np.ndarray | None) -> Iterator[tuple[np.ndarray, float]]:
    """The white spots, and how much of them is damage, if they are not a small part of it."""
    for spot in glare.spots(glare.without_text(view)):
        share = 0.0
        if damage is not None:
            true = _at(damage, spot.core.shape)
            both = float((true & spot.core).sum())
            small = both < 0.08 * (true | spot.core).sum()
            share = min(both / spot.core.sum(), 0.2 if small else 1.0)
        yield spot.measures, share


def _at(damage: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    size = (shape[1], shape[0])
    return cv2.resize(damage.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.35


# What is damage, what it is damage of, from which share on, and below which it is none.
DAMAGE: dict[str, tuple[Callable, float, float]] = {
    "crease": (of_creases, 0.35, 0.1),
    "glare": (of_glare, 0.6, 0.15),
}


def fitted(kind: str, candidates: list[Candidate], pages: int) -> np.ndarray:
    """Weights of the measures, and the last one."""
    _, least, most = DAMAGE[kind]
    clear = [one for one in candidates if one.kind != kind or not most < one.share <= least]
    x = np.array([one.measures for one in clear])
    is_damage = np.array([one.share > least for one in clear], float)
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-9
    weights = logistic((x - mean) / spread, is_damage)[:-1] / spread
    best = np.full(pages, -np.inf)
    for one in candidates:
        if one.kind == "clean":
            best[one.page] = max(best[one.page], float(one.measures @ weights))
    return np.append(weights, -np.quantile(best, 1 - FLAGGED[kind], method="higher") - 1e-3)


def logistic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Weights of x [n, k] and of 1 that make y (0 or 1) most likely, by Newton's method."""
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    shrink = np.append(np.full(x.shape[1] - 1, RIDGE), 1e-3)
    weights = np.zeros(x.shape[1])
    for _ in range(60):
        p = 1 / (1 + np.exp(-x @ weights))
        slope = x.T @ (y - p) - shrink * weights
        curvature = (x * (p * (1 - p))[:, None]).T @ x + np.diag(shrink)
        weights += np.clip(np.linalg.solve(curvature, slope), -2, 2)
    return weights


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--count", type=int, default=100)
    count = options.parse_args().count
    pages = round(1.6 * count)
    found: dict[str, list[Candidate]] = {kind: [] for kind in DAMAGE}
    for drawn, number in {"clean": pages, "crease": count, "glare": count}.items():
        for index in range(number):
            scan = scans.scan("development", drawn, index)
            view = View(scan.image)
            for kind, (look, *_) in DAMAGE.items():
                damage = scan.damage if drawn == kind else None
                for measures, share in look(view, damage):
                    found[kind].append(Candidate(drawn, index, measures, share))
    for kind, candidates in found.items():
        weights = ", ".join(f"{weight:.4g}" for weight in fitted(kind, candidates, pages))
        print(f"{kind}: ({weights})")


if __name__ == "__main__":
    main()
