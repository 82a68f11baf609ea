"""What a training step is made of: which pictures, timesteps and noises.

All of it follows from (seed, step), so that a run that continues, or is divided over processes or
into parts, takes the same steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ddpm.pixels import to_tensor
from lab.device import noise
from lab.order import picked

FIRST = -2  # number of the first validation noise, counted down; training uses those from 0 on
GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class Batch:
    """A part of a step, or of what is measured."""

    x_0: Tensor
    """Pictures, float32 [b, 3, h, w] in -1..1."""
    timesteps: Tensor
    """int64 [b]."""
    eps: Tensor
    """Unit noise, float32 [b, 3, h, w]."""


@dataclass(frozen=True)
class Item:
    """One place of a batch, in numbers."""

    picture: int
    """Index into all pictures."""
    mirrored: bool
    timestep: int
    noise: int


def draw_items(
    pictures: Sequence[int],
    size: int,
    flip: bool,
    seed: int,
    step: int,
    mine: Sequence[int],
    total: int,
) -> list[Item]:
    """The places `mine` (out of range(size)) of step number `step`, of `total` timesteps."""
    rng = np.random.default_rng([seed & 0xFFFFFFFF, 0, step])
    # one timestep from every slice of the range: the same mean as independent draws, less variance
    timesteps = ((np.arange(size) + rng.random(size)) / size * total).astype(np.int64)
    mirrored = rng.integers(0, 2, size) if flip else np.zeros(size, dtype=int)
    items = []
    for k in mine:
        number = step * size + k
        picture = pictures[picked(seed, number, len(pictures))]
        items.append(Item(picture, bool(mirrored[k]), int(timesteps[k]), number))
    return items


def fixed_items(pictures: Sequence[int], most: int, total: int) -> list[Item]:
    """What is measured again and again: the pictures in their order, with evenly spread timesteps
    and noises that no training step has."""
    return [
        Item(picture, False, int((k * GOLDEN + 0.5) % 1 * total), FIRST - k)
        for k, picture in enumerate(pictures[:most])
    ]


def assemble(pixels: np.ndarray, seed: int, items: Sequence[Item], device: torch.device) -> Batch:
    """The tensors of items, on the device."""
    chosen = [pixels[item.picture] for item in items]
    sides = [p[:, ::-1] if item.mirrored else p for p, item in zip(chosen, items, strict=True)]
    x_0 = to_tensor(np.stack(sides))
    eps = torch.stack([noise(x_0.shape[1:], seed, item.noise) for item in items])
    timesteps = torch.tensor([item.timestep for item in items])
    return Batch(x_0.to(device), timesteps.to(device), eps.to(device))
