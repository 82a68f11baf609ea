"""Aspect buckets: the shapes of the same area in which pictures are trained on without squaring."""

import math


def buckets(size: int) -> list[tuple[int, int]]:
    """(width, height) of every bucket: about size x size px of area, sides multiples of `step_of`,
    between half and twice the size, as kohya-ss and AUTOMATIC1111 make them."""
    step = step_of(size)
    found = set()
    for width in range(size // 2 // step * step, 2 * size + 1, step):
        height = min(size * size // width // step * step, 2 * size)
        found |= {(width, height), (height, width)}
    return sorted(found)


def step_of(size: int) -> int:
    """64 px at 512 px and above; an eighth of a smaller size, in whole latent pixels of 8."""
    return min(64, max(8, size // 8 // 8 * 8))


def bucket_for(picture: tuple[int, int], size: int) -> tuple[int, int]:
    """The bucket whose aspect is nearest the picture's, by the ratio of the two."""
    aspect = math.log(picture[0] / picture[1])
    return min(buckets(size), key=lambda b: (abs(math.log(b[0] / b[1]) - aspect), -b[0] * b[1]))
