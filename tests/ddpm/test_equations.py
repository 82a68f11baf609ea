"""q_sample and p_sample at every timestep of every schedule: diffusers' within fp32 rounding."""

import pytest
import torch

from ddpm.config import Schedule
from ddpm.models import new_scheduler
from diffusion.process import p_sample, q_sample
from diffusion.schedule import alpha_bars

ROUNDING = 1e-6  # values reach 4, where neighbouring floats are 4.8e-7 apart


@pytest.mark.parametrize("name", ["linear", "scaled_linear", "squaredcos_cap_v2"])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("timesteps", [100, 200])
def test_equations_are_diffusers_at_every_timestep(name, scaled, timesteps):
    scheduler = new_scheduler(Schedule(name=name, timesteps=timesteps, scaled=scaled))
    scheduler.register_to_config(clip_sample=False, prediction_type="sample")
    ours = alpha_bars(scheduler.config)
    generator = torch.Generator().manual_seed(0)
    x_0 = torch.rand(4, 3, 8, 8, generator=generator) * 2 - 1
    eps = torch.randn(x_0.shape, generator=generator)
    for t in range(timesteps):
        x_t = scheduler.add_noise(x_0, eps, torch.full((4,), t))
        assert torch.equal(q_sample(x_0, eps, ours[t].expand(4)), x_t)
        theirs = scheduler.step(x_0, t, x_t, generator=torch.Generator().manual_seed(3))
        z = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(3))
        before = ours[t - 1] if t else torch.ones(())
        stepped = p_sample(x_t, x_0, ours[t], before, z)
        assert (stepped - theirs.prev_sample).abs().max() <= ROUNDING
