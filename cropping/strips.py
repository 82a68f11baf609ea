"""A line across a picture, straightened: what a small convolutional network says about it. The
network is trained by benchmarks/cropping/strip_net.py; here it is only evaluated."""

from dataclasses import dataclass

import cv2
import numpy as np

HALF = 12  # px to either side of the line
STEPS = 48  # that the way across is divided into
WINDOW = 5  # steps that a filter sees


@dataclass(frozen=True)
class Net:
    """Three layers of filters along the way, a summary of it, and two layers on top.

    `channels` [2, k] and `measures` [2, m] are the means and spreads that the input is standardised
    by. The filters are `across` [k, w], one step each, then `first` and `second` [WINDOW w, w],
    whose rows are steps by channels; `joined` [4 w + m, v] and `last` [v, 1] are the layers on top.
    Each layer has its offset as one more row.
    """

    channels: np.ndarray
    measures: np.ndarray
    across: np.ndarray
    first: np.ndarray
    second: np.ndarray
    joined: np.ndarray
    last: np.ndarray

    def log_odds(self, strips: np.ndarray, measures: np.ndarray) -> np.ndarray:
        """The evidence for each strip [n, STEPS, k] and its measures [n, m] -> [n]."""
        z = (strips - self.channels[0]) / self.channels[1]
        z = _rectified(z, self.across)
        z = _rectified(_windows(z), self.first)
        z = (z[:, ::2] + z[:, 1::2]) / 2
        z = _rectified(_windows(z), self.second)
        ends = np.minimum(z[:, :WINDOW].mean(axis=1), z[:, -WINDOW:].mean(axis=1))
        told = np.clip((measures - self.measures[0]) / self.measures[1], -3, 3)
        summary = [z.mean(axis=1), z.max(axis=1), z.std(axis=1), ends, told]
        z = _rectified(np.concatenate(summary, axis=1), self.joined)
        return (z @ self.last[:-1] + self.last[-1])[:, 0].astype(float)


def _rectified(z: np.ndarray, layer: np.ndarray) -> np.ndarray:
    return np.maximum(z @ layer[:-1] + layer[-1], 0)


def _windows(z: np.ndarray) -> np.ndarray:
    """[n, steps, w] -> [n, steps, WINDOW w]: each step with its neighbours, 0 beyond the ends."""
    steps = z.shape[1]
    padded = np.pad(z, ((0, 0), (WINDOW // 2, WINDOW // 2), (0, 0)))
    return np.concatenate([padded[:, k : k + steps] for k in range(WINDOW)], axis=2)


def channels(around: np.ndarray, place: np.ndarray, height: np.ndarray) -> np.ndarray:
    """What there is along a line that may be a fold, float32 [STEPS, 39], from the colours around
    it [n, columns, 3], the columns that it is followed at, and how high it is there, both [n].

    In order: the brightness across it, less that of its sides, 25; the colour of its sides, 3; by
    how much its own is another (log), 3, and that colour, 3; how the sides differ; how rough they
    are; how far it is from a straight line, px; how it moves, px; how high it is.
    """
    count = len(place)
    columns = (place[:, None] + np.arange(-HALF, HALF + 1)).astype(np.float32)
    rows = np.repeat(np.arange(count, dtype=np.float32)[:, None], 2 * HALF + 1, axis=1)
    aligned = cv2.remap(around, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    aligned = cv2.resize(aligned, (2 * HALF + 1, 2 * STEPS), interpolation=cv2.INTER_AREA)
    followed = np.stack([place, height], axis=1).astype(np.float32)
    followed = cv2.resize(followed, (2, 2 * STEPS), interpolation=cv2.INTER_AREA)
    light = aligned.mean(axis=2)
    left, right = aligned[:, 3:8].mean(axis=1), aligned[:, 17:22].mean(axis=1)
    ground, colour = (left + right) / 2, aligned[:, 11:14].mean(axis=1)
    outer = np.concatenate([light[:, :8], light[:, 17:]], axis=1)
    t = np.linspace(-1, 1, 2 * STEPS)
    away = followed[:, 0] - followed[:, 0].mean()
    away = away - (away * t).mean() / (t * t).mean() * t
    parts = [
        np.clip(6 * (light - ground.mean(axis=1, keepdims=True)), -3, 3),
        2 * (ground - 0.5),
        np.clip(3 * np.log((colour + 0.05) / (ground + 0.05)), -3, 3),
        2 * (colour - 0.5),
        np.clip(6 * (left - right), -3, 3).mean(axis=1, keepdims=True),
        np.clip(8 * outer.std(axis=1, keepdims=True), 0, 3),
        np.clip(away, -4, 4)[:, None],
        np.clip(np.diff(followed[:, :1], axis=0, append=followed[-1:, :1]), -3, 3),
        np.clip(20 * followed[:, 1:], 0, 3),
    ]
    made = np.concatenate(parts, axis=1).astype(np.float32)
    return (made[::2] + made[1::2]) / 2
