"""How pictures disappear in noise: schedules side by side, and strips of noised pictures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from ddpm.config import Config
from ddpm.pixels import to_pixels, to_tensor
from ddpm.shares import principal_variances, variance_shares
from ddpm.stages import Bench
from ddpm.tables import Table, save_table
from diffusion.process import q_sample
from diffusion.schedule import alpha_bars, betas
from lab.device import noise
from lab.images import enlarge, save_figure, save_png
from lab.run import Progress, Run
from lab.sheet import draw_sheet

MADE_FOR = 1000  # timesteps, for which the usual betas are made
COLOURS = {"linear": "#b3541e", "scaled_linear": "#1f6f8b", "squaredcos_cap_v2": "#2b6a4d"}
CELL = 96  # px of a picture in the strips
PART = "validation"
"""Of the data, from which the strip's pictures are."""


@dataclass(frozen=True)
class Named:
    """A schedule with what tells it from the others."""

    name: str
    scaled: bool
    alpha_bar: Tensor

    @property
    def label(self) -> str:
        return f"{self.name}, betas x 1000/T" if self.scaled else self.name


def compared(
    names: Sequence[str], timesteps: int, beta_start: float, beta_end: float
) -> list[Named]:
    """Each schedule with its betas as they are, and times 1000 / T where that makes a difference
    and a schedule: a beta stays below 1."""
    found = []
    for name in names:
        for factor in (1.0, MADE_FOR / timesteps):
            scaled = factor != 1
            if scaled and (name == "squaredcos_cap_v2" or beta_end * factor >= 1):
                continue
            beta = betas(name, timesteps, beta_start * factor, beta_end * factor)
            found.append(Named(name, scaled, torch.cumprod(1 - beta, 0)))
            if timesteps == MADE_FOR:
                break
    return found


def schedule_figure(schedules: Sequence[Named], own: Tensor) -> Figure:
    """What is left of the picture over the timesteps, and the share of the picture in x_T."""
    figure = Figure(figsize=(9.6, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    for one in schedules:
        colour, style = COLOURS[one.name], "--" if one.scaled else "-"
        kept = one.alpha_bar.sqrt()
        left.plot(kept, color=colour, linestyle=style, linewidth=1.6)
        ratio = one.alpha_bar / (1 - one.alpha_bar)
        label = rf"{one.label}: $\sqrt{{\bar\alpha_T}}$ = {float(kept[-1]):.3g}"
        right.plot(ratio.clamp(min=1e-12), color=colour, linestyle=style, label=label)
    left.plot(own.sqrt(), color="black", alpha=0.25, linewidth=6, label="this model's", zorder=0)
    left.set(ylabel=r"$\sqrt{\bar\alpha_t}$: the picture's part of $x_t$", ylim=(-0.02, 1.02))
    right.set(ylabel=r"$\bar\alpha_t / (1 - \bar\alpha_t)$: picture over noise", yscale="log")
    right.set_ylim(1e-7, None)
    for axes in (left, right):
        axes.set_xlabel(f"timestep t of {len(own)}")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False, fontsize=8)
    return figure


def schedule_table(schedules: Sequence[Named], variance: float | None) -> Table:
    """The ends of the schedules; `variance` is that of the data along their first component."""
    columns = ["schedule", "beta_T", "sqrt(alpha_bar_T)"]
    if variance is not None:
        columns += ["variance of the coarse that samples keep", "of it from x_T"]
    rows = []
    for one in schedules:
        a = one.alpha_bar
        row = [one.label, 1 - float(a[-1] / a[-2]), float(a[-1].sqrt())]
        if variance is not None:
            shares = variance_shares(a, variance)
            row += [shares.total / variance, shares.of_x_T]
        rows.append(tuple(row))
    about = "sqrt(alpha_bar_T) is the picture's part of the noise that sampling begins with."
    if variance is not None:
        about += (
            " The last columns are exact for Gaussian data with the variance that these pictures"
            " have along their first principal component, whatever the model: drawn from"
            " x_T ~ N(0, 1) by DDPM at every timestep."
        )
    return Table("Schedules at their end", tuple(columns), tuple(rows), about)


def noised(picture: Tensor, alpha_bar: Tensor, timesteps: Sequence[int]) -> Tensor:
    """A picture [3, h, w] at each of the timesteps, [n, 3, h, w]; always in the same noise."""
    eps = noise(picture.shape, 0)
    return torch.stack([q_sample(picture, eps, float(alpha_bar[t])) for t in timesteps])


def shown_timesteps(asked: Sequence[int], count: int) -> list[int]:
    """Those asked for that there are; without any, five from the first to the last."""
    chosen = [t for t in asked if t < count]
    return chosen or sorted({round(k * (count - 1) / 4) for k in range(5)})


def save_strip(
    rows: Sequence[tuple[str, Tensor, Tensor]], timesteps: Sequence[int], title: str, path: Path
) -> None:
    """A sheet with a row for each (name, picture [3, h, w], alpha_bar): x_0, then noised."""
    cells: list[Image.Image] = []
    for _, picture, alpha_bar in rows:
        pixels = to_pixels(torch.stack([picture, *noised(picture, alpha_bar, timesteps)]))
        cells += [enlarge(Image.fromarray(one), CELL) for one in pixels]
    heads = ["the picture", *(f"t = {t}" for t in timesteps)]
    about = f"t = 0 is the first of {len(rows[0][2])} timesteps; the noise is the same everywhere"
    names = [name.replace("_", " ") for name, _, _ in rows]  # lines break at spaces
    save_png(draw_sheet(cells, heads, names, title, about), path)


def schedules(config: Config, run: Run, bench: Bench) -> Iterator[Progress]:
    """The stage: schedules.png, its table, and strip.png."""
    asked = config.schedules
    if asked is None:
        return
    yield Progress("drawing schedules", 0, 1)
    own = alpha_bars(bench.scheduler.config)
    start, end = (bench.scheduler.config[key] for key in ("beta_start", "beta_end"))
    if config.schedule is not None:  # the betas before they were scaled
        start, end = config.schedule.beta_start, config.schedule.beta_end
    others = compared(asked.names, len(own), start, end)
    pictures = None
    if bench.pictures is not None:
        part = bench.pictures.part("train")[:512]
        variance = float(principal_variances(to_tensor(part))[0])
        pictures = to_tensor(bench.pictures.part(PART)[: asked.pictures])
    else:
        variance = None
    figure = schedule_figure(others, own)
    path = run.folder / "schedules.png"
    save_figure(figure, path)
    run.show(path, "how much of a picture is left at each timestep of several schedules")
    run.show(
        save_table(schedule_table(others, variance), run.folder, "schedules"),
        "what is left of a picture in x_T, and what that does to samples",
    )
    if pictures is not None and len(pictures):
        shown = shown_timesteps(asked.strip, len(own))
        rows = [("", picture, own) for picture in pictures]
        path = run.folder / "strip.png"
        save_strip(rows, shown, "Pictures in the noise of this model's schedule", path)
        run.show(path, "pictures of the data disappearing in this model's noise")
        rows = [(one.label, pictures[0], one.alpha_bar) for one in others]
        path = run.folder / "strip-schedules.png"
        save_strip(rows, shown, "One picture in the noise of each schedule", path)
        run.show(path, "one picture disappearing in each schedule's noise")
    yield Progress("drawing schedules", 1, 1)
