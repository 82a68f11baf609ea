"""A sweep at a glance: the contact sheet and the curves, as two pictures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from cfg.analysis import Group, Measured, common_scales, mean_over_seeds, speeds
from cfg.cells import Frame, Sweep, plain
from cfg.config import Config
from cfg.film import chosen_lines, labels
from cfg.frames import read_frame
from cfg.strip import DIM, shortened
from lab.images import enlarge, font, grid, save_figure, save_png

ROWS = 24
"""Lines that a contact sheet shows at most."""
COLOURS = ("#b3541e", "#1f6f8b", "#2b6a4d", "#7a2e8e", "#a68a00", "#8a1f3d", "#44566b", "#5b7f1f")


def choose(frames: Sequence[Frame], count: int) -> list[Frame]:
    """About `count` frames, evenly spaced over the scale, always with both ends and the scales 0
    and 1."""
    if len(frames) <= count:
        return list(frames)
    scales = np.array([float(frame.scale) for frame in frames])
    targets = np.linspace(scales.min(), scales.max(), count)
    even = {int(np.abs(scales - target).argmin()) for target in targets}
    fixed = {0, len(frames) - 1, *(k for k, frame in enumerate(frames) if frame.scale in (0, 1))}
    for index in fixed - even:
        free = even - fixed
        if free:
            even.discard(min(free, key=lambda other: abs(other - index)))
        even.add(index)
    return [frames[index] for index in sorted(even)]


def save_contact_sheet(sweep: Sweep, lines: Sequence[Measured], config: Config, path: Path) -> None:
    """A labelled selection of the sweep, with the prompt above it; of several lines a row each."""
    shown = chosen_lines(lines, ROWS)
    alone = len(lines) == 1
    count = config.sheet.pictures if alone else max(2, config.sheet.columns)
    chosen = [choose(one.frames, count) for one in shown]
    tiles, said = [], []
    for row in chosen:
        for frame in row:
            picture = enlarge(Image.fromarray(read_frame(frame)), 192)
            picture.thumbnail((256, 256), Image.Resampling.LANCZOS)
            tiles.append(picture)
            said.append(f"s = {plain(frame.scale)}")
        missing = 0 if alone else max(map(len, chosen)) - len(row)
        tiles += [Image.new("RGB", tiles[0].size, "white")] * missing
        said += [""] * missing
    columns = config.sheet.columns if alone else max(map(len, chosen))
    rows = None if alone else labels([one.line for one in shown])
    cells = grid(tiles, columns, said, row_labels=rows)
    title, below = font(18), font(13)
    sheet = Image.new("RGB", (cells.width, cells.height + 56), "white")
    sheet.paste(cells, (0, 56))
    draw = ImageDraw.Draw(sheet)
    prompt = shortened(draw, "; ".join(config.prompts), sheet.width - 16, title)
    draw.text((8, 8), prompt, fill="black", font=title)
    draw.text(
        (8, 33), shortened(draw, about(config), sheet.width - 16, below), fill=DIM, font=below
    )
    save_png(sheet, path)


def about(config: Config) -> str:
    """The settings in a line."""
    many = "" if len(config.seeds) == 1 else "s"
    seeds = ", ".join(map(str, config.seeds[:16])) + (", ..." if len(config.seeds) > 16 else "")
    rules = "; ".join(map(str, config.rules))
    steps = " and ".join(map(str, config.step_counts))
    away = f", away from “{config.negative_prompt}”" if config.negative_prompt else ""
    return f"seed{many} {seeds}, {steps} steps of {config.scheduler}, {rules}, {config.model}{away}"


def save_curve(groups: Sequence[Group], path: Path) -> None:
    """Over the guidance scale: how fast pictures change, and what becomes of their look."""
    save_figure(curve_figure(groups), path)


def curve_figure(groups: Sequence[Group], width: float = 9.0) -> Figure:
    """Speed (just noticeable differences a unit of scale), prompt match, saturation; a colour for
    each group, its seeds faint, transitions of its mean as dashed lines."""
    names = [n for n in ("match", "saturation") if mean_over_seeds(groups[0], n) is not None]
    figure = Figure(figsize=(width, 3.2 + 1.9 * len(names)), layout="constrained")
    axes = figure.subplots(1 + len(names), 1, sharex=True, squeeze=False,
                           height_ratios=(3, *[2] * len(names)))[:, 0]  # fmt: skip
    said = labels([group.line for group in groups])
    for k, group in enumerate(groups):
        colour = COLOURS[k % len(COLOURS)]
        _draw_speed(axes[0], group, colour, said[k])
        for name, below in zip(names, axes[1:], strict=True):
            curve = mean_over_seeds(group, name)
            if curve is None:
                continue
            scales = common_scales(group.lines)
            below.plot(scales, curve[:, 0], color=colour, linewidth=1.3)
            if len(group.lines) > 2:
                below.fill_between(scales, curve[:, 1], curve[:, 2], color=colour, alpha=0.15)
            below.set_ylabel({"match": "prompt match\n(CLIP cosine)"}.get(name, name))
    axes[0].set_ylabel("speed\n(just noticeable differences\na unit of scale)")
    axes[0].set_yscale("log")
    if len(groups) > 1:
        axes[0].legend(frameon=False, fontsize=8)
    axes[-1].set_xlabel("guidance scale s (0: unconditional, 1: conditional, above: exaggerated)")
    for each in axes:
        each.grid(alpha=0.25)
        each.spines[["top", "right"]].set_visible(False)
        for landmark in (0, 1):
            each.axvline(landmark, color="#888888", linewidth=0.8, linestyle=":", zorder=0)
    return figure


def _draw_speed(axes, group: Group, colour: str, label: str) -> None:
    if any(len(one.scales) < 2 for one in group.lines):
        return
    middles, curves = speeds(group.lines, group.step)
    speed = np.exp(curves) / group.step
    if len(speed) > 1:
        for one in speed:
            axes.plot(middles, one, color=colour, linewidth=0.5, alpha=0.25)
    axes.plot(middles, np.exp(curves.mean(axis=0)) / group.step, color=colour, linewidth=1.6,
              label=label)  # fmt: skip
    for shared in group.shared:
        axes.axvline(shared.transition.at, color=colour, linewidth=1, linestyle="--")
    if len(group.lines) == 1:
        for transition in group.own[0]:
            axes.axvline(transition.at, color=colour, linewidth=1, linestyle="--")
