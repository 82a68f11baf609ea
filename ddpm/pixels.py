"""Pictures as files have them, uint8 [n, h, w, 3], and as models have them, -1..1 [n, 3, h, w]."""

import numpy as np
import torch
from torch import Tensor


def to_tensor(pixels: np.ndarray) -> Tensor:
    """uint8 [n, h, w, 3] -> float32 [n, 3, h, w] in -1..1."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2) / 127.5 - 1


def to_pixels(pictures: Tensor) -> np.ndarray:
    """The inverse, [n, 3, h, w] -> uint8 [n, h, w, 3]; what is outside of -1..1 is cut off."""
    scaled = ((pictures.float() + 1) * 127.5).round().clamp(0, 255)
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
