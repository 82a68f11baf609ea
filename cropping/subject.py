"""What matters in a picture: a saliency map blended from seven cues, with numpy and OpenCV alone.

A cue is one pure function `lab -> map`. It takes a float32 CIE Lab picture [h, w, 3] and returns a
float32 map [h, w], zero or above, larger where the picture is more remarkable; its unit does not
matter. `saliency` blends the functions in `CUES`: a further cue is a function and an entry there.

No cue is right alone: colour distance misses a subject in the background's colours, surroundedness
one that leaves the frame, the local cues take foliage for a subject. Their sum is right where most
of them agree.
"""

import functools
from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np
from PIL import Image

from cropping.text import text_weight
from cropping.view import View, view_of

Map: TypeAlias = np.ndarray  # float32 [h, w]

WORKING_SIDE = 224  # px, the long side of what the cues see: finer detail is texture, not subject
SHARPNESS = 1.25  # exponent of the blend: more loses thin ears and legs, less keeps undergrowth


def border_distance(lab: np.ndarray) -> Map:
    """Colour distance to the four borders (Zhang et al. 2015, "Minimum Barrier Salient Object
    Detection at 80 FPS", section 4.1): the Mahalanobis distance to each border strip, summed, less
    the largest of the four, so that a subject which covers one border is not taken for background.
    """
    height, width = lab.shape[:2]
    strip = max(2, round(0.06 * min(height, width)))
    distances = []
    for border in (lab[:strip], lab[-strip:], lab[:, :strip], lab[:, -strip:]):
        colours = border.reshape(-1, 3)
        centred = lab - colours.mean(axis=0)
        # A plain border has no spread: one unit of Lab variance is added so that an inverse exists.
        precision = np.linalg.inv(np.cov(colours, rowvar=False) + np.eye(3)).astype(np.float32)
        distance = np.sqrt(np.maximum(_summed((centred @ precision) * centred), 0))
        distances.append(distance / max(float(distance.max()), 1e-6))
    stack = np.stack(distances)
    return stack.sum(axis=0) - stack.max(axis=0)


def surroundedness(lab: np.ndarray, levels: int = 24) -> Map:
    """How often a pixel is enclosed (Zhang & Sclaroff 2013, "Saliency Detection: A Boolean Map
    Approach"): each channel is cut at `levels` thresholds, and of every such map and its inverse
    the part that a flood from the border does not reach is figure. Each figure is divided by its
    L2 norm, so that small figures count as much as large ones.
    """
    total = np.zeros(lab.shape[:2], np.float32)
    for channel in cv2.split(lab):
        low, high = float(channel.min()), float(channel.max())
        if high - low < 4:  # Lab units: a flat channel holds nothing but noise
            continue
        for threshold in np.linspace(low, high, levels + 2)[1:-1]:
            above = (channel > threshold).view(np.uint8) * np.uint8(255)
            for boolean_map in (above, cv2.bitwise_not(above)):
                figure = _enclosed(boolean_map)
                count = cv2.countNonZero(figure)
                if count:
                    total += figure * np.float32(1 / (255 * count**0.5))
    return cv2.GaussianBlur(total, (0, 0), 2)


def _enclosed(boolean_map: np.ndarray) -> np.ndarray:
    """The part of a 0/255 map that is not connected to the border, without specks."""
    ringed = cv2.copyMakeBorder(boolean_map, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=255)
    cv2.floodFill(ringed, None, (0, 0), 0)
    return cv2.morphologyEx(ringed[1:-1, 1:-1], cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))


def content_surroundedness(lab: np.ndarray) -> Map:
    """Surroundedness inside the plain margin: on a scanned plate the margin encloses the whole
    picture, and only within the picture does enclosure tell the subject from its setting."""
    top, bottom, left, right = content_bounds(lab)
    inside = np.zeros(lab.shape[:2], np.float32)
    inside[top:bottom, left:right] = surroundedness(lab[top:bottom, left:right])
    return inside


