"""Sets of pictures for the studies: drawn in equal batches, kept as one PNG each, measured."""

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ddpm.denoising import Guidance, denoise, x_T_of
from ddpm.distance import Distance
from ddpm.pixels import to_pixels, to_tensor
from ddpm.shares import principal_variances
from ddpm.stages import Bench
from lab.device import padded_chunks
from lab.images import save_png
from lab.run import Progress

COARSE = 8  # principal components that count as coarse structure
MOST = 512  # pictures that the data's components are computed from


@dataclass(frozen=True)
class Way:
    """How a set is drawn."""

    name: str
    """Of its file."""
    sampler: str = "ddpm"
    steps: int = 0
    eta: float = 0.0
    x_T: str = "own"
    """own: each picture's; zero; one: the first picture's for all."""
    z: str = "own"
    """own: each picture's; none; one: the first picture's for all."""

    def arguments(self, unet: Any, seeds: Sequence[int], first: int) -> dict[str, Any]:
        """What `denoise` is called with for pictures of these seeds, of a set that begins at the
        seed `first`."""
        starts = x_T_of(unet, [first] * len(seeds) if self.x_T == "one" else seeds)
        return {
            "x_T": torch.zeros_like(starts) if self.x_T == "zero" else starts,
            "seeds": [first] * len(seeds) if self.z == "one" else list(seeds),
            "step_noise": self.z != "none",
            "sampler": self.sampler,
            "steps": self.steps,
            "eta": self.eta,
        }


def draw_set(
    bench: Bench,
    way: Way,
    seeds: Sequence[int],
    batch_size: int,
    folder: Path,
    guidance: Guidance | None = None,
) -> Generator[Progress, None, np.ndarray]:
    """Draw the pictures of the seeds, uint8 [n, h, w, 3], or read them where they are there.

    They are kept as NAME.png, one below the other: what was measured can be looked at.
    """
    path = folder / f"{way.name}.png"
    if (there := _read_set(path, len(seeds))) is not None:
        return there
    pictures: list[np.ndarray] = []
    for chunk, real in padded_chunks(seeds, batch_size):
        how = way.arguments(bench.unet, chunk, seeds[0])
        x_t = torch.zeros(0)
        drawn = denoise(bench.unet, bench.scheduler, dtype=bench.dtype, guidance=guidance, **how)
        for step in drawn:
            x_t = step.x_t
            done = len(pictures) * step.count + min(real, len(chunk)) * step.index
            yield Progress(f"drawing: {way.name}", done, len(seeds) * step.count)
        pictures += list(to_pixels(x_t[:real]))
    whole = np.stack(pictures)
    save_png(Image.fromarray(whole.reshape(-1, *whole.shape[2:])), path, {"count": str(len(seeds))})
    return whole


def _read_set(path: Path, count: int) -> np.ndarray | None:
    if not path.exists():
        return None
    with Image.open(path) as image:
        pixels = np.array(image.convert("RGB"))
    height = len(pixels) // count
    return pixels.reshape(count, height, *pixels.shape[1:])


@dataclass(frozen=True)
class Reference:
    """What the data are like: what drawn pictures are compared with."""

    spread: float
    """How far a picture is from the mean one, root mean square over all pictures and pixels of
    -1..1."""
    brightness: float
    """Mean of all pixels, 0 (black) to 1."""
    detail: float
    """Root mean square of the pixels' Laplacian."""
    components: Tensor
    """The COARSE first principal components, [k, c * h * w], of length 1."""
    variances: Tensor
    """Along all principal components, the largest first."""
    distance: Distance | None = None
    """Of sets from the test pictures, where that is asked for."""


def reference(pixels: np.ndarray) -> Reference:
    """Of the training pictures uint8 [n, h, w, 3]; the components are those of MOST of them."""
    pictures = to_tensor(pixels[:MOST]).double()
    flat = pictures.flatten(1)
    centred = flat - flat.mean(0)
    components = torch.linalg.svd(centred, full_matrices=False).Vh[:COARSE]
    return Reference(
        spread(pixels), brightness(pixels), detail(pixels), components,
        principal_variances(pictures),
    )  # fmt: skip


def spread(pixels: np.ndarray) -> float:
    """How far pictures uint8 [n, h, w, 3] are from their mean: 0 where all are the same."""
    flat = to_tensor(pixels).flatten(1).double()
    return float(flat.var(0, unbiased=len(flat) > 1).mean().sqrt())


def brightness(pixels: np.ndarray) -> float:
    """The mean of all pixels, 0 to 1."""
    return float(pixels.mean()) / 255


def detail(pixels: np.ndarray) -> float:
    """Root mean square of the discrete Laplacian of -1..1: edges, and grain."""
    x = to_tensor(pixels).double()
    inner = x[..., 1:-1, 1:-1]
    around = x[..., :-2, 1:-1] + x[..., 2:, 1:-1] + x[..., 1:-1, :-2] + x[..., 1:-1, 2:]
    return float(((around - 4 * inner) ** 2).mean().sqrt())


def coarse_variance(pixels: np.ndarray, components: Tensor) -> float:
    """The variance of pictures along the data's first components, summed over these."""
    flat = to_tensor(pixels).flatten(1).double()
    return float((flat @ components.T).var(0).sum())


def alike(pixels: np.ndarray, others: np.ndarray) -> float | None:
    """The correlation of two sets, picture by picture, each without its mean picture: 1 where
    equal seeds give equal pictures, 0 where they have nothing in common, None where the pictures of
    a set are all the same."""
    a, b = (to_tensor(x).flatten(1).double() for x in (pixels, others))
    a, b = a - a.mean(0), b - b.mean(0)
    size = math.sqrt(float((a**2).sum() * (b**2).sum()))
    return None if size < 1e-12 else float((a * b).sum()) / size
