"""Pictures of any kind -> squares of one size, in three parts that share none."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ddpm.config import Data


@dataclass(frozen=True)
class Pictures:
    """All pictures, and which of them is for what."""

    pixels: np.ndarray
    """uint8 [N, size, size, 3]; large sets stay on the disk and are read as they are used."""
    names: tuple[str, ...]
    """File name or caption of each."""
    train: tuple[int, ...]
    """Indices into `pixels`, as those of the other two parts."""
    validation: tuple[int, ...]
    test: tuple[int, ...]

    def part(self, name: str) -> np.ndarray:
        """The pictures of `train`, `validation` or `test`: uint8 [n, size, size, 3]."""
        return self.pixels[list(getattr(self, name))]


def read_pictures(data: Data, seed: int, cache: Path) -> Pictures:
    """The pictures that `data` names, prepared and divided; prepared ones are kept in `cache`."""
    raise RuntimeError(data, seed, cache)
