"""Sweeps whose pictures are written by hand."""

import json
from decimal import Decimal

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cfg.cells import Sweep, frames_of
from cfg.telemetry import QUANTITIES, TEXT


@pytest.fixture
def written(tmp_path):
    """A sweep whose pictures are a function of line and scale; with telemetry of two steps."""
    told = {"timesteps": [501.0, 1.0]} | {name: [0.5, 1.0] for name in QUANTITIES}
    chunks = PngInfo()
    chunks.add_itxt(TEXT, json.dumps(told))

    def write(lines, scales, picture, rendered=None, threshold=None):
        frames = []
        decimals = [Decimal(str(s)) for s in scales]
        for line in lines:
            for frame in frames_of(line, decimals, tmp_path / "x/cfg/frames", {}, rendered):
                frame.path.parent.mkdir(parents=True, exist_ok=True)
                image = Image.fromarray(picture(line, float(frame.scale)))
                image.save(frame.path, pnginfo=chunks)
                frames.append(frame)
        return Sweep(tuple(lines), tuple(decimals), tuple(frames), 8, threshold)

    return write
