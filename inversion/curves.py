"""Loss and norm over the steps, as a picture."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lab.run import write_atomically

SMOOTHING = 25  # steps in the running mean of the loss


def save_curves(metrics: Sequence[dict], path: Path) -> None:
    """Draw the lines of metrics.jsonl that have a loss: the loss (raw, smoothed) and the norm."""
    from matplotlib.figure import Figure

    lines = [line for line in metrics if "loss" in line]
    step = np.array([line["step"] for line in lines])
    loss = np.array([line["loss"] for line in lines], dtype=float)
    window = min(SMOOTHING, len(loss))
    smooth = np.convolve(loss, np.ones(window) / window, mode="valid")
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(step, loss, color="0.8", linewidth=0.8, label="each step")
    left.plot(step[window - 1 :], smooth, color="tab:blue", label=f"mean of {window} steps")
    left.set(xlabel="step", ylabel="mean squared error of the noise", title="loss")
    left.legend(frameon=False)
    right.plot(step, [line["norm"] for line in lines], color="tab:orange")
    right.set(xlabel="step", ylabel="mean norm of the vectors", title="norm", ylim=(0, None))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    write_atomically(path, lambda p: figure.savefig(p, dpi=110))
