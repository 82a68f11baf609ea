"""The network of cropping/strips.py, trained."""

import numpy as np
import torch
from boosting import rounded
from torch import Tensor, nn

from cropping.strips import HALF, WINDOW, Net

WIDTH = 32  # channels of each layer
EPOCHS, BATCH, RATE, DECAY, DROPOUT = 12, 128, 3e-3, 1e-3, 0.2
ACROSS = 2 * HALF + 1  # the first channels; then as `cropping.strips.channels` has them
RELATIVE = slice(ACROSS + 3, ACROSS + 6)
ODD = [
    ACROSS + 9,
    ACROSS + 11,
    ACROSS + 12,
]  # change their sign when the two sides change places


class Layers(nn.Module):
    """What `cropping.strips.Net` computes."""

    def __init__(self, channels: int, measures: int):
        super().__init__()
        self.across = nn.Conv1d(channels, WIDTH, 1)
        self.first = nn.Conv1d(WIDTH, WIDTH, WINDOW, padding=WINDOW // 2)
        self.second = nn.Conv1d(WIDTH, WIDTH, WINDOW, padding=WINDOW // 2)
        self.joined = nn.Linear(4 * WIDTH + measures, WIDTH)
        self.last = nn.Linear(WIDTH, 1)
        self.drop = nn.Dropout(DROPOUT)

    def forward(self, strips: Tensor, measures: Tensor) -> Tensor:
        """Log odds [n], of standardised strips [n, channels, steps] and measures [n, m]."""
        z = self.first(self.across(strips).relu()).relu()
        z = self.second(nn.functional.avg_pool1d(z, 2)).relu()
        ends = torch.minimum(z[..., :WINDOW].mean(-1), z[..., -WINDOW:].mean(-1))
        spread = (z.var(-1, correction=0) + 1e-8).sqrt()
        summary = torch.cat([z.mean(-1), z.amax(-1), spread, ends, measures], 1)
        return self.last(self.drop(self.joined(self.drop(summary)).relu()))[:, 0]


def trained(strips: np.ndarray, measures: np.ndarray, is_so: np.ndarray) -> Net:
    """The network for strips [n, steps, channels] with measures [n, m] that are so, [n] of bool,
    and such that are not. The same input on the same machine gives the same network."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    means = [rounded_rows(one.reshape(-1, one.shape[-1])) for one in (strips, measures)]
    x = torch.from_numpy(((strips - means[0][0]) / means[0][1]).astype(np.float32))
    x = x.transpose(1, 2).contiguous()
    told = np.clip((measures - means[1][0]) / means[1][1], -3, 3).astype(np.float32)
    m, y = torch.from_numpy(told), torch.from_numpy(is_so.astype(np.float32))
    layers = Layers(x.shape[1], m.shape[1]).train()
    count = len(y) // BATCH
    optimizer = torch.optim.AdamW(layers.parameters(), RATE, weight_decay=DECAY)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=EPOCHS * count + 1)
    for _ in range(EPOCHS):
        for rows in np.array_split(rng.permutation(len(y)), count):
            chosen = torch.from_numpy(rows)
            odds = layers(varied(x[chosen], means[0]), m[chosen])
            loss = nn.functional.binary_cross_entropy_with_logits(odds, y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rates.step()
    return net_of(layers, *means)


def rounded_rows(values: np.ndarray) -> np.ndarray:
    """Mean and spread of every column, [2, k], as the file keeps them."""
    spread = np.maximum(values.std(axis=0, dtype=float), 1e-3)
    both = np.stack([values.mean(axis=0, dtype=float), spread])
    return rounded(both.ravel()).reshape(both.shape)


def varied(x: Tensor, standard: np.ndarray) -> Tensor:
    """Strips [n, channels, steps] turned round, seen from the other side, with more or less
    contrast, and with noise."""
    count = len(x)
    turned = torch.rand(count, 1, 1) < 0.5
    x = torch.where(turned, x.flip(-1), x)
    mirrored = x.clone()
    mirrored[:, :ACROSS] = x[:, :ACROSS].flip(1)
    mean = torch.from_numpy((standard[0] / standard[1]).astype(np.float32))[:, None]
    mirrored[:, ODD] = -x[:, ODD] - 2 * mean[ODD]
    x = torch.where(torch.rand(count, 1, 1) < 0.5, mirrored, x)
    contrast = 0.7 + 0.7 * torch.rand(count, 1, 1)
    for part in (slice(0, ACROSS), RELATIVE):
        x[:, part] = (x[:, part] + mean[part]) * contrast - mean[part]
    return x + 0.05 * torch.randn_like(x)


def net_of(layers: Layers, channels: np.ndarray, measures: np.ndarray) -> Net:
    """What layers have learned, with four digits, and the means and spreads [2, k] they expect."""

    def rows(layer: nn.Conv1d | nn.Linear) -> np.ndarray:
        assert layer.bias is not None
        weight, offset = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        if weight.ndim == 3:  # [out, in, steps] -> [steps x in, out]
            flat = weight.transpose(2, 1, 0).reshape(-1, len(weight))
        else:
            flat = weight.T
        both = np.concatenate([flat, offset[None]])
        return rounded(both.ravel()).reshape(both.shape).astype(np.float32)

    inner = (layers.across, layers.first, layers.second, layers.joined, layers.last)
    standard = (one.astype(np.float32) for one in (channels, measures))
    return Net(*standard, *(rows(layer) for layer in inner))
