"""A grid of pictures coming out of the noise, as a film: the first frame is x_T, the last the
sample."""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from ddpm.config import Config
from ddpm.denoising import Step, denoise
from ddpm.pixels import to_pixels
from ddpm.stages import Bench
from ddpm.study_config import Film
from lab.images import save_png
from lab.run import Progress, Run, write_json
from lab.video import write_video

GAP = 2  # px between pictures, before they are enlarged
NIGHT = 24  # the grey between them
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
    """The stage: film/frames/ and film/film.gif, .mp4 or .webm."""
    settings = config.film
    if settings is None:
        return
    folder = run.folder / "film"
    frames = folder / "frames"
    if not saved_frames(frames):
        seeds = range(config.sample.seed, config.sample.seed + settings.pictures)
        steps = denoise(
            bench.unet,
            bench.scheduler,
            seeds=seeds,
            steps=config.sample.steps,
            sampler=config.sample.sampler,
            eta=config.sample.eta,
            dtype=bench.dtype,
        )
        yield from save_frames(steps, frames, settings.of, settings.most)
    paths = [frames / line["file"] for line in saved_frames(frames)]
    for done, suffix in enumerate(settings.formats):
        yield Progress("writing films", done, len(settings.formats))
        path = folder / f"film.{suffix}"
        if not path.exists():
            write_film(paths, path, settings)
        run.show(path, f"{len(paths)} frames from x_T to the sample, {settings.pictures} pictures")
    yield Progress("writing films", len(settings.formats), len(settings.formats))
