"""The stage of guidance: each loss alone, all together, at several strengths, from equal seeds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

from ddpm.config import Config
from ddpm.drawing import Way, draw_set
from ddpm.guidance import guided_by
from ddpm.guide_config import Loss
from ddpm.guides import LOSSES, Guide
from ddpm.pixels import to_tensor
from ddpm.stages import Bench
from ddpm.tables import Table, save_table
from lab.images import enlarge, save_figure, save_png
from lab.run import Progress, Run
from lab.sheet import draw_sheet
from storybook.drawn import load_drawnnet

CELL = 96  # px of a picture in the grid
AT_ONCE = 64  # pictures that are judged together


@dataclass(frozen=True)
class Row:
    """A way to lead: what its pictures are led by, and how strongly."""

    strength: float
    scales: tuple[float, ...]
    """One for each loss; 0 for those that take no part."""

    def led_by(self, losses: Sequence[Loss]) -> str:
        """What its pictures are led by, however strongly."""
        return " + ".join(w.target for w, s in zip(losses, self.scales, strict=True) if s)

    def label(self, losses: Sequence[Loss]) -> str:
        """Its name in grid and table."""
        led = zip(losses, self.scales, strict=True)
        parts = [f"{loss.target} x {scale:g}" for loss, scale in led if scale]
        return " + ".join(parts) or "no guidance"


def rows_of(losses: Sequence[Loss], strengths: Sequence[float]) -> list[Row]:
    """No guidance, then each loss alone, then, if there are several, all together."""
    alone = [[k] for k in range(len(losses))]
    groups = [*alone, list(range(len(losses)))] if len(losses) > 1 else alone
    rows = [Row(0.0, (0.0,) * len(losses))] if 0 in strengths else []
    for group in groups:
        for strength in (s for s in strengths if s):
            scales = [loss.scale * strength * (k in group) for k, loss in enumerate(losses)]
            rows.append(Row(strength, tuple(scales)))
    return rows


class Judges:
    """What is asked of the pictures: how far they are from each loss's target, and, of DrawnNet,
    which took no part, how many of them show the family that a text asks for."""

    def __init__(self, losses: Sequence[Loss], guides: Sequence[Guide]):
        self.losses, self.guides = losses, guides

    @cached_property
    def net(self):
        """DrawnNet, opened where a loss names a family."""
        return load_drawnnet()

    def columns(self) -> list[str]:
        """Their names in the table."""
        shares = [f"share of {loss.family}" for loss in self.losses if loss.family]
        return [f"distance from {loss.target}" for loss in self.losses] + shares

    @torch.no_grad()
    def measure(self, pixels: np.ndarray) -> list[float]:
        """Of pictures uint8 [n, h, w, 3]: mean losses, then shares of families."""
        parts = to_tensor(pixels).split(AT_ONCE)
        found = [
            float(torch.cat([guide(part).cpu() for part in parts]).double().mean())
            for guide in self.guides
        ]
        for family in (loss.family for loss in self.losses if loss.family):
            named = [name for part in parts for name in self.net.classify(part)]
            found.append(named.count(family) / len(named))
        return found


def draw_curves(
    rows: Sequence[Row], losses: Sequence[Loss], names: Sequence[str], found: np.ndarray
) -> Figure:
    """What was measured, [rows, names], over the strength: a panel for each name, a line for what
    the pictures were led by; without guidance all begin at the same place."""
    figure = Figure(figsize=(3.6 * len(names), 3.2), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(names)))
    for panel, name, values in zip(panels, names, found.T, strict=True):
        for led_by in dict.fromkeys(row.led_by(losses) for row in rows if any(row.scales)):
            mine = [k for k, row in enumerate(rows) if row.led_by(losses) in ("", led_by)]
            panel.plot([rows[k].strength for k in mine], values[mine], "o-", ms=4, label=led_by)
        panel.set(title=name, xlabel="strength", ylim=(0, None))
        panel.title.set_fontsize(10)
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25)
    panels[0].legend(frameon=False, fontsize=8, title="led by", title_fontsize=8)
    return figure


def stage(config: Config, run: Run, bench: Bench) -> Iterator[Progress]:
    """The stage: guide/guidance.png, its table, and every picture that was measured."""
    asked = config.guide
    if asked is None:
        return
    guides = [LOSSES[one.loss](one, bench.device) for one in asked.losses]
    judges, sample = Judges(asked.losses, guides), config.sample
    seeds = list(range(sample.seed, sample.seed + max(asked.pictures, asked.measured)))
    rows = rows_of(asked.losses, asked.strengths)
    cells: list[Image.Image] = []
    found: list[list[float]] = []
    for number, row in enumerate(rows):
        leading = guided_by(list(zip(guides, row.scales, strict=True)), asked.form, asked.weight)
        way = Way(f"{number:02d}", sample.sampler, sample.steps, sample.eta)
        folder = run.folder / "guide" / "pictures"
        pixels = yield from draw_set(bench, way, seeds, sample.batch_size, folder, leading)
        cells += [enlarge(Image.fromarray(one), CELL) for one in pixels[: asked.pictures]]
        found.append(judges.measure(pixels))
    labels = [row.label(asked.losses) for row in rows]
    how = f"form {asked.form}, weight {asked.weight}"
    path = run.folder / "guide" / "guidance.png"
    heads = [f"seed {seed}" for seed in seeds[: asked.pictures]]
    save_png(draw_sheet(cells, heads, labels, "Guidance by losses", how), path)
    run.show(path, "guidance by losses, each alone and all together")
    curves = draw_curves(rows, asked.losses, judges.columns(), np.array(found))
    save_figure(curves, path.with_stem("curves"))
    run.show(path.with_stem("curves"), "what comes of it as the strength rises")
    told = f"{len(seeds)} pictures in each row, seeds {seeds[0]} to {seeds[-1]}; {how}."
    if any(loss.family for loss in asked.losses):
        told += " Shares of families: as DrawnNet sees them, which took no part in the guidance."
    columns = ("led by (target x scale)", "strength", *judges.columns())
    lines = zip(labels, rows, found, strict=True)
    table = tuple((label, row.strength, *values) for label, row, values in lines)
    saved = save_table(Table("Guidance by losses", columns, table, told), path.parent, path.stem)
    run.show(saved, "the same in figures")
