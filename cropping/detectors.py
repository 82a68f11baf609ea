"""Detectors of heads and figures: plug-ins that tell the search where they are.

A detector is a function from an RGB picture to what it found in it. The default uses none: those
trained on photographs hardly see drawn heads.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from PIL import Image

from cropping.window import Box

WEIGHT = 0.65  # of what was found, against the saliency's remaining share


@dataclass(frozen=True)
class Found:
    """A rectangle in source pixels, how sure the detector is of it (0..1), and what it shows."""

    box: Box
    score: float
    what: str


Detector: TypeAlias = Callable[[Image.Image], tuple[Found, ...]]


def load_detector(name: str, labels: Sequence[str] = ()) -> Detector:
    """A detector by the path of YuNet's ONNX file, or by a hub id or folder of transformers."""
    raise ValueError(f"{name} is not a detector")


def with_found(
    importance: np.ndarray, picture: tuple[int, int], found: Sequence[Found]
) -> np.ndarray:
    """The importance [h, w] with `WEIGHT` of its sum moved into what was found: there every pixel
    counts by the score, so that a box counts by its area."""
    boxes = np.zeros_like(importance)
    rows, columns = importance.shape
    for one in found:
        box = one.box.inside(picture)
        y0, y1 = (int(y * rows / picture[1]) for y in (box.y0, box.y1))
        x0, x1 = (int(x * columns / picture[0]) for x in (box.x0, box.x1))
        part = boxes[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
        np.maximum(part, one.score, out=part)
    if not boxes.any():
        return importance
    total = float(importance.sum())
    return (1 - WEIGHT) * importance + boxes * (WEIGHT * total / float(boxes.sum()))
