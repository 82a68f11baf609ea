"""Test what a published study claims of the guidance scale: `python docs/claims.py`.

Reads the finished sweep of experiments/guidance-claims.yaml, draws pictures/guidance-claims.png
and writes the tables between the marks in docs/guidance.md.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from cfg.analysis import Group, Measured, common_scales, grouped, mean_over_seeds, measure, speeds
from cfg.cells import read_listing
from cfg.judge import load_judge
from cfg.overview import COLOURS
from cfg.showing import Analysis
from diffusion.config import UsesModel
from lab.run import write_atomically, write_text
from metrics.statistics import bootstrap_interval

HERE = Path(__file__).parent
BEGIN, END = "<!-- claims -->", "<!-- end of claims -->"
RANGES = ((0, 1), (1, 4), (4, 10), (10, 20))
CLAIMS = {"a sudden turn at s = 1": 1.0, "a jump at s = 4": 4.0}


def speed_between(one: Measured, low: float, high: float) -> float:
    """Just noticeable differences a unit of scale, travelled from low to high."""
    travelled = np.concatenate([[0.0], np.cumsum(one.perceptual)])
    ends = np.interp([low, high], one.scales, travelled)
    return float((ends[1] - ends[0]) / (high - low))


def excess(one: Measured, at: float) -> float:
    """How many times faster the unit of scale around `at` is than the half units beside it."""
    beside = [speed_between(one, at - 1, at - 0.5), speed_between(one, at + 0.5, at + 1)]
    return speed_between(one, at - 0.5, at + 0.5) / max(float(np.mean(beside)), 1e-9)


def over_seeds(groups: Sequence[Group], number) -> tuple[float, tuple[float, float]]:
    """The geometric mean over all pictures, with a bootstrap over the seeds: each seed's prompts
    are averaged first, because they share their noise."""
    logs = np.log([[number(one) for one in group.lines] for group in groups]).mean(axis=0)
    low, high = bootstrap_interval(logs)
    return float(np.exp(logs.mean())), (float(np.exp(low)), float(np.exp(high)))


def turned(one: Measured) -> float | None:
    """From which scale on the classifier gives what the prompt names at least 1/2, always."""
    if one.recognised is None:
        return None
    missed = np.flatnonzero(one.recognised < 0.5)
    first = int(missed[-1]) + 1 if len(missed) else 0
    return float(one.scales[first]) if first < len(one.scales) else None


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def interval(value: tuple[float, tuple[float, float]], digits: int = 2) -> str:
    mean, (low, high) = value
    return f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def claims_table(groups: Sequence[Group]) -> str:
    rows = []
    count = sum(len(group.lines) for group in groups)
    for claim, at in CLAIMS.items():
        near = [any(abs(t.at - at) <= 0.5 for t in own) for group in groups for own in group.own]
        shared = [s for g in groups for s in g.shared if s.support >= 0.95]
        agree = sum(abs(s.transition.at - at) <= 0.5 for s in shared)
        faster = over_seeds(groups, lambda one, at=at: excess(one, at))
        rows.append([f"“{claim}”", interval(faster), f"{sum(near)} of {count}",
                     f"{agree} of {len(groups)}"])  # fmt: skip
    head = ["claim", "speed there / speed beside it", "single sweeps with a transition there",
            "prompts whose 16 seeds share one there"]  # fmt: skip
    return table(head, rows)


def speed_table(groups: Sequence[Group]) -> str:
    rows = []
    for group in groups:
        row = [group.line.prompt]
        for low, high in RANGES:
            row.append(interval(over_seeds([group], lambda one, a=low, b=high: max(
                speed_between(one, a, b), 1e-9)), 1))  # fmt: skip
        turns = [turn for turn in map(turned, group.lines) if turn is not None]
        quartiles = np.quantile(turns, [0.25, 0.5, 0.75]) if turns else [np.nan] * 3
        row.append(f"{quartiles[1]:g} ({quartiles[0]:g} to {quartiles[2]:g}), {len(turns)} seeds")
        settled = [s for s in group.settled if s is not None]
        row.append(f"{len(settled)} of {len(group.lines)}")
        rows.append(row)
    head = ["prompt", *(f"speed {low}–{high}" for low, high in RANGES),
            "recognised for good from s", "settled before 18"]  # fmt: skip
    return table(head, rows)


def draw(groups: Sequence[Group], path: Path) -> None:
    figure = Figure(figsize=(9, 7), layout="constrained")
    upper, middle, lower = figure.subplots(3, 1, sharex=True, height_ratios=(4, 2.2, 2.2))
    for k, group in enumerate(groups):
        colour = COLOURS[k]
        middles, curves = speeds(group.lines, group.step)
        speed = np.exp(curves) / group.step
        for one in speed:
            upper.plot(middles, one, color=colour, linewidth=0.4, alpha=0.18)
        mean = np.exp(curves.mean(axis=0)) / group.step
        upper.plot(middles, mean, color=colour, linewidth=1.8, label=group.line.prompt)
        seen = mean_over_seeds(group, "recognised")
        if seen is not None:
            scales = common_scales(group.lines)
            middle.plot(scales, seen[:, 0], color=colour, linewidth=1.5)
            middle.fill_between(scales, seen[:, 1], seen[:, 2], color=colour, alpha=0.15)
        own = [t.at for transitions in group.own for t in transitions]
        lower.plot(own, np.full(len(own), -k), "|", color=colour, markersize=13, alpha=0.7)
        sure = [s.transition.at for s in group.shared if s.support >= 0.95]
        lower.plot(sure, np.full(len(sure), -k), "o", color=colour, markersize=8, mfc="none")
    upper.set_yscale("log")
    upper.set_ylabel("speed (just noticeable\ndifferences a unit of scale)")
    upper.legend(frameon=False, fontsize=9)
    middle.set_ylabel("recognised\n(classifier)")
    lower.set_ylabel("transitions of\nsingle seeds")
    lower.set_yticks([])
    lower.set_ylim(-len(groups) + 0.4, 0.6)
    lower.set_xlabel("guidance scale s")
    for axes in (upper, middle, lower):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        for claimed in (1, 4, 10):
            axes.axvline(claimed, color="#777777", linewidth=0.9, linestyle=":", zorder=0)
    write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=110, format="png"))


def main() -> None:
    """Measure the sweep, write figure and tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    sweeps = HERE.parent / "outputs/guidance-claims/cfg"
    parser.add_argument("--sweep", type=Path, default=sweeps, help="folder of the finished sweep")
    options = parser.parse_args()
    if not (options.sweep / "sweep.json").exists():
        raise SystemExit(f"{options.sweep} has no finished sweep; run "
                         "`pseudoword run experiments/guidance-claims.yaml` first")  # fmt: skip
    sweep, judge = read_listing(options.sweep), load_judge(Analysis(), UsesModel())
    groups = grouped([measure(sweep, line, judge) for line in sweep.lines], Analysis())
    draw(groups, HERE / "pictures/guidance-claims.png")
    block = f"{claims_table(groups)}\n\n{speed_table(groups)}"
    page = HERE / "guidance.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    write_text(page, f"{before}{BEGIN}\n{block}\n{END}{after}")
    print(block)


if __name__ == "__main__":
    main()
