"""What the data look like: a sheet of each part, and how its colours are distributed; the curves of
the training."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from ddpm.config import Config
from ddpm.data import PARTS, Pictures
from ddpm.learning import Learned, read_learned
from ddpm.stages import Bench
from lab.images import enlarge, grid, save_figure, save_png
from lab.run import Progress, Run

SHOWN, CELL = 8, 64  # pictures of each part, and px of each
BINS = 64
COLOURS = {
    "train": "#1f6f8b", "validation": "#2b6a4d", "test": "#b3541e", "generated": "#111111",
}  # fmt: skip


def stage(config: Config, run: Run, bench: Bench) -> Iterator[Progress]:
    """data.png, densities.png and, of a training, training.png."""
    learned = read_learned(run.folder) if config.train else None
    if learned is not None:
        path = run.folder / "training.png"
        save_figure(curves(learned), path)
        run.show(path, "loss and validation loss over the steps")
    if bench.pictures is None:
        return
    yield Progress("looking at the data", 0, 1)
    save_png(sheet(bench.pictures), run.folder / "data.png")
    run.show(run.folder / "data.png", "pictures of each part of the data")
    save_figure(density_figure(parts_of(bench.pictures)), run.folder / "densities.png")
    run.show(run.folder / "densities.png", "how bright red, green and blue are in each part")
    yield Progress("looking at the data", 1, 1)


def parts_of(pictures: Pictures) -> dict[str, np.ndarray]:
    """The pictures of each part that has any."""
    return {name: pictures.part(name) for name in PARTS if getattr(pictures, name)}


def sheet(pictures: Pictures) -> Image.Image:
    """The first pictures of each part, a row each."""
    found, rows = [], []
    for name in PARTS:
        part = pictures.pixels[list(getattr(pictures, name)[:SHOWN])]
        if len(part) == SHOWN:
            rows.append(f"{name} {len(getattr(pictures, name)):,}")
            found += [enlarge(Image.fromarray(picture), CELL) for picture in part]
    if not found:  # few pictures: all of them, whatever they are for
        found = [enlarge(Image.fromarray(picture), CELL) for picture in pictures.pixels]
    return grid(found, SHOWN, row_labels=rows or None)


def densities(pixels: np.ndarray) -> np.ndarray:
    """How often each brightness occurs in red, green and blue: [3, 64] densities over 0..255, which
    integrate to 1, of pictures uint8 [n, h, w, 3]."""
    counted = [
        np.histogram(pixels[..., channel], bins=BINS, range=(0, 256), density=True)[0]
        for channel in range(3)
    ]
    return np.stack(counted)


def density_figure(sets: Mapping[str, np.ndarray]) -> Figure:
    """The densities of several sets of pictures over each other, a panel for each colour."""
    figure = Figure(figsize=(9.6, 2.9), layout="constrained")
    middle = (np.arange(BINS) + 0.5) * 256 / BINS
    panels = figure.subplots(1, 3, sharey=True)
    counted = {name: densities(pixels) for name, pixels in sets.items()}
    for channel, (panel, colour) in enumerate(zip(panels, ("red", "green", "blue"), strict=True)):
        for name, density in counted.items():
            width = 2.2 if name == "generated" else 1.2
            label = f"{name} ({len(sets[name]):,})"
            panel.plot(middle, density[channel], color=COLOURS.get(name), lw=width, label=label)
        panel.set(xlabel=colour, xlim=(0, 256), yscale="log")
    panels[0].set_ylabel("density")
    panels[2].legend(fontsize=8)
    return figure


def curves(learned: Learned) -> Figure:
    """The steps' losses, their running mean, and the validation loss."""
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    panel = figure.subplots()
    steps = np.arange(1, len(learned.losses) + 1)
    panel.plot(steps, learned.losses, color="#bbbbbb", lw=0.7, label="loss of a step")
    panel.plot(steps, running_mean(learned.losses), color="#555555", lw=1.4, label="its mean")
    if learned.validation:
        x, y = zip(*learned.validation, strict=True)
        panel.plot(
            x, y, color="#b3541e", marker="o", ms=3, lw=1.4, label="validation, averaged weights"
        )
        panel.axvline(learned.best_step, color="#b3541e", lw=0.8, ls=":")
    panel.set(xlabel="step", ylabel="loss", yscale="log")
    panel.legend(fontsize=8)
    return figure


def running_mean(values: Sequence[float], share: float = 0.05) -> np.ndarray:
    """The mean of the last `share` of all values, at each of them."""
    width = max(1, round(len(values) * share))
    total = np.cumsum([0.0, *values])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - width, 0)
    return (total[ends] - total[starts]) / (ends - starts)
