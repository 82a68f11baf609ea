"""What a run that was stopped anywhere continues from: one file a checkpoint, the newest few kept.

The file is made in memory and then written as a whole: on a full disk torch's own writer would end
in an error of its own, and not in the operating system's plain one. It ends with its own sha256: of
a damaged file torch reads many a one without a word, and fails at others in a dozen ways.
"""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lab.run import write_atomically

DIGEST = hashlib.sha256().digest_size


def save(folder: Path, step: int, content: Mapping[str, Any], keep: int) -> None:
    """Write `step-000100.pt` and remove all but the `keep` newest. `content`: tensors, numbers and
    texts in dicts and lists."""
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    data = buffer.getvalue()
    path = folder / f"step-{step:06d}.pt"
    write_atomically(path, lambda temporary: _write(temporary, data + _digest(data)))
    for old in files(folder)[:-keep]:
        old.unlink(missing_ok=True)


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def files(folder: Path) -> list[Path]:
    """The checkpoints that are there, the newest last."""
    return sorted(folder.glob("step-*.pt"))


def newest(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """The newest checkpoint that is as it was written; None where there is none."""
    for path in reversed(files(folder)):
        try:
            whole = path.read_bytes()
        except OSError:  # a damaged disk
            continue
        data, digest = whole[:-DIGEST], whole[-DIGEST:]
        if _digest(data) == digest:  # else the one before
            return torch.load(io.BytesIO(data), map_location=device, weights_only=True)
    return None


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
