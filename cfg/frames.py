"""The pictures of a sweep on disk: which are there, and which are no longer wanted.

A frame carries, in its PNG text, a key of everything that decides its pixels. So a sweep that was
stopped continues, one that was widened or refined renders only what is new, and a frame of other
settings is never taken for one of these.
"""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cfg.cells import Frame, plain
from cfg.telemetry import TEXT
from lab.images import KEY, key_of, save_png


def missing(frames: Iterable[Frame]) -> list[Frame]:
    """The frames whose picture is not there, or is not theirs."""
    return [frame for frame in frames if key_of(frame.path) != frame.key]


def remove_others(frames: Sequence[Frame], folder: Path) -> None:
    """Remove every file and folder in `folder` that is not the place of one of the frames."""
    wanted = {frame.path for frame in frames}
    lines = {path.parent for path in wanted}
    for path in sorted(folder.glob("*")):
        if path not in lines:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for line in lines:
        for path in line.glob("*"):
            if path not in wanted:
                path.unlink()


def read_frame(frame: Frame) -> np.ndarray:
    """The picture of a frame, uint8 RGB [H, W, 3]."""
    with Image.open(frame.path) as image:
        return np.asarray(image.convert("RGB"))


def save_frame(frame: Frame, pixels: np.ndarray, telemetry: Mapping[str, Any], model: str) -> None:
    """Write a frame, whole or not at all, with what it says of itself to whoever finds it alone."""
    about = {**frame.line.about(), "model": model}
    save_png(
        Image.fromarray(pixels),
        frame.path,
        {
            KEY: frame.key,
            "guidance_scale": plain(frame.scale),
            "parameters": json.dumps(about, ensure_ascii=False),
            TEXT: json.dumps(telemetry),
        },
    )
