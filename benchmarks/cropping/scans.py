"""Drawn scans with drawn damage: how much of it `cropping.cleaning` finds, and what else.

    python -m benchmarks.cropping.scans              # both sets -> benchmarks/results/scans.md

A clean scan is a picture of storybook's illustrator, alone or printed on a page with text, with
what might be mistaken for damage: ruled frames, horizons, moons, mist, skies that fade,
watercolours that end softly on white paper; and paper, grain and JPEG. Damage is then laid over it
by its optics: folds and shading multiply the light, glare adds to it. The development set is what
the thresholds of `cleaning` were chosen on; the held-out one has seeds, and sizes, that were not
looked at.
"""

import argparse
import io
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from cropping.cleaning import FINDERS, find_flaws
from lab.run import write_text
from storybook.illustrator import training_drawing

Rng = np.random.Generator
Light = np.ndarray  # float32 [h, w, 3], 0..1
SEEDS = {"development": 1, "held-out": 2}
LONG_SIDES = {"development": (700, 1400), "held-out": (600, 2400)}
RESULT = Path(__file__).parents[1] / "results" / "scans.md"
LEAST_OVERLAP = 0.25  # of intersection over union of the masks, for damage to count as found there


@dataclass(frozen=True)
class Scan:
    """A picture, and the mask of its damage (bool [h, w]; None: it is clean)."""

    image: Image.Image
    damage: np.ndarray | None


def scan(kind: str, seed: int, index: int, long_sides: tuple[int, int]) -> Scan:
    """Scan number `index` with damage of a kind, or "clean"; the same for the same seed."""
    rng = np.random.default_rng([seed, index, ["clean", *DAMAGES].index(kind)])
    light = page(rng, seed, index, int(rng.integers(*long_sides)))
    damage = None
    if kind != "clean":
        light, damage = DAMAGES[kind](light, rng)
    grain = rng.normal(0, rng.uniform(0.002, 0.012), light.shape).astype(np.float32)
    pixels = (np.clip(light + grain, 0, 1) * 255).round().astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=int(rng.integers(75, 96)))
    return Scan(Image.open(buffer).convert("RGB"), damage)


# --- clean pages


def page(rng: Rng, seed: int, index: int, long_side: int) -> Light:
    """A drawn picture, filling the page, framed on it, or fading into it."""
    small = training_drawing(1000 + seed, index, 320).image
    aspect = float(np.exp(rng.uniform(-0.5, 0.4)))
    width, height = (
        (long_side, round(long_side / aspect))
        if aspect > 1
        else (round(long_side * aspect), long_side)
    )
    side = max(width, height)
    drawn = np.asarray(small.resize((side, side), Image.Resampling.BICUBIC), np.float32) / 255
    y, x = (side - height) // 2, (side - width) // 2
    light = drawn[y : y + height, x : x + width].copy()
    for decoy in DECOYS:
        if rng.random() < 0.3:
            light = decoy(light, rng)
    layout = rng.random()
    if layout < 0.45:
        return light
    return _on_page(light, rng, is_vignette=layout > 0.75)


