"""The equations of the diffusion process: equal to diffusers' schedulers, and to each other."""

from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler

from diffusion.process import (
    ddim_step,
    eps_from_v,
    eps_from_x_0,
    p_sample,
    predicted_x_0,
    q_sample,
    v_from_x_0_and_eps,
    x_0_from_eps,
    x_0_from_v,
)

TIMES = torch.tensor([0, 37, 500, 999])
SETTINGS: dict[str, Any] = {
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
}


@pytest.fixture
def x_0():
    return torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def eps():
    return torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def ddpm():
    return DDPMScheduler(clip_sample=False, **SETTINGS)


def test_q_sample_is_add_noise(x_0, eps, ddpm):
    expected = ddpm.add_noise(x_0, eps, TIMES)
    torch.testing.assert_close(q_sample(x_0, eps, ddpm.alphas_cumprod[TIMES]), expected)


def test_v_is_get_velocity(x_0, eps, ddpm):
    expected = ddpm.get_velocity(x_0, eps, TIMES)
    torch.testing.assert_close(v_from_x_0_and_eps(x_0, eps, ddpm.alphas_cumprod[TIMES]), expected)


def test_the_three_names_of_a_prediction_are_one_thing(x_0, eps):
    alpha_bar = torch.tensor([0.01, 0.3, 0.7, 0.99])
    x_t, v = q_sample(x_0, eps, alpha_bar), v_from_x_0_and_eps(x_0, eps, alpha_bar)
    close: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(x_0_from_eps(x_t, eps, alpha_bar), x_0, **close)
    torch.testing.assert_close(eps_from_x_0(x_t, x_0, alpha_bar), eps, **close)
    torch.testing.assert_close(x_0_from_v(x_t, v, alpha_bar), x_0, **close)
    torch.testing.assert_close(eps_from_v(x_t, v, alpha_bar), eps, **close)
    for prediction, name in ((eps, "epsilon"), (v, "v_prediction"), (x_0, "sample")):
        torch.testing.assert_close(predicted_x_0(x_t, prediction, alpha_bar, name), x_0, **close)
    with pytest.raises(ValueError, match="not a prediction"):
        predicted_x_0(x_t, eps, alpha_bar, "eps")


@pytest.mark.parametrize("steps", [1000, 50])
def test_p_sample_is_a_step_of_ddpm(x_0, eps, ddpm, steps):
    ddpm.set_timesteps(steps)
    x_t = 0.5 * x_0 + eps
    for t in (ddpm.timesteps[1], ddpm.timesteps[-1]):
        generator = torch.Generator().manual_seed(3)
        (theirs, *_) = ddpm.step(eps, int(t), x_t, generator=generator, return_dict=False)
        noise = torch.randn(x_t.shape, generator=torch.Generator().manual_seed(3))
        before = int(t) - 1000 // steps
        alpha_bar = ddpm.alphas_cumprod[t]
        alpha_bar_prev = ddpm.alphas_cumprod[before] if before >= 0 else torch.tensor(1.0)
        guess = x_0_from_eps(x_t, eps, alpha_bar)
        ours = p_sample(x_t, guess, alpha_bar, alpha_bar_prev, noise)
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_p_sample_with_the_true_picture_keeps_the_marginal():
    """With x_0 known, x_t ~ q(x_t | x_0) steps to x_{t-1} ~ q(x_{t-1} | x_0): linear, so exact."""
    one, zero = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    a, a_prev = 0.3, 0.45
    from_picture = p_sample(q_sample(one, zero, a), one, a, a_prev, zero)
    from_noise = p_sample(q_sample(zero, one, a), zero, a, a_prev, zero)
    from_step = p_sample(zero, zero, a, a_prev, one)
    assert from_picture.item() == pytest.approx(a_prev**0.5)
    assert from_noise.item() ** 2 + from_step.item() ** 2 == pytest.approx(1 - a_prev)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_ddim_step_is_a_step_of_ddim(x_0, eps, eta):
    ddim = DDIMScheduler(clip_sample=False, set_alpha_to_one=False, **SETTINGS)
    ddim.set_timesteps(20)
    t = int(ddim.timesteps[8])
    generator = torch.Generator().manual_seed(3)
    (theirs, *_) = ddim.step(eps, t, x_0, eta=eta, generator=generator, return_dict=False)
    noise = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(3))
    a, a_prev = ddim.alphas_cumprod[t], ddim.alphas_cumprod[t - 50]
    sigma = eta * ((1 - a_prev) / (1 - a) * (1 - a / a_prev)).sqrt()  # eq. 16
    ours = ddim_step(x_0, eps, a, a_prev, sigma, noise)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
