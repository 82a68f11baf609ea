"""What the two predictions say of each other at every step, without any further evaluation.

The figures are made while a picture is drawn and travel inside its PNG file, so a frame that is
there has them, also after a stop, and whichever process drew it.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cfg.sampling import Step
from lab.device import fetched_later

TEXT = "pseudoword-telemetry"
QUANTITIES = ("difference", "parallel", "orthogonal", "cosine", "x_0_low", "x_0_high")
"""The columns of a frame's telemetry, beside the timesteps."""
DIGITS = 6
"""Significant digits that are kept of each value."""
Told = dict[str, list[float | None]]
"""A picture's timesteps and columns, null where there is no value."""


@dataclass(frozen=True)
class Telemetry:
    """Of several frames of a line: arrays float64 [frames, steps], NaN where there is no value.

    There is none for the comparison of the predictions where only one of them was made: at s = 1,
    at s = 0, and outside of a rule's interval.
    """

    timesteps: np.ndarray
    """[steps], from the noisiest to 0."""
    difference: np.ndarray
    """Root mean square of eps_cond - eps_uncond over the values of the latents."""
    parallel: np.ndarray
    """Its component along eps_cond, as a share of the norm of eps_cond; signed."""
    orthogonal: np.ndarray
    """The norm of what is left, as a share of the norm of eps_cond."""
    cosine: np.ndarray
    """Between eps_cond and eps_uncond."""
    x_0_low: np.ndarray
    """Smallest value of the latents of the picture that the guided prediction implies."""
    x_0_high: np.ndarray
    """Largest value of the same."""


class Recorder:
    """Gathers the telemetry of pictures that are drawn together."""

    def __init__(self) -> None:
        self._timesteps: list[float] = []
        self._steps: list[Tensor] = []

    def add(self, step: Step) -> None:
        """Take the figures of a step; they stay on the device until they are asked for."""
        self._timesteps.append(step.t)
        self._steps.append(measure(step))

    def later(self) -> Callable[[int], Told]:
        """What waits for the figures, queued on a GPU, and tells those of one of the pictures."""
        fetch = fetched_later(torch.stack(self._steps))  # [steps, pictures, quantities]

        def told(picture: int) -> Told:
            table = fetch().numpy()
            columns: Told = {"timesteps": list(self._timesteps)}
            for place, name in enumerate(QUANTITIES):
                columns[name] = [_short(float(value)) for value in table[:, picture, place]]
            return columns

        return told


def measure(step: Step) -> Tensor:
    """The QUANTITIES of a step for each picture, float64 [B, 6], each computed of it alone."""
    rows = []
    pictures = zip(step.eps_cond, step.eps_uncond, step.x_0, step.both.tolist(), strict=True)
    for eps_cond, eps_uncond, x_0, both in pictures:
        low, high = x_0.aminmax()
        cond, uncond = eps_cond.double().flatten(), eps_uncond.double().flatten()
        difference = cond - uncond
        square = cond @ cond
        along = (difference @ cond) / square
        rest = difference - along * cond
        figures = [
            difference.square().mean().sqrt(),
            along,
            (rest @ rest / square).sqrt(),
            (cond @ uncond) / (square * (uncond @ uncond)).sqrt(),
        ]
        row = torch.stack([*figures, low.double(), high.double()])
        if not both:
            row[: len(figures)] = torch.nan
        rows.append(row)
    return torch.stack(rows)


def _short(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None


def read_telemetry(paths: Sequence[Path]) -> Telemetry:
    """The telemetry of frames with equal steps, in their order, out of their PNG files.

    Raises:
        ValueError: a file that has none, or frames of different steps.
    """
    steps: list[float] | None = None
    rows: dict[str, list[list[float]]] = {name: [] for name in QUANTITIES}
    for path in paths:
        with Image.open(path) as image:
            text = image.info.get(TEXT)
        if text is None:
            raise ValueError(f"{path} has no telemetry")
        said = json.loads(str(text))
        if steps is not None and said["timesteps"] != steps:
            raise ValueError(f"{path} has other timesteps than the frames before it")
        steps = said["timesteps"]
        for name in QUANTITIES:
            rows[name].append([np.nan if value is None else value for value in said[name]])
    arrays = {name: np.array(values, np.float64) for name, values in rows.items()}
    return Telemetry(np.array(steps or [], np.float64), **arrays)
