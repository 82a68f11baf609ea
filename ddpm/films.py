"""A grid of pictures coming out of the noise, as a film: the first frame is x_T, the last the
sample."""

import itertools
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from ddpm.config import Config
from ddpm.denoising import Guidance, Step, denoise
from ddpm.guidance import guided_by
from ddpm.guides import LOSSES
from ddpm.pixels import to_pixels
from ddpm.samples import path_of
from ddpm.stages import Bench
from ddpm.study_config import Film
from lab.images import save_png
from lab.run import Progress, Run, write_json
from lab.video import write_video

GAP = 2  # px between pictures, before they are enlarged
NIGHT = 24  # the grey between them
FRAMES, UNGUIDED = "frames", "unguided"
LISTING = "frames.json"
"""Beside the frames, written last: what each of them shows."""


def filmed_steps(count: int, most: int) -> list[int]:
    """Which of the Steps 0 .. count are shown, `most` at most: evenly, 0 and `count` always."""
    if count + 1 <= most:
        return list(range(count + 1))
    return [round(k * count / (most - 1)) for k in range(most)]


def tiled(pixels: np.ndarray, columns: int) -> np.ndarray:
    """Pictures uint8 [n, h, w, 3] in rows of `columns` as one, [H, W, 3]."""
    count, height, width, _ = pixels.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    shape = (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3)
    whole = np.full(shape, NIGHT, np.uint8)
    for k, picture in enumerate(pixels):
        y, x = (k // columns) * (height + GAP), (k % columns) * (width + GAP)
        whole[y : y + height, x : x + width] = picture
    return whole


def frame_of(step: Step, of: str) -> np.ndarray:
    """The frame uint8 [H, W, 3] of a step, its pixels as they are."""

    def grid(pictures: Tensor) -> np.ndarray:
        return tiled(to_pixels(pictures), math.ceil(len(pictures) ** 0.5))

    if of == "both":
        left, right = grid(step.x_t), grid(step.x_0)
        middle = np.full((len(left), 3 * GAP, 3), 255, np.uint8)
        return np.concatenate([left, middle, right], axis=1)
    return grid(step.x_t if of == "x_t" else step.x_0)


def save_frames(
    steps: Iterator[Step], folder: Path, of: str = "x_t", most: int = 120
) -> Iterator[Progress]:
    """Write a PNG for each step that is filmed, one after the other, and LISTING at the end."""
    listing, wanted = [], set()
    for step in steps:
        wanted = wanted or set(filmed_steps(step.count, most))
        if step.index in wanted:
            name = f"{len(listing):04}.png"
            about = {"step": step.index, "timestep": step.timestep, "alpha_bar": step.alpha_bar}
            text = {key: str(value) for key, value in about.items()}
            save_png(Image.fromarray(frame_of(step, of)), folder / name, text)
            listing.append({"file": name, **about})
        yield Progress("filming", step.index, step.count)
    write_json(folder / LISTING, listing)


def saved_frames(folder: Path) -> list[dict]:
    """What `save_frames` wrote: file, step, timestep and alpha_bar of each frame; [] if it was not
    finished."""
    if not (folder / LISTING).exists():
        return []
    return json.loads((folder / LISTING).read_text(encoding="utf-8"))


def write_film(frames: Sequence[Path], path: Path, settings: Film) -> None:
    """The frames, each once, and the last one held; enlarged by a whole number, pixel for pixel."""
    held = round(settings.hold * settings.fps)

    def look(index: int) -> np.ndarray:
        with Image.open(frames[min(index, len(frames) - 1)]) as image:
            factor = max(1, settings.size // max(image.size))
            pixels = np.asarray(image.convert("RGB"))
        return pixels.repeat(factor, axis=0).repeat(factor, axis=1)

    about = {"title": "noise to pictures", "comment": f"{len(frames)} frames, the last one held"}
    write_video(look, len(frames) + held, settings.fps, path, metadata=about)


def film(config: Config, run: Run, bench: Bench) -> Iterator[Progress]:
    """The stage: film/frames/, film/pictures/ and film/film.gif, .mp4 or .webm; of a film that is
    led by losses film/unguided/ has the same without."""
    settings = config.film
    if settings is None:
        return
    reels: dict[Path, Guidance | None] = {run.folder / "film": _leading(settings, bench)}
    if settings.guide is not None:
        reels[run.folder / "film" / UNGUIDED] = None
    if not all(saved_frames(reel / FRAMES) for reel in reels):
        shots = [_shoot(config, settings, bench, *reel) for reel in reels.items()]
        for progress, *_ in zip(*shots, strict=True):
            yield progress
    total = len(reels) * len(settings.formats)
    for done, (reel, suffix) in enumerate(itertools.product(reels, settings.formats)):
        yield Progress("writing films", done, total)
        paths = [reel / FRAMES / line["file"] for line in saved_frames(reel / FRAMES)]
        path = reel / f"film.{suffix}"
        if not path.exists():
            write_film(paths, path, settings)
        what = f"{len(paths)} frames from x_T to the sample, {settings.pictures} pictures"
        run.show(path, what + (", without guidance" if reel.name == UNGUIDED else ""))
    yield Progress("writing films", total, total)


def _leading(settings: Film, bench: Bench) -> Guidance | None:
    """All of the film's losses together; None where there are none."""
    lead = settings.guide
    if lead is None:
        return None
    guides = [(LOSSES[loss.loss](loss, bench.device), loss.scale) for loss in lead.losses]
    return guided_by(guides, lead.form, lead.weight)


def _shoot(
    config: Config, settings: Film, bench: Bench, folder: Path, guidance: Guidance | None
) -> Iterator[Progress]:
    seeds = range(config.sample.seed, config.sample.seed + settings.pictures)
    steps = denoise(
        bench.unet,
        bench.scheduler,
        seeds=seeds,
        steps=config.sample.steps,
        sampler=config.sample.sampler,
        eta=config.sample.eta,
        guidance=guidance,
        dtype=bench.dtype,
    )
    kept = _keeping(steps, seeds, folder / "pictures")
    yield from save_frames(kept, folder / FRAMES, settings.of, settings.most)


def _keeping(steps: Iterator[Step], seeds: range, folder: Path) -> Iterator[Step]:
    """The Steps as they come; each picture of the last one is saved, as SEED.png."""
    for step in steps:
        if step.index == step.count:
            for seed, pixels in zip(seeds, to_pixels(step.x_t), strict=True):
                save_png(Image.fromarray(pixels), path_of(folder, seed), {"seed": str(seed)})
        yield step
