"""Noise, and the autoencoder: what a diffusion model is compared with."""

import math

import numpy as np
import pytest
import torch

from ddpm.baselines import Vae, new_vae, noise_pictures, train_vae, vae_loss, vae_pictures
from ddpm.config import Model
from ddpm.denoising import x_T_of
from ddpm.measure_config import Vae as Settings
from ddpm.models import new_unet
from ddpm.pixels import to_pixels


def test_noise_is_what_sampling_begins_with():
    unet = new_unet(Model(channels=(4,)), 8, seed=0)
    x_T = x_T_of(unet, [5, 6])
    np.testing.assert_array_equal(noise_pictures([5, 6], 8), to_pixels(x_T))


@pytest.mark.parametrize("size", [8, 12, 32, 36, 64])
def test_the_autoencoder_fits_every_size_that_data_may_have(size):
    vae = Vae(size, latent=4)
    mean, log_variance = vae.encode(torch.zeros(2, 3, size, size))
    assert mean.shape == log_variance.shape == (2, 4)
    assert vae.decode(mean).shape == (2, 3, size, size)


def test_the_loss_is_the_evidence_lower_bound():
    """-ELBO is D/2 log(2 pi e sigma^2) + KL with sigma^2 the mean squared error, by torch's own
    distributions; the constant D/2 log(2 pi e) is left out."""
    from torch.distributions import Normal, kl_divergence

    torch.manual_seed(0)
    vae = Vae(8, latent=3).double()
    pictures = torch.randn(5, 3, 8, 8, dtype=torch.float64)
    eps = torch.randn(5, 3, dtype=torch.float64)
    mean, log_variance = vae.encode(pictures)
    posterior = Normal(mean, (log_variance / 2).exp())
    decoded = vae.decode(posterior.loc + posterior.scale * eps)
    sigma = ((decoded - pictures) ** 2).mean().sqrt()
    likelihood = Normal(decoded, sigma).log_prob(pictures).flatten(1).sum(1).mean()
    divergence = kl_divergence(posterior, Normal(0.0, 1.0)).sum(1).mean()
    constant = 0.5 * 3 * 64 * math.log(2 * math.pi * math.e)
    expected = divergence - likelihood - constant
    torch.testing.assert_close(vae_loss(vae, pictures, eps, 1.0), expected)
    more = vae_loss(vae, pictures, eps, 2.0) - vae_loss(vae, pictures, eps, 1.0)
    torch.testing.assert_close(more, divergence)


def two_colours(n: int) -> np.ndarray:
    """Plain pictures, red or blue."""
    pixels = np.zeros((n, 8, 8, 3), np.uint8)
    pixels[::2, ..., 0], pixels[1::2, ..., 2] = 220, 220
    return pixels


def test_it_learns_what_pictures_are_like_and_continues_where_it_was_killed(tmp_path):
    pictures = two_colours(16)
    settings = Settings(steps=230, batch_size=8, latent=4)
    whole = new_vae(8, 4, seed=0)
    list(train_vae(whole, pictures, settings, 0, tmp_path / "whole.pt"))
    drawn = vae_pictures(whole, range(40)).astype(float).mean((1, 2))
    plain = np.abs(drawn - [220, 0, 0]).max(1) < 90, np.abs(drawn - [0, 0, 220]).max(1) < 90
    assert min(plain[0].sum(), plain[1].sum()) >= 6

    killed = new_vae(8, 4, seed=0)
    steps = train_vae(killed, pictures, settings, 0, tmp_path / "killed.pt")
    for progress in steps:
        if progress.done == 210:
            break
    again = new_vae(8, 4, seed=0)
    assert next(train_vae(again, pictures, settings, 0, tmp_path / "killed.pt")).done == 201
    list(train_vae(again, pictures, settings, 0, tmp_path / "killed.pt"))
    np.testing.assert_array_equal(vae_pictures(again, range(4)), vae_pictures(whole, range(4)))


def test_a_picture_is_its_seeds_own():
    vae = new_vae(8, 4, seed=0).eval()
    every = vae_pictures(vae, [1, 2, 3])
    np.testing.assert_allclose(vae_pictures(vae, [3])[0].astype(int), every[2].astype(int), atol=1)
