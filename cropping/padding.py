"""Drawing a window at its size, and what stands beyond the picture's edge where it leaves it."""

from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image

from cropping.window import Box, Window

Side = tuple[tuple[int, int], tuple[int, int]]  # rows above and below, columns left and right


def render(
    image: Image.Image, window: Window, size: int | tuple[int, int], fill: str = "edge"
) -> tuple[Image.Image, Image.Image | None]:
    """The window of an RGB picture at `size` px, and the mask of what is picture in it.

    What lies in the picture is resampled once, by Lanczos, from exactly the window's pixels.

    Args:
        size: side, or width and height, of the result.
        fill: a key of `FILLS`, for what lies beyond the picture.

    Returns:
        The crop, and a mask ("L": 255 picture, 0 padding), or None where nothing is padded.
    """
    size = (size, size) if isinstance(size, int) else size
    inside = window.box.inside(image.size)
    if inside == window.box:
        crop = image.resize(size, Image.Resampling.LANCZOS, box=inside.corners, reducing_gap=3.0)
        return crop, None
    x0, y0, x1, y1 = _place(window.box, inside, size)
    part = image.resize(
        (x1 - x0, y1 - y0), Image.Resampling.LANCZOS, box=inside.corners, reducing_gap=3.0
    )
    around = ((y0, size[1] - y1), (x0, size[0] - x1))
    mask = np.pad(np.full((y1 - y0, x1 - x0), 255, np.uint8), around)
    return Image.fromarray(FILLS[fill](np.asarray(part), around)), Image.fromarray(mask)


def _place(box: Box, inside: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Where the picture's part of the box lies in the result, in whole pixels, at least one."""
    across, down = size[0] / box.width, size[1] / box.height
    x0, x1 = (round((x - box.x0) * across) for x in (inside.x0, inside.x1))
    y0, y1 = (round((y - box.y0) * down) for y in (inside.y0, inside.y1))
    x0, y0 = min(x0, size[0] - 1), min(y0, size[1] - 1)
    return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)


def edge(part: np.ndarray, around: Side) -> np.ndarray:
    """The colour of each edge, its median, beyond it: the paper goes on."""
    filled = part
    for axis, (before, after) in enumerate(around):
        lines = np.moveaxis(filled, axis, 0)
        first, last = (np.median(lines[k], axis=0) for k in (0, -1))
        filled = np.moveaxis(
            np.concatenate(
                [
                    np.broadcast_to(first, (before, *lines.shape[1:])),
                    lines,
                    np.broadcast_to(last, (after, *lines.shape[1:])),
                ]
            ),
            0,
            axis,
        )
    return np.ascontiguousarray(filled.round().astype(np.uint8))


def mirror(part: np.ndarray, around: Side) -> np.ndarray:
    """The picture mirrored at its edges, as often as there is room."""
    return np.pad(part, (*around, (0, 0)), mode="symmetric")


def blur(part: np.ndarray, around: Side) -> np.ndarray:
    """The picture mirrored at its edges and blurred: its colours without its shapes."""
    filled = mirror(part, around)
    blurred = cv2.GaussianBlur(
        filled, (0, 0), max(filled.shape) / 24, borderType=cv2.BORDER_REFLECT
    )
    (above, _), (left, _) = around
    blurred[above : above + part.shape[0], left : left + part.shape[1]] = part
    return blurred


# The values of the setting for padding: a further one is a function here and its name in config.py.
FILLS: dict[str, Callable[[np.ndarray, Side], np.ndarray]] = {
    "edge": edge,
    "blur": blur,
    "mirror": mirror,
}
