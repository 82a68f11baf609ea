"""Which scales have to be drawn so that no visible change is missed.

Scales are named by their indices in the whole range. Coarse ones are drawn first; between two whose
pictures differ by more than a threshold the middle one is drawn as well, again and again, down to
neighbours in the range. What still differs there is a jump: it is reported, and never blended.

What this relies on: between two pictures that look alike no third one looks different. The coarse
step bounds how far that is believed; benchmarks/adaptive.py compares with every scale drawn.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise

COARSEST = 32  # steps of the range between the scales that are always drawn
FEWEST = 8  # parts into which a shorter range is divided at first

Difference = Callable[[int, int], float]
"""How different the pictures of two indices look, in just noticeable differences."""


def first_indices(scales: Sequence[Decimal]) -> list[int]:
    """What is drawn before anything is known: evenly spaced, both ends, and the scales 0 and 1."""
    stride = max(1, min(COARSEST, (len(scales) - 1) // FEWEST))
    landmarks = {index for index, scale in enumerate(scales) if scale in (0, 1)}
    return sorted({*range(0, len(scales), stride), len(scales) - 1} | landmarks)


def coarse_first(scales: Sequence[Decimal]) -> list[int]:
    """Every index once: what is always drawn, then the middle of every gap, again and again. So
    however far the drawing is, the pictures are spread over the whole range."""
    order = first_indices(scales)
    while more := midpoints(sorted(order), lambda a, b: 1.0, 0.0):
        order += more
    return order


def midpoints(indices: Sequence[int], difference: Difference, threshold: float) -> list[int]:
    """What to draw next: the middle of every gap whose ends differ by more than the threshold."""
    gaps = pairwise(indices)
    return [(a + b) // 2 for a, b in gaps if b - a > 1 and difference(a, b) > threshold]


def jumps(
    indices: Sequence[int], difference: Difference, threshold: float
) -> list[tuple[int, int, float]]:
    """The neighbours in the range that differ by more than the threshold, and by how much."""
    gaps = pairwise(indices)
    near = ((a, b, difference(a, b)) for a, b in gaps if b - a == 1)
    return [gap for gap in near if gap[2] > threshold]
