"""The pictures that a model draws: one file each, a grid, and how their colours are distributed."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from ddpm.config import Config
from ddpm.denoising import denoise
from ddpm.looks import density_figure, parts_of
from ddpm.pixels import to_pixels
from ddpm.stages import Bench
from lab.device import padded_chunks
from lab.images import enlarge, grid, read_image, save_figure, save_png
from lab.run import Progress, Run

LABEL = "drawing"
CELL = 96  # px of a picture in the grid


def stage(config: Config, run: Run, bench: Bench) -> Iterator[Progress]:
    """samples/SEED.png, samples.png and, where there are data, their densities beside these."""
    if not config.sample.count:
        return
    seeds = range(config.sample.seed, config.sample.seed + config.sample.count)
    folder = run.folder / "samples"
    yield from _draw(config, bench, seeds, folder)
    drawn = [read_image(path_of(folder, seed)) for seed in seeds]
    columns = min(8, max(4, round(len(drawn) ** 0.5)))
    save_png(grid([enlarge(image, CELL) for image in drawn], columns), run.folder / "samples.png")
    run.show(run.folder / "samples.png", f"pictures of the seeds {seeds[0]} to {seeds[-1]}")
    if bench.pictures is not None:
        sets = parts_of(bench.pictures) | {"generated": np.stack([np.asarray(i) for i in drawn])}
        save_figure(density_figure(sets), run.folder / "densities.png")


def path_of(folder: Path, seed: int) -> Path:
    """Where the picture of a seed lies."""
    return folder / f"{seed}.png"


def _draw(config: Config, bench: Bench, seeds: range, folder: Path) -> Iterator[Progress]:
    """Draw in batches of one size, and again only what is not there yet."""
    settings = config.sample
    chunks = list(padded_chunks(seeds, settings.batch_size))
    for number, (chunk, real) in enumerate(chunks):
        if all(path_of(folder, seed).exists() for seed in chunk):
            continue
        for step in denoise(
            bench.unet, bench.scheduler, seeds=chunk, steps=settings.steps,
            sampler=settings.sampler, eta=settings.eta, dtype=bench.dtype,
        ):  # fmt: skip
            done = number * (step.count + 1) + step.index
            yield Progress(LABEL, done, len(chunks) * (step.count + 1))
        about = {"sampler": settings.sampler, "steps": str(step.count)}
        for seed, pixels in list(zip(chunk, to_pixels(step.x_t), strict=True))[:real]:
            save_png(Image.fromarray(pixels), path_of(folder, seed), about | {"seed": str(seed)})
