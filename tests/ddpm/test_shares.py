"""Where the variety of samples comes from: the closed form against sampling itself."""

import pytest
import torch

from ddpm.shares import expected_share_of_x_T, principal_variances, variance_shares
from diffusion.process import p_sample
from diffusion.schedule import betas


def alpha_bars(timesteps, scale=1.0, kind="linear"):
    return torch.cumprod(1 - betas(kind, timesteps, 0.0001 * scale, 0.02 * scale), 0).double()


def sampled(alpha_bar, variance, x_T=1.0, z=1.0, count=40_000):
    """The variance of Gaussian data drawn by DDPM's steps with the best predictor there is."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, generator=generator, dtype=torch.float64) * x_T
    for a, a_prev in zip(alpha_bar.flip(0), [*alpha_bar.flip(0)[1:], 1.0], strict=True):
        guess = a.sqrt() * variance / (a * variance + 1 - a) * x
        noise = torch.randn(count, generator=generator, dtype=torch.float64) * z
        x = p_sample(x, guess, a, a_prev, noise)
    return float(x.var())


@pytest.mark.parametrize("variance", [0.05, 1.0, 60.0])
@pytest.mark.parametrize("kind", [(1.0, "linear"), (20.0, "linear"), (1.0, "squaredcos_cap_v2")])
def test_the_closed_form_is_what_is_sampled(variance, kind):
    made = alpha_bars(50, *kind)
    shares = variance_shares(made, variance)
    assert sampled(made, variance) == pytest.approx(shares.total, rel=0.03)
    assert sampled(made, variance, z=0.0) == pytest.approx(shares.x_T, rel=0.03, abs=1e-9)
    assert sampled(made, variance, x_T=0.0) == pytest.approx(float(shares.z.sum()), rel=0.03)


def test_many_steps_of_a_whole_schedule_give_the_data_back_from_any_x_T():
    made = alpha_bars(1000)
    for variance in (0.3, 10.0, 100.0):
        shares = variance_shares(made, variance)
        assert shares.total == pytest.approx(variance, rel=0.02)
        assert shares.of_x_T < 0.01


def test_few_raw_timesteps_lose_what_is_coarse_and_hang_on_x_T():
    raw, scaled = (variance_shares(alpha_bars(100, k), 100.0) for k in (1, 10))
    assert raw.total < 0.05 * 100 and raw.of_x_T > 0.5
    assert scaled.total > 0.9 * 100 and scaled.of_x_T < 0.01


def test_principal_variances_sum_to_the_variance_of_the_pixels():
    pictures = torch.randn(20, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    variances = principal_variances(pictures)
    assert len(variances) == 19 and (variances.diff() <= 0).all()
    torch.testing.assert_close(variances.sum(), pictures.double().var(0).sum())
    assert 0 < expected_share_of_x_T(alpha_bars(50), variances) < 1


def test_data_without_variance_are_a_mistake():
    with pytest.raises(ValueError, match="above 0"):
        variance_shares(torch.tensor([0.5]), 0.0)
