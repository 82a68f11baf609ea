"""What is done with a picture: one crop, the whole of it padded, or several tiles; and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from cropping.buckets import bucket_for
from cropping.detectors import Detector, with_found
from cropping.subject import saliency
from cropping.tiles import tiles_of
from cropping.view import View
from cropping.window import Box, Window, fit, highlights

Kind = Literal["crop", "pad", "tiles"]
Pad = Literal["auto", "never", "always"]
# What a crop may do before padding is the better choice: to cut off a share of what matters, and to
# cut through it. A head is a small share, and what joins it to the rest is in the window's edge.
MOST_LOST = 0.3
MOST_CUT = 0.7  # both edges' `Window.cuts` together, 0..2


@dataclass(frozen=True)
class Plan:
    """How a picture is cut. A window that leaves the picture is padded there."""

    kind: Kind
    windows: tuple[Window, ...]
    size: tuple[int, int]
    """Width and height, in px, that every window is drawn at."""
    reason: str
    lost_mass: float
    """Share of what matters in the picture that no window shows, 0..1."""
    warnings: tuple[str, ...] = ()


def plan(
    image: Image.Image,
    size: int = 512,
    *,
    strategy: str = "focal",
    pad: Pad = "auto",
    tiles: bool = False,
    buckets: bool = False,
    detector: Detector | None = None,
    most_lost: float = MOST_LOST,
    most_cut: float = MOST_CUT,
    view: View | None = None,
) -> Plan:
    """Choose the windows of an RGB picture.

    Args:
        image: the picture.
        size: side of the square crops in px; with buckets, of the square of the same area.
        strategy: a key of `window.STRATEGIES`, for the largest window.
        pad: auto, where the crop would lose more than `most_lost` or cut through more than
            `most_cut`; never; always.
        tiles: several overlapping windows instead of one, where the picture is long or large.
        buckets: the bucket nearest the picture's shape instead of a square.
        detector: finds heads and figures, which then count beside the saliency.
        most_lost: share of what matters, 0..1.
        most_cut: what both edges together may cut through, 0..2; 1 is the brightest place there is.
        view: of the picture, where there is one already.
    """
    out = bucket_for(image.size, size) if buckets else (size, size)
    aspect = out[0] / out[1]
    found = detector(image) if detector else ()
    importance = with_found(saliency(view or image), image.size, found)
    window = fit(importance, image.size, aspect, strategy)
    if tiles:
        several = tiles_of(importance, image.size, max(out), aspect)
        if len(several) > 1:
            return _tiles(importance, image.size, several, out)
    is_cut = window.box.corners != (0, 0, *image.size)
    if is_cut and pad == "always":
        return _padded(image.size, out, "padded, as was asked for")
    if is_cut and pad == "auto":
        if window.lost_mass > most_lost:
            lost = f"padded, as a crop would lose {window.lost_mass:.0%} of what matters"
            return _padded(image.size, out, lost)
        if sum(window.cuts) > most_cut:
            return _padded(image.size, out, _cut(window, image.size))
    return Plan("crop", (window,), out, window.reason, window.lost_mass, _enlarged([window], out))


def _tiles(
    importance: np.ndarray,
    picture: tuple[int, int],
    windows: Sequence[Window],
    out: tuple[int, int],
) -> Plan:
    left = highlights(importance)
    rows, columns = left.shape
    across, down = columns / picture[0], rows / picture[1]
    for box in (window.box for window in windows):
        left[
            int(box.y0 * down) : int(np.ceil(box.y1 * down)),
            int(box.x0 * across) : int(np.ceil(box.x1 * across)),
        ] = 0
    reason = f"{len(windows)} overlapping windows, as the picture is long or large"
    lost = round(float(left.sum()), 4)
    return Plan("tiles", tuple(windows), out, reason, lost, _enlarged(windows, out))


def _cut(window: Window, picture: tuple[int, int]) -> str:
    edges = ("upper", "lower") if window.box.width == picture[0] else ("left", "right")
    edge = edges[int(window.cuts[1] > window.cuts[0])]
    return f"padded, as a crop would cut through what matters at its {edge} edge"


def _padded(picture: tuple[int, int], out: tuple[int, int], reason: str) -> Plan:
    """The whole picture in the middle of the smallest window that holds it."""
    aspect = out[0] / out[1]
    width = max(picture[0], round(picture[1] * aspect))
    height = max(picture[1], round(picture[0] / aspect))
    x, y = -((width - picture[0]) // 2), -((height - picture[1]) // 2)
    whole = Window(Box(x, y, x + width, y + height), 0.0, "the whole picture, padded")
    return Plan("pad", (whole,), out, reason, 0.0, _enlarged([whole], out))


def _enlarged(windows: Sequence[Window], out: tuple[int, int]) -> tuple[str, ...]:
    most = max(max(out[0] / w.box.width, out[1] / w.box.height) for w in windows)
    return (f"enlarged {most:.2f} times",) if most > 1 else ()
