"""What a training that was stopped anywhere continues from, as `lab.checkpoints` keeps it."""

from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

import torch

from inversion.stopping import Ending, Measured
from inversion.training import State
from lab import checkpoints
from lab.checkpoints import files

__all__ = ["files", "newest", "save"]


def save(folder: Path, state: State, about: Mapping[str, Any], keep: int) -> None:
    """Write the state and remove all but the `keep` newest. `about`: plain values to be found again
    by `newest`."""
    content = {
        "step": state.step,
        "rows": state.rows,
        "optimizer": state.optimizer,
        "history": [list(astuple(measured)) for measured in state.history],
        "result": state.result,
        "best": state.best,
        "ending": list(astuple(state.ending)),
        "part_size": state.part_size,
        "loss_scale": list(state.loss_scale),
        "about": dict(about),
    }
    checkpoints.save(folder, state.step, content, keep)


def newest(folder: Path, device: torch.device) -> tuple[State, dict[str, Any]] | None:
    """The newest checkpoint that can be read, with its `about`; None where there is none."""
    saved = checkpoints.newest(folder, device)
    if saved is None:
        return None
    state = State(
        step=saved["step"],
        rows=saved["rows"],
        optimizer=saved["optimizer"],
        history=tuple(Measured(*values) for values in saved["history"]),
        result=saved["result"],
        best=saved["best"],
        ending=Ending(*saved["ending"]),
        part_size=saved["part_size"],
        loss_scale=(saved["loss_scale"][0], saved["loss_scale"][1]),
    )
    return state, saved["about"]
