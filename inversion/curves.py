"""What was measured over the steps, as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lab.images import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SMOOTHING = 25  # steps in the running mean of the loss


def curves(lines: Sequence[dict], best_step: int, stopped: int | None) -> "Figure":
    """Draw the lines of metrics.jsonl of one word: the objective, the loss of the steps, norm and
    rate. `best_step` is where the word is from; `stopped` where the rule spoke, if it did."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6.2), layout="constrained")
    (objective, loss), (norm, rate) = figure.subplots(2, 2)
    _objective(objective, lines, best_step, stopped)
    steps = [line for line in lines if "loss" in line]
    x = np.array([line["step"] for line in steps])
    _loss(loss, x, np.array([line["loss"] for line in steps], dtype=float))
    norm.plot(x, [line["norm"] for line in steps], color="tab:orange")
    norm.set(title="length of the vectors", ylabel="mean norm", ylim=(0, None))
    rate.plot(x, [line["learning_rate"] for line in steps], color="tab:gray")
    rate.set(title="learning rate", ylim=(0, None))
    for axes in (objective, loss, norm, rate):
        axes.set(xlabel="step")
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _objective(axes: "Axes", lines: Sequence[dict], best: int, stopped: int | None) -> None:
    measured = [line for line in lines if "objective" in line]
    x = [line["step"] for line in measured]
    axes.plot(x, [line["objective"] for line in measured], "o-", markersize=3, label="trained on")
    held = [line for line in measured if "held_out" in line]
    if held:
        values = [line["held_out"] for line in held]
        axes.plot([line["step"] for line in held], values, "s--", markersize=3, label="held out")
    axes.axvline(best, color="tab:green", linewidth=1, label=f"the best, step {best}")
    if stopped is not None:
        label = f"enough, step {stopped}"
        axes.axvline(stopped, color="0.5", linewidth=1, linestyle=":", label=label)
    axes.set(title="objective: the same noise every time", ylabel="mean squared error")
    axes.legend(frameon=False, fontsize=8)


def _loss(axes: "Axes", x: np.ndarray, loss: np.ndarray) -> None:
    axes.plot(x, loss, color="0.8", linewidth=0.8, label="each step")
    if len(loss) > SMOOTHING:
        smooth = np.convolve(loss, np.ones(SMOOTHING) / SMOOTHING, mode="valid")
        label = f"mean of {SMOOTHING} steps"
        axes.plot(x[SMOOTHING - 1 :], smooth, color="tab:blue", label=label)
    axes.set(title="loss of the steps: other noise every time", ylabel="mean squared error")
    axes.legend(frameon=False, fontsize=8)


def save_curves(lines: Sequence[dict], best: int, stopped: int | None, path: Path) -> None:
    """`curves` as a PNG."""
    save_figure(curves(lines, best, stopped), path)
