"""Render the figures of docs/guidance.md: `python docs/figures.py`.

The first two are closed form. The pictures are of two experiments, guidance-rules.yaml and
guidance-house.yaml, which are run if they have not been (minutes on two cores).
"""

import argparse
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from cfg.cells import plain, read_listing
from cfg.frames import read_frame
from cfg.guidance import guide
from lab.images import enlarge, grid
from lab.run import write_atomically

HERE = Path(__file__).parent
ROOT = HERE.parent
OTHERS, WANTED = torch.tensor([-1.6, 0.0, 0.6]), torch.tensor([0.9, 1.9])
"""Where the clean numbers of the toy lie: those that do not fit the prompt, and those that do."""
SPREAD = 0.25
BLUE, RUST, GREY = "#1f6f8b", "#b3541e", "#8a857c"


def log_density(x: Tensor, centres: Tensor, alpha_bar: Tensor) -> Tensor:
    """log p(x_t) of a mixture of equal Gaussians, noised; x [N], without the constant."""
    variance = alpha_bar * SPREAD**2 + 1 - alpha_bar
    apart = x[:, None] - alpha_bar.sqrt() * centres
    return (
        torch.logsumexp(-(apart**2) / (2 * variance), 1) - variance.log() / 2 - np.log(len(centres))
    )


def eps_of(x: Tensor, centres: Tensor, alpha_bar: Tensor) -> Tensor:
    """The best prediction of the noise, from the slope of the log-density: equation (1)."""
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(log_density(x, centres, alpha_bar).sum(), x)
    return -(1 - alpha_bar).sqrt() * slope


def everything() -> Tensor:
    return torch.cat([OTHERS, WANTED])


def sampled(scale: float, count: int = 6000, steps: int = 200) -> np.ndarray:
    """Numbers drawn by DDIM under guidance, with the exact predictions and the code's `guide`."""
    x = torch.randn(count, generator=torch.Generator().manual_seed(0))
    alpha_bars = torch.cos(torch.linspace(0.998, 0.0, steps + 1) * np.pi / 2) ** 2
    scales = torch.full((count,), scale)
    for a, a_prev in itertools.pairwise(alpha_bars):
        eps = guide(eps_of(x, everything(), a), eps_of(x, WANTED, a), scales)
        x_0 = (x - (1 - a).sqrt() * eps) / a.sqrt()
        x = a_prev.sqrt() * x_0 + (1 - a_prev).sqrt() * eps
    return x.numpy()


def draw_densities(path: Path) -> None:
    """What s does to a density, and what sampling by it does: not the same."""
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    axes = figure.subplots(2, 4, sharex=True, sharey="row")
    x, clean = torch.linspace(-2.8, 3.6, 800), torch.tensor(1.0)
    whole, wanted = (log_density(x, c, clean) for c in (everything(), WANTED))
    for scale, column in zip((0.0, 1.0, 3.0, 10.0), axes.T, strict=True):
        density = ((1 - scale) * whole + scale * wanted).exp()
        density = density / torch.trapezoid(density, x)
        column[0].set_title(f"s = {scale:g}", fontsize=11)
        column[0].fill_between(x, density, color=RUST, alpha=0.3)
        column[0].plot(x, density, color=RUST)
        column[1].hist(sampled(scale), bins=90, range=(-2.8, 3.6), density=True, color=BLUE)
        for each in column:
            for centre in OTHERS:
                each.axvline(centre, color=GREY, linewidth=0.8, linestyle=":")
            for centre in WANTED:
                each.axvline(centre, color=RUST, linewidth=0.8, linestyle="--")
            each.spines[["top", "right"]].set_visible(False)
            each.set_yticks([])
    axes[0, 0].set_ylabel("p(x)$^{1-s}$ p(x | c)$^{s}$")
    axes[1, 0].set_ylabel("drawn by DDIM")
    save(figure, path)


def draw_lines(path: Path) -> None:
    """The two predictions and the line through them, for one noisy number."""
    figure = Figure(figsize=(7.2, 2.9), layout="constrained")
    axes = figure.subplots()
    alpha_bar, x = torch.tensor(0.5), torch.linspace(-2.5, 3, 300)
    uncond, cond = eps_of(x, everything(), alpha_bar), eps_of(x, WANTED, alpha_bar)
    for scale in (0.0, 0.5, 1.0, 2.0, 4.0):
        eps = guide(uncond, cond, torch.full_like(x, scale))
        end = scale in (0.0, 1.0)
        name = {0.0: "s = 0: eps_uncond", 1.0: "s = 1: eps_cond"}.get(scale, f"s = {scale:g}")
        axes.plot(x, eps, color=BLUE if scale == 0 else RUST, alpha=1.0 if end else 0.45,
                  linewidth=2.2 if end else 1.1, label=name)  # fmt: skip
    axes.set_xlabel("noisy number $x_t$ (half picture, half noise)")
    axes.set_ylabel("predicted noise")
    axes.legend(frameon=False, fontsize=8)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=110, format="png"))
    print(path)


def swept(experiment: str, outputs: Path) -> Path:
    """Run an experiment, unless it is finished; its folder."""
    command = [sys.executable, "-m", "studio", "cfg", "--outputs", str(outputs)]
    subprocess.run([*command, f"experiments/{experiment}.yaml"], cwd=ROOT, check=True)
    return outputs / experiment / "cfg"


def draw_rules(folder: Path, path: Path) -> None:
    """The first seed of every rule as a row of scales."""
    sweep = read_listing(folder)
    lines = [line for line in sweep.lines if line.seed == sweep.lines[0].seed]
    frames = [frame for line in lines for frame in sweep.of(line)]
    pictures = [enlarge(Image.fromarray(read_frame(frame)), 128) for frame in frames]
    scales = [f"s = {plain(frame.scale)}" for frame in frames]
    names = [str(line.rule) for line in lines]
    save_jpeg(grid(pictures, len(sweep.scales), scales, row_labels=names), 1300, path)


def save_jpeg(sheet: Image.Image, width: int, path: Path) -> None:
    if sheet.width > width:
        height = round(sheet.height * width / sheet.width)
        sheet = sheet.resize((width, height), Image.Resampling.LANCZOS)
    write_atomically(path, lambda temporary: sheet.save(temporary, quality=86))
    print(path)


def main() -> None:
    """All of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--outputs", type=Path, default=ROOT / "outputs", help="of the experiments")
    parser.add_argument("--toys", action="store_true", help="only the two in closed form")
    options = parser.parse_args()
    pictures = HERE / "pictures"
    draw_lines(pictures / "guidance-predictions.png")
    draw_densities(pictures / "guidance-densities.png")
    if not options.toys:
        draw_rules(swept("guidance-rules", options.outputs), pictures / "guidance-rules.jpg")
        house = swept("guidance-house", options.outputs) / "contact-sheet.png"
        with Image.open(house) as image:
            save_jpeg(image.convert("RGB"), 1100, pictures / "guidance-house.jpg")


if __name__ == "__main__":
    main()
