"""An endless stream of things in random order, which every process and every step can look up."""

from functools import lru_cache

import numpy as np


@lru_cache(maxsize=64)
def _permutation(seed: int, stream: int, lap: int, count: int) -> np.ndarray:
    return np.random.default_rng([seed & 0xFFFFFFFF, 1 + stream, lap]).permutation(count)


def picked(seed: int, position: int, count: int, stream: int = 0) -> int:
    """Which of `count` things comes at a position of the stream: each once before any twice."""
    lap, place = divmod(position, count)
    return int(_permutation(seed, stream, lap, count)[place])
