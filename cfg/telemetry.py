"""What the two predictions say of each other at every step, without any further evaluation.

The figures are made while a picture is drawn and travel inside its PNG file, so a frame that is
there has them, also after a stop, and whichever process drew it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

TEXT = "pseudoword-telemetry"
QUANTITIES = ("difference", "parallel", "orthogonal", "cosine", "x_0_low", "x_0_high")
"""The columns of a frame's telemetry, beside the timesteps."""
DIGITS = 6


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
