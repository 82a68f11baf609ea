"""Training of the autoencoder: sharp edges first, a light touch of KL."""

from collections.abc import Iterator
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

from lab.run import Progress
from storybook.dataset import Dataset
from storybook.train_clip import pixels
from storybook.training import Plan, autocast, fit, step_rng


def reconstruction_loss(
    picture: torch.Tensor, output: torch.Tensor, mse_weight: float = 0.3
) -> torch.Tensor:
    """L1 + `mse_weight` MSE + 0.4 L1 of the gradients, which are the outlines."""
    difference = output - picture
    across, down = difference.diff(dim=3), difference.diff(dim=2)
    edges = across.abs().mean() + down.abs().mean()
    return difference.abs().mean() + mse_weight * difference.square().mean() + 0.4 * edges


def encode(vae: AutoencoderKL, picture: torch.Tensor) -> DiagonalGaussianDistribution:
    """Pictures in -1..1 -> the distribution of their latents, unscaled."""
    (posterior,) = vae.encode(picture, return_dict=False)
    return posterior  # type: ignore[return-value]


def decode(vae: AutoencoderKL, latents: torch.Tensor) -> torch.Tensor:
    """Unscaled latents -> pictures, about -1..1."""
    (picture,) = vae.decode(latents, return_dict=False)  # type: ignore[misc]
    return picture


def train_autoencoder(
    vae: AutoencoderKL, data: Dataset, plan: Plan, folder: Path, device
) -> Iterator[Progress]:
    """Learn to encode and decode the drawn pictures; the KL weight is small, as in LDM."""

    def loss_of(step: int) -> torch.Tensor:
        rng = step_rng(plan, step)
        picture = pixels(
            data.pictures[rng.choice(data.trained, plan.batch_size, replace=False)], device
        )
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        with autocast(device, True):
            posterior = encode(vae, picture)
            noise = torch.randn(posterior.mean.shape, generator=generator).to(device)
            output = decode(vae, posterior.mean + posterior.std * noise).float()
        mean, log_variance = posterior.mean.float(), posterior.logvar.float()
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        return reconstruction_loss(picture, output) + 1.5e-4 * kl

    vae.to(device).train()
    yield from fit("autoencoder", vae, plan, loss_of, folder / "autoencoder.pt")
    vae.eval()


def train_decoder(
    vae: AutoencoderKL, data: Dataset, plan: Plan, folder: Path, device
) -> Iterator[Progress]:
    """Sharpen the decoder alone, with more weight on the squared error: the latents, and so the
    U-Net, stay as they are. Stability AI's sd-vae-ft-mse did the same for Stable Diffusion."""

    def loss_of(step: int) -> torch.Tensor:
        rng = step_rng(plan, step)
        chosen = rng.choice(data.trained, plan.batch_size, replace=False)
        picture = pixels(data.pictures[chosen], device)
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        with autocast(device, True):
            with torch.no_grad():
                posterior = encode(vae, picture)
            noise = torch.randn(posterior.mean.shape, generator=generator).to(device)
            output = decode(vae, posterior.mean + posterior.std * noise).float()
        return reconstruction_loss(picture, output, mse_weight=3.0)

    vae.to(device).train()
    yield from fit("decoder", vae, plan, loss_of, folder / "decoder.pt")
    vae.eval()


@torch.no_grad()
def psnr(vae: AutoencoderKL, data: Dataset, device) -> float:
    """Mean peak signal-to-noise ratio in dB over the unseen pictures, decoded from the mean."""
    values = []
    for start in range(data.trained, len(data.captions), 50):
        picture = pixels(data.pictures[start : start + 50], device)
        output = decode(vae, encode(vae, picture).mean).clamp(-1, 1)
        error = ((output - picture) / 2).square().mean(dim=(1, 2, 3))
        values += (-10 * torch.log10(error)).tolist()
    return sum(values) / len(values)
