"""Parallel coordinates: an axis for each setting, one for the figure, a line for each trial.

optuna's own plot leaves out the trials that failed, which are half of what a search says: where
not to go. Here they end in a row of their own above the figures.
"""

import math
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from optuna.distributions import CategoricalDistribution

from tuning.config import Config
from tuning.space import Distribution, Space, plain
from tuning.study import Tried, best_of

GREY = "0.72"
WIDE = 4  # times the smallest: figures that go so far have a logarithmic axis
ENDS = {"pruned": 1.1, "failed": 1.2}  # height at which such a line ends; the axis ends at 1


def parallel_coordinates(over: Sequence[Tried], space: Space, config: Config) -> Figure:
    """Complete trials in the colour of their figure, the best one thick; the others in grey."""
    figure = Figure(figsize=(2.3 * len(space) + 2.6, 4.6))
    axes = figure.add_axes((0.01, 0.02, 0.98, 0.96))
    values = [t.value for t in over if t.state == "complete" and t.value is not None]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    log = low > 0 and high > WIDE * low
    colours = matplotlib.colormaps["viridis"]
    best = best_of(over, config)
    for trial in sorted(over, key=lambda t: (t.state == "complete", t is best)):
        if set(trial.settings) != set(space):
            continue  # it was killed before it had all of its settings
        heights = [height(space[s], trial.settings[s]) for s in space]
        if trial.state == "complete" and trial.value is not None:
            end = _share(trial.value, low, high, log)
            good = 1 - end if config.goal == "minimize" else end
            style: dict[str, Any] = {"color": colours(0.92 * (1 - good)), "zorder": 3}
            style |= {"linewidth": 3.2 if trial is best else 1.4}
        else:
            end = ENDS[trial.state]
            dashes = "--" if trial.state == "pruned" else ":"
            style = {"color": GREY, "linewidth": 1.1, "linestyle": dashes, "zorder": 2}
        axes.plot([*heights, end], marker="o", markersize=3.5, **style)
    for place, (setting, distribution) in enumerate(space.items()):
        _axis(axes, place, setting, ticks_of(distribution))
    ticks = np.geomspace(low, high, 5) if log else np.linspace(low, high, 5)
    figures = [(_share(value, low, high, log), f"{value:.3g}") for value in ticks]
    _axis(axes, len(space), config.objective, figures if values else [])
    for state, share in ENDS.items():
        if any(trial.state == state for trial in over):
            what = {"pruned": "stopped early", "failed": "failed"}[state]
            axes.annotate(what, (len(space), share), (8, 0), textcoords="offset points",
                          va="center", color="0.45", fontsize=9)  # fmt: skip
    axes.set(xlim=(-0.35, len(space) + 0.6), ylim=(-0.14, 1.28))
    axes.axis("off")
    return figure


def _axis(axes: Axes, place: int, name: str, ticks: Sequence[tuple[float, str]]) -> None:
    axes.plot([place, place], [0, 1], color="0.25", linewidth=1, zorder=1)
    behind = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.6}
    for share, text in ticks:
        axes.annotate(text, (place, share), (6, 0), textcoords="offset points", va="center",
                      fontsize=8, color="0.2", zorder=5, bbox=behind)  # fmt: skip
    axes.annotate(name.replace(".", ".\n", 1) if len(name) > 22 else name, (place, -0.05),
                  ha="center", va="top", fontsize=9)  # fmt: skip


def height(distribution: Distribution, value: Any) -> float:
    """Where a value lies on its setting's axis, from 0 to 1."""
    if isinstance(distribution, CategoricalDistribution):
        choices = [plain(distribution, choice) for choice in distribution.choices]
        return choices.index(value) / max(1, len(choices) - 1)
    return _share(value, distribution.low, distribution.high, distribution.log)


def ticks_of(distribution: Distribution) -> list[tuple[float, str]]:
    """Values that are written beside an axis, and where."""
    if isinstance(distribution, CategoricalDistribution):
        values = [plain(distribution, choice) for choice in distribution.choices]
        return [(height(distribution, value), _short(value)) for value in values]
    if distribution.log:
        values = np.geomspace(distribution.low, distribution.high, 5)
    else:
        values = np.linspace(distribution.low, distribution.high, 5)
    if isinstance(distribution.low, int):
        values = sorted({round(value) for value in values})
    return [(height(distribution, float(value)), f"{value:.3g}") for value in values]


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 16 else text[:15] + "…"


def _share(value: float, low: float, high: float, log: bool = False) -> float:
    if log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low) if high > low else 0.5
