"""The stage of guidance: each loss alone, all together, at several strengths, from equal seeds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from PIL import Image

from ddpm.config import Config
from ddpm.drawing import Way, draw_set
from ddpm.guidance import guided_by
from ddpm.guide_config import Loss
from ddpm.guides import LOSSES, Guide
from ddpm.pixels import to_tensor
from ddpm.stages import Bench
from ddpm.tables import Cell, Table, save_table
from lab.images import enlarge, save_png
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
    def measure(self, pixels: np.ndarray) -> list[Cell]:
        """Of pictures uint8 [n, h, w, 3]: mean losses, then shares of families."""
        parts = to_tensor(pixels).split(AT_ONCE)
        found: list[Cell] = [
            float(torch.cat([guide(part).cpu() for part in parts]).double().mean())
            for guide in self.guides
        ]
        for family in (loss.family for loss in self.losses if loss.family):
            named = [name for part in parts for name in self.net.classify(part)]
            found.append(named.count(family) / len(named))
        return found


def stage(config: Config, run: Run, bench: Bench) -> Iterator[Progress]:
    """The stage: guide/guidance.png, its table, and every picture that was measured."""
    asked = config.guide
    if asked is None:
        return
    guides = [LOSSES[one.loss](one.target, one.clip, bench.device) for one in asked.losses]
    judges, sample = Judges(asked.losses, guides), config.sample
    seeds = list(range(sample.seed, sample.seed + max(asked.pictures, asked.measured)))
    rows, cells, table = rows_of(asked.losses, asked.strengths), [], []
    for number, row in enumerate(rows):
        leading = guided_by(list(zip(guides, row.scales, strict=True)), asked.form, asked.weight)
        way = Way(f"{number:02d}", sample.sampler, sample.steps, sample.eta)
        folder = run.folder / "guide" / "pictures"
        pixels = yield from draw_set(bench, way, seeds, sample.batch_size, folder, leading)
        cells += [enlarge(Image.fromarray(one), CELL) for one in pixels[: asked.pictures]]
        table.append((row.label(asked.losses), row.strength, *judges.measure(pixels)))
    path, about = run.folder / "guide" / "guidance.png", f"form {asked.form}, weight {asked.weight}"
    heads, names = [f"seed {s}" for s in seeds[: asked.pictures]], [row[0] for row in table]
    save_png(draw_sheet(cells, heads, names, "Guidance by losses", about), path)
    run.show(path, "guidance by losses, each alone and all together")
    columns = ("led by (target x scale)", "strength", *judges.columns())
    told = f"{len(seeds)} pictures in each row, seeds {seeds[0]} to {seeds[-1]}; {about}."
    if any(loss.family for loss in asked.losses):
        told += " Shares of families: as DrawnNet sees them, which took no part in the guidance."
    saved = save_table(
        Table("Guidance by losses", columns, tuple(table), told), path.parent, path.stem
    )
    run.show(saved, "the same in figures")
