"""What `cropping.creases` and `cropping.glare` decide by, fitted to the development set of scans.

    python benchmarks/cropping/scan_fit.py [--pages FOLDER] [--check]

Draws pages of three sets of scans.py, development, staged and varied, takes the measures of
everything on them that might be a fold or glare, and learns to tell what is from what is not: folds
by boosted trees and a small network, written to cropping/creases.json, glare by logistic
regression, whose weights are printed. The thresholds are such that `FLAGGED` of the clean
development pages are flagged by who did not see them. A quarter of an hour of CPU; with --pages the
pages are kept there, and a second time, or after an interruption, it takes a fraction. --check
writes nothing and fails where the file says something else: the network is the same again on the
same machine with the same versions.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import boosting
import cv2
import numpy as np
import scans
import strip_net
import torch
from PIL import Image

from cropping import creases, glare
from cropping.judge import Judge
from cropping.view import View
from lab.run import write_text

PAGES = {
    ("development", "clean"): 400, ("development", "crease"): 300, ("development", "glare"): 100,
    ("staged", "clean"): 160, ("staged", "crease"): 200,
    ("varied", "clean"): 500, ("varied", "crease"): 500,
}  # fmt: skip
FLAGGED = {"crease": 0.025, "glare": 0.0075}  # of the clean development pages
PARTS = 5  # of the pages; what saw four judges the fifth
RIDGE = 1.0  # of the weights of standardised measures


@dataclass(frozen=True)
class Candidate:
    """Something on a page: its measures, and how much of it and of the damage are the same."""

    kind: str
    page: tuple[str, int]
    measures: np.ndarray
    strip: np.ndarray | None
    share: float


def page(where_from: str, kind: str, index: int, folder: Path | None) -> tuple[View, np.ndarray]:
    """A page of a set as it is looked at, and where its damage is, bool [h, w] of `View.fine`."""
    file = folder / where_from / kind / f"{index}.png" if folder else None
    where = file.with_name(f"{index}.mask.png") if file else None
    if file and where and file.exists() and (kind == "clean" or where.exists()):
        view = View(Image.open(file))
        is_clean = kind == "clean"
        clean = np.zeros(view.fine.shape[:2], bool)
        return view, clean if is_clean else _read(where)
    scan = scans.scan(where_from, kind, index)
    view = View(scan.image)
    height, width = view.fine.shape[:2]
    damage = np.zeros((height, width), np.uint8)
    if scan.damage is not None:
        size = (width, height)
        small = cv2.resize(scan.damage.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        damage = (255 * small).astype(np.uint8)
    if file and where:
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(damage).save(where)
        view.image.save(file, compress_level=1)
    return view, damage > 90


def _read(mask: Path) -> np.ndarray:
    return np.asarray(Image.open(mask)) > 90


Looked = Iterator[tuple[np.ndarray, np.ndarray | None, float]]


def of_creases(view: View, damage: np.ndarray) -> Looked:
    """The folds that may be: their measures and strips, and how much of the damage they cover, or
    how much of them is damage, if that is more, as where there are several."""
    near = cv2.dilate(damage.astype(np.uint8), np.ones((3, 3), np.uint8))
    for fold in creases.folds(view):
        thick, thin = (np.zeros(damage.shape, np.uint8) for _ in range(2))
        cv2.polylines(thick, [fold.path], False, (1,), 9)
        cv2.polylines(thin, [fold.path], False, (1,), 1)
        covered = (damage & (thick > 0)).sum() / max(damage.sum(), 1)
        on = ((near > 0) & (thin > 0)).sum() / max(thin.sum(), 1)
        yield fold.measures, fold.strip, float(max(covered, on))


def of_glare(view: View, damage: np.ndarray) -> Looked:
    """The white spots, and how much of them is damage, if they are not a small part of it."""
    for spot in glare.spots(glare.without_text(view)):
        size = (spot.core.shape[1], spot.core.shape[0])
        true = cv2.resize(damage.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.35
        both = float((true & spot.core).sum())
        small = both < 0.08 * (true | spot.core).sum()
        yield spot.measures, None, min(both / spot.core.sum(), 0.2 if small else 1.0)


# What is damage, what it is damage of, from which share on, and below which it is none.
DAMAGE: dict[str, tuple[Callable, float, float]] = {
    "crease": (of_creases, 0.35, 0.1),
    "glare": (of_glare, 0.6, 0.15),
}
SETS = {"crease": ("development", "staged", "varied"), "glare": ("development",)}


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
                for measures, strip, share in look(view, here):
                    page_is = (where_from, index)
                    found[kind].append(Candidate(drawn, page_is, measures, strip, share))
        print(f"{where_from}, {drawn}: {count} pages", file=sys.stderr, flush=True)
    return found


def learned(kind: str, candidates: list[Candidate]) -> tuple[list[Candidate], np.ndarray]:
    """What is plainly damage of a kind, or plainly none, and which it is, bool [n]."""
    _, least, most = DAMAGE[kind]
    clear = [one for one in candidates if one.kind != kind or not most < one.share <= least]
    return clear, np.array([one.share > least for one in clear])


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
        if one.kind == kind and one.page[0] in sets:
            best[one.page] = max(best[one.page], value)
    return np.array(list(best.values()))


def judge_of_folds(candidates: list[Candidate], threshold: float = 0.0) -> Judge:
    """Trees and a network that know what they were shown."""
    clear, is_fold = learned("crease", candidates)
    trees = boosting.fitted(measures_of(clear), is_fold)
    net = strip_net.trained(strips_of(clear), measures_of(clear), is_fold)
    return Judge(replace(trees, start=float(f"{trees.start:.4g}")), net, threshold)


def measures_of(candidates: Sequence[Candidate]) -> np.ndarray:
    return np.array([one.measures for one in candidates])


def strips_of(candidates: Sequence[Candidate]) -> np.ndarray:
    return np.array([one.strip for one in candidates])


def evidence_by(judge: Judge, candidates: Sequence[Candidate]) -> np.ndarray:
    """The evidence for each, page by page."""
    rows: dict[tuple, list[int]] = {}
    for row, one in enumerate(candidates):
        rows.setdefault((one.kind, one.page), []).append(row)
    found = np.zeros(len(candidates))
    for here in rows.values():
        lines = [candidates[row] for row in here]
        found[here] = judge.evidence(measures_of(lines), strips_of(lines))
    return found


def left_out(candidates: list[Candidate]) -> np.ndarray:
    """The evidence for each by who did not see its page. Of the varied pages, each part is of two
    worlds that the other parts have no page of."""
    part = np.array([one.page[1] % PARTS for one in candidates])
    evidence = np.zeros(len(candidates))
    for k in range(PARTS):
        seen = [one for one in candidates if one.page[1] % PARTS != k]
        others = [one for one in candidates if one.page[1] % PARTS == k]
        evidence[part == k] = evidence_by(judge_of_folds(seen), others)
    return evidence


def threshold_of_folds(candidates: list[Candidate], evidence: np.ndarray) -> float:
    """That which `FLAGGED` of the clean development pages exceed; prints what is found with it."""
    clean = most_of_pages("clean", ("development",), candidates, evidence)
    threshold = float(np.quantile(clean, 1 - FLAGGED["crease"], method="higher")) + 1e-3
    for where_from in SETS["crease"]:
        flagged, found = (
            (most_of_pages(kind, (where_from,), candidates, evidence) > threshold).mean()
            for kind in ("clean", "crease")
        )
        print(f"{where_from}, pages left out: {found:.1%} found, {flagged:.1%} of clean flagged")
    return float(f"{threshold:.4g}")


def written(judge: Judge) -> str:
    """The judge as a JSON file, an array's row a line."""
    parts = [f'"threshold": {judge.threshold}']
    trees = [f'"start": {judge.trees.start}']
    trees += [_array(name, getattr(judge.trees, name)) for name in ("features", "levels", "leaves")]
    net = [_array(field.name, getattr(judge.net, field.name)) for field in fields(judge.net)]
    for name, arrays in (("trees", trees), ("net", net)):
        parts.append(f'"{name}": {{\n' + ",\n".join(arrays) + "}")
    return "{" + ",\n".join(parts) + "}\n"


def _array(name: str, array: np.ndarray) -> str:
    rows = ([float(f"{v:.4g}") for v in row] if array.dtype == np.float32 else row.tolist()
            for row in array)  # fmt: skip
    return f'"{name}": [\n  ' + ",\n  ".join(json.dumps(row) for row in rows) + "]"


def weights_of_glare(candidates: list[Candidate]) -> np.ndarray:
    """Weights of the measures, and the last one alone."""
    clear, is_damage = learned("glare", candidates)
    x = measures_of(clear)
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-9
    weights = logistic((x - mean) / spread, is_damage.astype(float))[:-1] / spread
    evidence = measures_of(candidates) @ weights
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
    torch.set_num_threads(1)
    found = looked_at(chosen.pages)
    weights = ", ".join(f"{weight:.4g}" for weight in weights_of_glare(found["glare"]))
    print(f"glare: ({weights})")
    threshold = threshold_of_folds(found["crease"], left_out(found["crease"]))
    text = written(judge_of_folds(found["crease"], threshold))
    if not chosen.check:
        write_text(creases.JUDGE, text)
    elif text != creases.JUDGE.read_text(encoding="utf-8"):
        sys.exit(f"{creases.JUDGE} is not what the development set says")


if __name__ == "__main__":
    main()