def _on_page(light: Light, rng: Rng, is_vignette: bool) -> Light:
    """The picture reduced, on paper, with a few lines of text below it."""
    height, width = light.shape[:2]
    paper = np.array([0.97, 0.95, 0.9], np.float32) * rng.uniform(0.94, 1.02)
    canvas = np.broadcast_to(np.minimum(paper, 1), light.shape).copy()
    scale = rng.uniform(0.6, 0.85)
    inner = cv2.resize(
        light, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA
    )
    h, w = inner.shape[:2]
    y, x = round(0.06 * height), (width - w) // 2
    if is_vignette:
        alpha = np.zeros((h, w), np.float32)
        middle, axes = (w // 2, h // 2), (round(0.4 * w), round(0.4 * h))
        cv2.ellipse(alpha, middle, axes, 0, 0, 360, 1, -1)
        alpha = cv2.GaussianBlur(alpha, (0, 0), 0.03 * w)[..., None]
        inner = alpha * inner + (1 - alpha) * canvas[y : y + h, x : x + w]
    canvas[y : y + h, x : x + w] = inner
    step = max(8, height // 60)
    for line in range(y + h + 2 * step, height - 3 * step, 2 * step):
        at = x
        while at < x + w:
            word = int(rng.integers(2, 7)) * step
            cv2.rectangle(
                canvas, (at, line), (min(at + word, x + w), line + step // 2), (0.2,) * 3, -1
            )
            at += word + step
    return canvas


def frame(light: Light, rng: Rng) -> Light:
    """A ruled frame, thin or thick, a little inside the edges."""
    height, width = light.shape[:2]
    inset, thick = int(rng.uniform(0.01, 0.05) * width), int(rng.integers(1, 2 + width // 150))
    colour = rng.uniform(0, 0.5, 3).tolist()
    cv2.rectangle(light, (inset, inset), (width - inset, height - inset), colour, thick)
    return light


def line(light: Light, rng: Rng) -> Light:
    """A drawn line right across: a horizon, a rope, the edge of a table."""
    height, width = light.shape[:2]
    y0, y1 = rng.uniform(0.3, 0.9) * height, rng.uniform(0.3, 0.9) * height
    colour = rng.uniform(0, 0.5, 3).tolist()
    thick = int(rng.integers(1, 2 + width // 200))
    cv2.line(light, (0, int(y0)), (width, int(y1)), colour, thick, cv2.LINE_AA)
    return light


def trunks(light: Light, rng: Rng) -> Light:
    """Posts or trunks from the upper to the lower edge."""
    height, width = light.shape[:2]
    for _ in range(int(rng.integers(1, 4))):
        x, w = rng.uniform(0.05, 0.95) * width, rng.uniform(0.02, 0.06) * width
        colour = rng.uniform(0.1, 0.6, 3).tolist()
        cv2.rectangle(light, (int(x), 0), (int(x + w), height), colour, -1)
    return light


def moon(light: Light, rng: Rng) -> Light:
    """A white disc with a crisp edge, or one with a small halo."""
    height, width = light.shape[:2]
    radius = int(rng.uniform(0.03, 0.1) * width)
    centre = int(rng.uniform(0.1, 0.9) * width), int(rng.uniform(0.1, 0.5) * height)
    cv2.circle(light, centre, radius, (1.0, 1.0, rng.uniform(0.8, 1)), -1, cv2.LINE_AA)
    return light


def sky(light: Light, rng: Rng) -> Light:
    """The upper half fades into a light colour, as a sky does, or the lower into mist."""
    height = light.shape[0]
    ramp = np.clip(1 - np.arange(height) / (rng.uniform(0.3, 0.8) * height), 0, 1)
    ramp = (ramp[::-1] if rng.random() < 0.4 else ramp) * rng.uniform(0.3, 0.9)
    colour = rng.uniform(0.6, 1, 3).astype(np.float32)
    alpha = ramp.astype(np.float32)[:, None, None]
    return light * (1 - alpha) + colour * alpha


DECOYS: Sequence[Callable[[Light, Rng], Light]] = (frame, line, trunks, moon, sky)


# --- damage


def gutter(light: Light, rng: Rng) -> tuple[Light, np.ndarray]:
    """The shadow of a book's fold: soft, dark, at a side or in the middle, a little aslant."""
    height, width = light.shape[:2]
    where = rng.choice([0.0, 0.02, 0.5, 0.98, 1.0]) * width
    tilt = np.tan(np.radians(rng.uniform(-1.2, 1.2)))
    y, x = np.mgrid[:height, :width].astype(np.float32)
    away = np.abs(x - where - (y - height / 2) * tilt)
    soft = rng.uniform(0.015, 0.05) * width
    depth = rng.uniform(0.35, 0.8)
    shadow = depth * np.exp(-away / soft)
    return light * (1 - shadow[..., None]), shadow > 0.1


def crease(light: Light, rng: Rng) -> tuple[Light, np.ndarray]:
    """A fold in the page: a thin line of broken, lighter or darker paper, at any angle, not quite
    straight, along three quarters of the way across or all of it."""
    height, width = light.shape[:2]
    side = max(height, width)
    angle = rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)]) + np.radians(rng.uniform(-4, 4))
    along, across = (
        np.array([np.cos(angle), np.sin(angle)]),
        np.array([-np.sin(angle), np.cos(angle)]),
    )
    middle = np.array([rng.uniform(0.25, 0.75) * width, rng.uniform(0.25, 0.75) * height])
    t = np.linspace(-1.5, 1.5, 400) * side
    wobble = np.interp(t, np.linspace(t[0], t[-1], 40), rng.normal(0, 0.0012, 40) * side)
    points = middle + t[:, None] * along + wobble[:, None] * across
    line = np.zeros((height, width), np.float32)
    thick = max(1, round(rng.uniform(0.0015, 0.004) * side))
    cv2.polylines(line, [(points * 16).round().astype(np.int32)], False, 1.0, thick, cv2.LINE_AA, 4)
    if rng.random() < 0.4:  # it ends somewhere
        y, x = np.mgrid[:height, :width].astype(np.float32)
        reach = (x - middle[0]) * along[0] + (y - middle[1]) * along[1]
        inside = reach[line > 0.5]
        cut = np.quantile(inside, rng.uniform(0.05, 0.25)) if len(inside) else 0
        line *= reach > cut
    line = cv2.GaussianBlur(line, (0, 0), 0.0006 * side + 0.3)
    strength = rng.uniform(0.3, 0.75)
    paper = 0.93 if rng.random() < 0.6 else 0.25
    mixed = light + strength * line[..., None] * (paper - light)
    offset = np.float32([[1, 0, across[0] * thick], [0, 1, across[1] * thick]])
    shadow = cv2.warpAffine(line, offset, (width, height)) * rng.uniform(0.1, 0.35)
    return mixed * (1 - shadow[..., None]), line > 0.3


def glare(light: Light, rng: Rng) -> tuple[Light, np.ndarray]:
    """A lamp's reflection: an ellipse of added white, burnt out in its middle, with no edge."""
    height, width = light.shape[:2]
    side = max(height, width)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = x - rng.uniform(0.1, 0.9) * width, y - rng.uniform(0.1, 0.9) * height
    turn = rng.uniform(0, np.pi)
    a, b = rng.uniform(0.05, 0.14) * side, rng.uniform(0.03, 0.1) * side
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    spot = rng.uniform(0.9, 1.6) * np.exp(-0.5 * ((u / a) ** 2 + (v / b) ** 2))
    warm = np.array([1, rng.uniform(0.94, 1), rng.uniform(0.85, 1)], np.float32)
    return np.minimum(light + spot[..., None] * warm, 1), spot > 0.35


def shading(light: Light, rng: Rng) -> tuple[Light, np.ndarray]:
    """Light that falls off evenly across the page, to between half and three quarters."""
    height, width = light.shape[:2]
    turn = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    ramp = (x / width - 0.5) * np.cos(turn) + (y / height - 0.5) * np.sin(turn)
    ramp = (ramp - ramp.min()) / (ramp.max() - ramp.min())
    dark = rng.uniform(0.3, 0.5) * ramp ** rng.uniform(1, 2)
    return light * (1 - dark[..., None]), dark > 0.15


DAMAGES: dict[str, Callable[[Light, Rng], tuple[Light, np.ndarray]]] = {
    "gutter": gutter,
    "crease": crease,
    "glare": glare,
    "shading": shading,
}


# --- measuring


def overlap(found: Sequence, truth: np.ndarray) -> float:
    """Intersection over union of the found masks with the true one, at the found masks' size."""
    masks = [flaw.weights < 128 for flaw in found]
    if not masks:
        return 0.0
    union = np.any(masks, axis=0)
    size = union.shape[::-1]
    true = cv2.resize(truth.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.3
    if min(size) > 0:  # a crease is a line: a mask that is a few pixels beside it is on it
        near = cv2.dilate(true.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
        return float((near & union).sum() / max((true | union).sum(), 1))
    return 0.0


def judge(job: tuple[str, str, int]) -> dict[str, float]:
    """What is found in one scan: kind -> overlap with the damage (of other kinds: 1, if found)."""
    where, kind, index = job
    made = scan(kind, SEEDS[where], index, LONG_SIDES[where])
    flaws = find_flaws(made.image, tuple(FINDERS))
    found: dict[str, float] = {}
    for other in FINDERS:
        of_kind = [flaw for flaw in flaws if flaw.kind == other]
        if of_kind:
            found[other] = overlap(of_kind, made.damage) if made.damage is not None else 1.0
    return found


def measure(where: str, count: int, workers: int) -> list[str]:
    """Rows of the table: what was drawn, and the share of scans in which each kind was found."""
    rows = []
    with ProcessPoolExecutor(workers) as pool:
        for kind in ("clean", *DAMAGES):
            jobs = [(where, kind, index) for index in range(count)]
            found = list(pool.map(judge, jobs, chunksize=8))
            shares = [sum(other in one for one in found) / count for other in FINDERS]
            placed = sum(one.get(kind, 0.0) >= LEAST_OVERLAP for one in found) / count
            any_share = sum(bool(one) for one in found) / count
            cells = [f"{share:.1%}" for share in (*shares, any_share)]
            cells.append("" if kind == "clean" else f"{placed:.1%}")
            rows.append(f"| {where} | {kind} | " + " | ".join(cells) + " |")
            print(rows[-1], flush=True)
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=300, help="scans of each kind and set")
    parser.add_argument("--sets", nargs="+", choices=list(SEEDS), default=list(SEEDS))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args(argv)
    rows = [row for where in options.sets for row in measure(where, options.count, options.workers)]
    kinds = list(FINDERS)
    table = [
        "| set | drawn | "
        + " | ".join(f"{kind} found" for kind in kinds)
        + " | any | in its place |",
        "| --- | --- |" + " ---: |" * (len(kinds) + 2),
        *rows,
    ]
    text = (
        "# Damage of scans, drawn and found\n\n"
        f"`python -m benchmarks.cropping.scans --count {options.count}`, once: {options.count} "
        "scans of each kind and set.\nRows: what was drawn. Columns: the share of these scans in "
        "which each kind was found; any of\nthem; and its own kind with at least "
        f"{LEAST_OVERLAP:.0%} of intersection over union with the true place.\n\n"
    )
    write_text(options.out, text + "\n".join(table) + "\n")


if __name__ == "__main__":
    main()