def content_bounds(
    lab: np.ndarray, tolerance: float = 12, share: float = 0.25
) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) of the rows and columns that are not margin: at least `share` of
    such a row or column differs from the border's median colour by over `tolerance` Lab units.
    The whole picture where less than a quarter of its area would remain."""
    ring = np.concatenate([lab[0], lab[-1], lab[:, 0], lab[:, -1]])
    differs = np.linalg.norm(lab - np.median(ring, axis=0), axis=2) > tolerance
    rows = np.flatnonzero(differs.mean(axis=1) >= share)
    columns = np.flatnonzero(differs.mean(axis=0) >= share)
    height, width = lab.shape[:2]
    if rows.size == 0 or columns.size == 0:
        return 0, height, 0, width
    bounds = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    area = (bounds[1] - bounds[0]) * (bounds[3] - bounds[2])
    return bounds if area >= 0.25 * height * width else (0, height, 0, width)


def patch_distinctness(lab: np.ndarray, patch: int = 7) -> Map:
    """How unlike the average patch each patch is (Margolin, Tal & Zelnik-Manor 2013, "What Makes a
    Patch Distinct?", eq. 2): the L1 norm of its coordinates along the principal components, here
    of the lightness at half size, components below a thousandth of the variance left out."""
    height, width = lab.shape[:2]
    half = (max(width // 2, 1), max(height // 2, 1))
    light = cv2.resize(lab[..., 0], half, interpolation=cv2.INTER_AREA)
    margin = patch // 2
    padded = cv2.copyMakeBorder(light, margin, margin, margin, margin, cv2.BORDER_REFLECT_101)
    patches = np.lib.stride_tricks.sliding_window_view(padded, (patch, patch)).reshape(-1, patch**2)
    # OpenCV's PCA, because numpy's threads cost ten times the work on matrices as small as these.
    mean, components, variances = cv2.PCACompute2(patches, np.empty(0))
    kept = variances[:, 0] >= 1e-3 * variances[0, 0]
    coordinates = cv2.PCAProject(patches, mean, components[kept])
    distinctness = np.abs(coordinates).sum(axis=1).reshape(half[::-1])
    return cv2.resize(distinctness, (width, height))


def spectral_residual(lab: np.ndarray) -> Map:
    """What the amplitude spectrum holds beyond its own average (Hou & Zhang 2007, "Saliency
    Detection: A Spectral Residual Approach", eq. 4 to 6), at a long side of 64 px, over Lab."""
    height, width = lab.shape[:2]
    scale = 64 / max(height, width)
    small_size = (max(round(width * scale), 2), max(round(height * scale), 2))
    total = np.zeros(small_size[::-1], np.float32)
    for channel in cv2.split(cv2.resize(lab, small_size, interpolation=cv2.INTER_AREA)):
        if float(np.ptp(channel)) < 4:
            continue
        spectrum = np.fft.fft2(channel)
        log_amplitude = np.log(np.abs(spectrum) + 1e-3).astype(np.float32)
        # A spectrum has no edge: its first frequency is the neighbour of its last.
        wrapped = cv2.blur(np.pad(log_amplitude, 1, mode="wrap"), (3, 3))[1:-1, 1:-1]
        residual = log_amplitude - wrapped
        phase = spectrum / np.maximum(np.abs(spectrum), 1e-9)
        total += (np.abs(np.fft.ifft2(np.exp(residual) * phase)) ** 2).astype(np.float32)
    return cv2.resize(cv2.GaussianBlur(total, (0, 0), 2.5), (width, height))


def orientation_entropy(lab: np.ndarray, bins: int = 8) -> Map:
    """Entropy of the edge directions around each pixel, times the edges' strength: drawn creatures
    have edges in every direction, stripes and horizons in one."""
    light = cv2.GaussianBlur(lab[..., 0], (0, 0), 1)
    dx, dy = cv2.Sobel(light, cv2.CV_32F, 1, 0), cv2.Sobel(light, cv2.CV_32F, 0, 1)
    strength = cv2.magnitude(dx, dy)
    # Directions are those of lines, so the angle is taken modulo half a turn. Upright, level and
    # diagonal lines lie in the middle of a bin, so that mirroring changes no count.
    index = np.floor(np.arctan2(dy, dx) / np.pi * bins + 0.5).astype(int) % bins
    window = 2 * (max(lab.shape[:2]) // 20) + 1
    histogram = np.stack([cv2.blur(strength * (index == k), (window, window)) for k in range(bins)])
    mass = np.maximum(histogram.sum(axis=0), 0)  # blurring can leave less than nothing
    share = histogram / np.maximum(mass, 1e-6)
    entropy = -(share * np.log(np.maximum(share, 1e-9))).sum(axis=0)
    return entropy * np.sqrt(mass)


def broad_contrast(lab: np.ndarray) -> Map:
    """Lab distance between a centre and its surround (Itti, Koch & Niebur 1998, "A Model of
    Saliency-Based Visual Attention for Rapid Scene Analysis"), summed over two pairs of Gaussians
    (sigma a twentieth to a quarter of the long side) at quarter size: subjects, not their parts."""
    height, width = lab.shape[:2]
    size = (max(width // 4, 1), max(height // 4, 1))
    quarter = cv2.resize(lab, size, interpolation=cv2.INTER_AREA)
    total = np.zeros(quarter.shape[:2], np.float32)
    for fraction in (0.05, 0.08):
        centre = cv2.GaussianBlur(quarter, (0, 0), fraction * max(size))
        surround = cv2.GaussianBlur(quarter, (0, 0), 3 * fraction * max(size))
        total += np.sqrt(_summed((centre - surround) ** 2))
    return cv2.resize(total, (width, height))


def texture_distance(lab: np.ndarray) -> Map:
    """Mahalanobis distance of what a pixel's surroundings are made of to the picture's average: the
    mean and the spread of each channel, and the edges' strength along x and y (sigma a fiftieth of
    the long side). A figure of one tone stands out of undergrowth, and undergrowth does not."""
    sigma = 0.02 * max(lab.shape)
    mean = cv2.GaussianBlur(lab, (0, 0), sigma)
    spread = np.sqrt(np.maximum(cv2.GaussianBlur(lab * lab, (0, 0), sigma) - mean * mean, 0))
    edges = [cv2.Sobel(lab[..., 0], cv2.CV_32F, *way) for way in ((1, 0), (0, 1))]
    strength = np.stack([cv2.GaussianBlur(np.abs(edge), (0, 0), sigma) for edge in edges], axis=2)
    # 2 and 0.3 bring the spread and Sobel's sums to about the scale of the mean.
    features = np.concatenate([mean, 2 * spread, 0.3 * strength], axis=2)
    flat = features.reshape(-1, features.shape[2])
    precision = np.linalg.inv(np.cov(flat, rowvar=False) + np.eye(flat.shape[1]))
    centred = features - flat.mean(axis=0)
    squared = _summed((centred @ precision.astype(np.float32)) * centred)
    return np.sqrt(np.maximum(squared, 0))


def _summed(channels: np.ndarray) -> Map:
    """The sum over the last axis, [h, w, c]: for so few channels many times as fast as numpy's."""
    return functools.reduce(np.add, (channels[..., c] for c in range(channels.shape[2])))


CUES: dict[str, Callable[[np.ndarray], Map]] = {
    "border distance": border_distance,
    "surroundedness in the content": content_surroundedness,
    "patch distinctness": patch_distinctness,
    "spectral residual": spectral_residual,
    "broad contrast": broad_contrast,
    "orientation entropy": orientation_entropy,
    "texture distance": texture_distance,
}
WEIGHTS = {  # the others weigh 1
    "border distance": 1.5,
    "patch distinctness": 2.0,
    "broad contrast": 0.5,
}
SAME_COLOUR = 3.0  # weight of what the cues find, spread over everything of the same colour


def saliency(image: Image.Image | np.ndarray | View) -> Map:
    """Blended saliency of an RGB picture, float32 [h, w] with a long side of at most 224, sum 1.

    A picture of one colour has nothing in it but rounding errors: its map is uniform.
    """
    view = view_of(image)
    lab = to_working_lab(view.at(WORKING_SIDE, 8))
    # Lab units; less is invisible. numpy is slow along two axes at once.
    if max(float(np.ptp(channel)) for channel in cv2.split(lab)) < 1:
        return np.full(lab.shape[:2], 1 / (lab.shape[0] * lab.shape[1]), np.float32)
    total = np.zeros(lab.shape[:2], np.float32)
    for name, cue in CUES.items():
        total += WEIGHTS.get(name, 1.0) * normalised(without_gutters(cue(lab)))
    prior, text = centre_prior(*lab.shape[:2]), text_weight(view, lab.shape[:2])
    spread = spread_by_colour(total * prior * text, lab)
    total += SAME_COLOUR * normalised(without_gutters(spread))
    blend = text * (total / max(float(total.max()), 1e-12) * prior) ** SHARPNESS
    mass = float(blend.sum())
    return (blend / mass if mass > 0 else np.full_like(blend, 1 / blend.size)).astype(np.float32)


def spread_by_colour(found: Map, lab: np.ndarray, step: float = 6) -> Map:
    """The average of a map over all pixels of about the same colour. Cues find eyes, edges and
    outlines; what is painted like them is the rest of the figure, and what is painted like the
    ground is not. Colours are counted in cells of `step` Lab units, smoothed over their neighbours.
    """
    cells = tuple(
        np.floor((channel - channel.min()) / step).astype(int).ravel() + 1
        for channel in cv2.split(lab)
    )
    shape = tuple(int(along.max()) + 2 for along in cells)  # a cell more on all sides, to smooth
    place = np.ravel_multi_index(cells, shape)
    sums, counts = (
        _smoothed(np.bincount(place, weights, int(np.prod(shape))).reshape(shape)).ravel()
        for weights in (found.ravel(), None)
    )
    return (sums[place] / counts[place]).reshape(found.shape).astype(np.float32)


def _smoothed(counts: np.ndarray) -> np.ndarray:
    """With half of each neighbour's count added along every axis; the outermost cells are empty."""
    for axis in range(counts.ndim):
        counts = counts + (np.roll(counts, 1, axis) + np.roll(counts, -1, axis)) / 2
    return counts


def to_working_lab(rgb: np.ndarray) -> np.ndarray:
    """uint8 RGB [h, w, 3] -> float32 Lab [h, w, 3]."""
    return cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)


def without_gutters(cue: Map) -> Map:
    """The cue less the larger of its row's and its column's 25th percentile: what runs through
    three quarters of a row or column is a gutter, a stripe, a frame or a horizon."""
    rows, columns = _quartiles(cue)[:, None], _quartiles(np.ascontiguousarray(cue.T))[None, :]
    return np.maximum(cue - np.maximum(rows, columns), 0)


def _quartiles(lines: np.ndarray) -> np.ndarray:
    """The 25th percentile of each line, [n, m] -> [n]: numpy's to the last bit, in a tenth of its
    time."""
    ordered, place = np.sort(lines, axis=1), 0.25 * (lines.shape[1] - 1)
    low, high = ordered[:, int(place)], ordered[:, int(np.ceil(place))]
    part = place % 1
    if part < 0.5:  # rounded as numpy does it
        return low + (high - low) * np.float32(part)
    return high - (high - low) * np.float32(1 - part)


def normalised(cue: Map, clipped: float = 5) -> Map:
    """The cue from 0 to 1, the highest `clipped` percent of its pixels at 1, so that a few bright
    specks do not outweigh everything else; unchanged where it is zero throughout."""
    peak = float(np.percentile(cue, 100 - clipped)) or float(cue.max())
    return np.minimum(cue / peak, 1) if peak > 0 else cue


def centre_prior(height: int, width: int, strength: float = 0.3) -> Map:
    """1 in the middle, falling with the squared distance to `1 - strength` in the corners."""
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    return 1 - strength * (x**2 + y**2) / 2
