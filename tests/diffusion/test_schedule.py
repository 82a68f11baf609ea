"""Noise schedules equal diffusers', and the share of the picture falls as it should."""

import pytest
import torch
from diffusers import DDPMScheduler, EulerDiscreteScheduler

from diffusion.schedule import alpha_bar_at, alpha_bars, betas

SCHEDULES = ["linear", "scaled_linear", "squaredcos_cap_v2"]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("timesteps", [10, 1000])
def test_betas_and_alpha_bars_equal_diffusers(schedule, timesteps):
    theirs = DDPMScheduler(num_train_timesteps=timesteps, beta_schedule=schedule)
    torch.testing.assert_close(betas(schedule, timesteps), theirs.betas)
    torch.testing.assert_close(alpha_bars(theirs.config), theirs.alphas_cumprod)


def test_trained_betas_are_taken_as_they_are():
    theirs = DDPMScheduler(trained_betas=[0.1, 0.2, 0.5])
    torch.testing.assert_close(alpha_bars(theirs.config), torch.tensor([0.9, 0.72, 0.36]))


def test_alpha_bar_between_timesteps_is_the_one_of_eulers_sigmas():
    euler = EulerDiscreteScheduler(beta_schedule="scaled_linear", timestep_spacing="linspace")
    euler.set_timesteps(7)
    assert any(float(t) % 1 for t in euler.timesteps)  # or this test would test nothing
    for t, sigma in zip(euler.timesteps, euler.sigmas, strict=False):
        expected = 1 / (1 + float(sigma) ** 2)
        assert alpha_bar_at(euler.alphas_cumprod, float(t)) == pytest.approx(expected, rel=1e-4)


def test_another_name_is_refused():
    with pytest.raises(ValueError, match="not a schedule"):
        betas("cosine", 10)
