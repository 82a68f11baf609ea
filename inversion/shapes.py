"""Which shape a picture is learned in: a square, or one of several shapes of about equal area."""

import math
from collections.abc import Sequence

LONGEST = 2.0  # of the longer side to the shorter: beyond it a picture is cut


def bucket_shapes(side: int, multiple: int) -> list[tuple[int, int]]:
    """The shapes (width, height) whose sides are multiples of `multiple` px and whose area is the
    largest that does not exceed that of a square of `side` px.

    >>> bucket_shapes(512, 64)[:3]
    [(384, 640), (448, 576), (512, 512)]
    """
    shapes = set()
    for width in range(multiple, 2 * side + 1, multiple):
        height = side * side // width // multiple * multiple
        if height and max(width, height) <= LONGEST * min(width, height):
            shapes |= {(width, height), (height, width)}
    largest = {min(shape): 0 for shape in shapes}
    for shape in shapes:
        largest[min(shape)] = max(largest[min(shape)], max(shape))
    return sorted(shape for shape in shapes if max(shape) == largest[min(shape)])


def nearest_shape(size: tuple[int, int], shapes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The shape whose ratio of width to height is nearest to a picture's, so that least is cut."""
    ratio = math.log(size[0] / size[1])
    return min(shapes, key=lambda shape: (abs(math.log(shape[0] / shape[1]) - ratio), -shape[0]))


def box_for(size: tuple[int, int], shape: tuple[int, int]) -> tuple[float, float, float, float]:
    """The largest box (left, top, right, bottom) of the ratio of `shape` in the middle of a picture
    of `size`, both (width, height)."""
    scale = min(size[0] / shape[0], size[1] / shape[1])
    width, height = min(size[0], shape[0] * scale), min(size[1], shape[1] * scale)
    left, top = (size[0] - width) / 2, (size[1] - height) / 2
    return left, top, left + width, top + height


def choose_shapes(
    sizes: Sequence[tuple[int, int]], side: int, multiple: int, buckets: bool
) -> list[tuple[int, int]]:
    """The shape (width, height) in which each picture of `sizes` is learned."""
    square = (side, side)
    shapes = [*bucket_shapes(side, multiple), square] if buckets else [square]
    return [nearest_shape(size, shapes) for size in sizes]
