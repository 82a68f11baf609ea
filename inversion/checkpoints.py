"""What a run that was stopped anywhere continues from: one file a checkpoint, the newest few kept.

The file is made in memory and then written as a whole: on a full disk torch's own writer would end
in an error of its own, and not in the operating system's plain one.
"""

import io
from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

import torch

from inversion.stopping import Ending, Measured
from inversion.training import State
from lab.run import write_atomically


def save(folder: Path, state: State, about: Mapping[str, Any], keep: int) -> None:
    """Write `step-000100.pt` and remove all but the `keep` newest. `about`: plain values to be
    found again by `newest`."""
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
    buffer = io.BytesIO()
    torch.save(content, buffer)
    path = folder / f"step-{state.step:06d}.pt"
    write_atomically(path, lambda temporary: _write(temporary, buffer.getvalue()))
    for old in files(folder)[:-keep]:
        old.unlink(missing_ok=True)


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def files(folder: Path) -> list[Path]:
    """The checkpoints that are there, the newest last."""
    return sorted(folder.glob("step-*.pt"))


def newest(folder: Path, device: torch.device) -> tuple[State, dict[str, Any]] | None:
    """The newest checkpoint that can be read, with its `about`; None where there is none."""
    for path in reversed(files(folder)):
        try:
            saved = torch.load(path, map_location=device, weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError):  # a damaged disk: the one before
            continue
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
    return None
