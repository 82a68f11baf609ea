"""What `cropping.creases` and `cropping.glare` decide by, fitted to the development set of scans.

    python benchmarks/cropping/scan_fit.py [--pages FOLDER] [--check]

Draws pages of two sets of scans.py, development and staged, takes the measures of everything on
them that might be a fold or glare, and learns to tell what is from what is not: folds by boosted
trees, written to cropping/creases.json, glare by logistic regression, whose weights are printed.
The thresholds are such that `FLAGGED` of the clean pages are flagged, by trees that did not see
them. About ten minutes of CPU; with --pages the pages are kept there, and a second time, or after
an interruption, it takes a fraction. --check writes nothing and fails where the file says
something else.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import boosting
import cv2
import numpy as np
import scans
from PIL import Image

from cropping import creases, glare
from cropping.trees import Trees
from cropping.view import View
from lab.run import write_text

PAGES = {
    ("development", "clean"): 400, ("development", "crease"): 300, ("development", "glare"): 100,
    ("staged", "clean"): 160, ("staged", "crease"): 200,
}  # fmt: skip
FLAGGED = {"crease": 0.03, "glare": 0.0075}
PARTS = 5  # of the pages; trees that saw four judge the fifth
RIDGE = 1.0  # of the weights of standardised measures


@dataclass(frozen=True)
class Candidate:
    """Something on a page: its measures, and how much of it and of the damage are the same."""

    kind: str
    page: tuple[str, int]
    measures: np.ndarray
    share: float


def page(where_from: str, kind: str, index: int, folder: Path | None) -> tuple[View, np.ndarray]:
    """A page of a set as it is looked at, and where its damage is, bool [h, w] of `View.fine`."""
    file = folder / where_from / kind / f"{index}.png" if folder else None
    where = file.with_name(f"{index}.mask.png") if file else None
    if file and where and file.exists() and (kind == "clean" or where.exists()):
        view = View(Image.open(file))
        is_clean = kind == "clean"
        shape = view.fine.shape[:2]
        return view, np.zeros(shape, bool) if is_clean else _read(where)
    scan = scans.scan(where_from, kind, index)
    view = View(scan.image)
    damage = np.zeros(view.fine.shape[:2], np.uint8)
    if scan.damage is not None:
        size = (damage.shape[1], damage.shape[0])
        small = cv2.resize(scan.damage.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        damage = (255 * small).astype(np.uint8)
    if file and where:
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(damage).save(where)
        view.image.save(file, compress_level=1)
    return view, damage > 90


def _read(mask: Path) -> np.ndarray:
    return np.asarray(Image.open(mask)) > 90


def of_creases(view: View, damage: np.ndarray) -> Iterator[tuple[np.ndarray, float]]:
    """The folds that may be: their measures, and how much of the damage they cover."""
    for fold in creases.folds(view):
        on = np.zeros(damage.shape, np.uint8)
        cv2.polylines(on, [fold.path], False, (1,), 9)
        yield fold.measures, float((damage & (on > 0)).sum() / max(damage.sum(), 1))


def of_glare(view: View, damage: np.ndarray) -> Iterator[tuple[np.ndarray, float]]:
    """The white spots, and how much of them is damage, if they are not a small part of it."""
    for spot in glare.spots(glare.without_text(view)):
        size = (spot.core.shape[1], spot.core.shape[0])
        true = cv2.resize(damage.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.35
        both = float((true & spot.core).sum())
        small = both < 0.08 * (true | spot.core).sum()
        yield spot.measures, min(both / spot.core.sum(), 0.2 if small else 1.0)


# What is damage, what it is damage of, from which share on, and below which it is none.
DAMAGE: dict[str, tuple[Callable, float, float]] = {
    "crease": (of_creases, 0.35, 0.1),
    "glare": (of_glare, 0.6, 0.15),
}
SETS = {"crease": ("development", "staged"), "glare": ("development",)}


def looked_at(folder: Path | None) -> dict[str, list[Candidate]]:
    """Everything on the pages that might be damage, by its kind."""
    found: dict[str, list[Candidate]] = {kind: [] for kind in DAMAGE}
    for (where_from, drawn), count in PAGES.items():
        for index in range(count):
            view, damage = page(where_from, drawn, index, folder)
            for kind, (look, *_) in DAMAGE.items():
                if where_from not in SETS[kind]:
                    continue
                here = damage if drawn == kind else np.zeros_like(damage)
                for measures, share in look(view, here):
                    found[kind].append(Candidate(drawn, (where_from, index), measures, share))
        print(f"{where_from}, {drawn}: {count} pages", file=sys.stderr, flush=True)
    return found


def learned(kind: str, candidates: list[Candidate]) -> tuple[np.ndarray, np.ndarray]:
    """Measures [n, k] of what is plainly damage of a kind, or plainly none, and which it is."""
    _, least, most = DAMAGE[kind]
    clear = [one for one in candidates if one.kind != kind or not most < one.share <= least]
    return np.array([one.measures for one in clear]), np.array([one.share > least for one in clear])


def most_of_pages(
    kind: str, sets: Sequence[str], candidates: list[Candidate], evidence: np.ndarray
) -> np.ndarray:
    """The most evidence on each page of a kind, -inf where there is nothing."""
    best = {
        (where_from, index): -np.inf
        for (where_from, drawn), count in PAGES.items() if drawn == kind and where_from in sets
        for index in range(count)
    }  # fmt: skip
    for one, value in zip(candidates, evidence, strict=True):
        if one.kind == kind:
            best[one.page] = max(best[one.page], value)
    return np.array(list(best.values()))


def trees_of_folds(candidates: list[Candidate]) -> Trees:
    """The trees, with the threshold at 0."""
    measures = np.array([one.measures for one in candidates])
    part = np.array([one.page[1] % PARTS for one in candidates])
    evidence = np.zeros(len(candidates))
    for left_out in range(PARTS):
        seen = [one for one in candidates if one.page[1] % PARTS != left_out]
        trees = boosting.fitted(*learned("crease", seen))
        evidence[part == left_out] = trees.log_odds(measures[part == left_out])
    clean = most_of_pages("clean", SETS["crease"], candidates, evidence)
    threshold = float(np.quantile(clean, 1 - FLAGGED["crease"], method="higher"))
    creased = most_of_pages("crease", SETS["crease"], candidates, evidence)
    print(f"folds of pages that were left out: {(creased > threshold).mean():.1%} found")
    trees = boosting.fitted(*learned("crease", candidates))
    return replace(trees, start=float(f"{trees.start - threshold - 1e-3:.4g}"))


def weights_of_glare(candidates: list[Candidate]) -> np.ndarray:
    """Weights of the measures, and the last one alone."""
    x, is_damage = learned("glare", candidates)
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-9
    weights = logistic((x - mean) / spread, is_damage.astype(float))[:-1] / spread
    evidence = np.array([one.measures for one in candidates]) @ weights
    clean = most_of_pages("clean", SETS["glare"], candidates, evidence)
    return np.append(weights, -np.quantile(clean, 1 - FLAGGED["glare"], method="higher") - 1e-3)


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
    options.add_argument("--pages", type=Path, help="folder to keep the drawn pages in")
    options.add_argument("--check", action="store_true", help="compare, and write nothing")
    chosen = options.parse_args()
    cv2.setNumThreads(1)  # its threads wait for each other longer than they work
    found = looked_at(chosen.pages)
    weights = ", ".join(f"{weight:.4g}" for weight in weights_of_glare(found["glare"]))
    print(f"glare: ({weights})")
    trees = trees_of_folds(found["crease"])
    lines = [f'"start": {trees.start}']
    for name in ("features", "levels", "leaves"):
        rows = ",\n  ".join(json.dumps(row) for row in getattr(trees, name).tolist())
        lines.append(f'"{name}": [\n  {rows}\n]')
    text = "{" + ",\n".join(lines) + "}\n"
    if not chosen.check:
        write_text(creases.TREES, text)
    elif text != creases.TREES.read_text(encoding="utf-8"):
        sys.exit(f"{creases.TREES} is not what the development set says")


if __name__ == "__main__":
    main()
