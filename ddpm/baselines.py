"""What a diffusion model has to be better than: noise, and a variational autoencoder."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm.measure_config import Vae as VaeSettings
from ddpm.pixels import to_pixels, to_tensor
from lab.device import generator_for, noise
from lab.run import Progress
from storybook.training import Plan, fit, step_rng

WIDTHS = (32, 64, 128)  # features after each halving of the side
PICTURES_AT_ONCE = 64


def noise_pictures(seeds: Sequence[int], size: int) -> np.ndarray:
    """The x_T that sampling begins with, shown as pictures: uint8 [n, size, size, 3]."""
    return np.concatenate([to_pixels(noise((3, size, size), seed)[None]) for seed in seeds])


class Vae(nn.Module):
    """The smallest honest variational autoencoder: convolutions that halve, one vector, back.

    Kingma & Welling 2014 (arXiv:1312.6114). The vector stands for the whole picture, so that one
    drawn from N(0, 1) is decoded into a whole picture, too.
    """

    def __init__(self, size: int, latent: int):
        super().__init__()
        count = min(len(WIDTHS), (size & -size).bit_length() - 1)  # how often the side is even
        widths = WIDTHS[:count]
        self.side, self.latent = size >> count, latent
        self.middle = (widths[-1], self.side, self.side)
        down: list[nn.Module] = []
        up: list[nn.Module] = []
        for into, out in zip((3, *widths), widths, strict=False):
            down += [nn.Conv2d(into, out, 4, 2, 1), nn.GroupNorm(8, out), nn.SiLU()]
            before = [] if into == 3 else [nn.GroupNorm(8, into), nn.SiLU()]
            up = [nn.ConvTranspose2d(out, into, 4, 2, 1), *before, *up]
        self.down, self.up = nn.Sequential(*down, nn.Flatten()), nn.Sequential(*up)
        self.moments = nn.Linear(math.prod(self.middle), 2 * latent)
        self.grow = nn.Linear(latent, math.prod(self.middle))

    def encode(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance [n, latent] of pictures [n, 3, h, w] in -1..1."""
        mean, log_variance = self.moments(self.down(pictures)).chunk(2, dim=1)
        return mean, log_variance.clamp(-20, 10)

    def decode(self, z: Tensor) -> Tensor:
        """Vectors [n, latent] -> pictures [n, 3, h, w] in about -1..1."""
        return self.up(F.silu(self.grow(z)).unflatten(1, self.middle))


def vae_loss(vae: Vae, pictures: Tensor, eps: Tensor, kl_weight: float) -> Tensor:
    """Negative evidence lower bound a picture, in nats, up to a constant.

    The likelihood is Gaussian, with the variance that fits best, so that D/2 log(mean squared
    error) is what is left of it (Rybkin et al. 2021, arXiv:2006.13202, eq. 5): no weight between
    picture and prior has to be chosen. `eps` [n, latent] is unit noise.
    """
    mean, log_variance = vae.encode(pictures)
    decoded = vae.decode(mean + eps * (0.5 * log_variance).exp())
    likelihood = 0.5 * pictures[0].numel() * F.mse_loss(decoded, pictures).log()
    divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
    return likelihood + kl_weight * divergence


def train_vae(
    vae: Vae, pictures: np.ndarray, settings: VaeSettings, seed: int, checkpoint: Path
) -> Iterator[Progress]:
    """Learn pictures uint8 [N, h, w, 3], mirrored ones too; resumes from `checkpoint`."""
    plan = Plan(settings.steps, settings.batch_size, settings.learning_rate, seed=seed)
    device = next(vae.parameters()).device

    def loss_of(step: int) -> Tensor:
        rng = step_rng(plan, step)
        chosen = pictures[np.sort(rng.integers(0, len(pictures), plan.batch_size))]
        mirrored = rng.random(len(chosen)) < 0.5
        chosen = np.where(mirrored[:, None, None, None], chosen[:, :, ::-1], chosen)
        eps = torch.randn((len(chosen), vae.latent), generator=generator_for(seed, step))
        return vae_loss(vae, to_tensor(chosen).to(device), eps.to(device), settings.kl_weight)

    vae.train()
    yield from fit("the autoencoder to compare with", vae, plan, loss_of, checkpoint)
    vae.eval()


def new_vae(size: int, latent: int, seed: int) -> Vae:
    """An autoencoder with random weights, which follow from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Vae(size, latent)


@torch.no_grad()
def vae_pictures(vae: Vae, seeds: Sequence[int]) -> np.ndarray:
    """Pictures decoded from vectors of N(0, 1), one of each seed: uint8 [n, h, w, 3]."""
    device = next(vae.parameters()).device
    z = torch.stack([noise((vae.latent,), seed) for seed in seeds]).to(device)
    return np.concatenate([to_pixels(vae.decode(part)) for part in z.split(PICTURES_AT_ONCE)])
