"""The one iterator: equal to diffusers' pipelines, and a picture is its seed's alone."""

from typing import Any

import diffusers
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler

from ddpm.denoising import denoise, sample, x_T_of
from lab.device import noise
from lab.errors import UserError

CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-4}


@pytest.fixture(scope="module")
def unet():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        blocks: dict[str, Any] = {
            "down_block_types": ("DownBlock2D",) * 2,
            "up_block_types": ("UpBlock2D",) * 2,
        }
        model = diffusers.UNet2DModel(
            sample_size=8,
            block_out_channels=(8, 16),
            norm_num_groups=4,
            layers_per_block=1,
            **blocks,
        )
    return model.eval().requires_grad_(False)


def scheduler_of(**settings) -> DDPMScheduler:
    return DDPMScheduler(num_train_timesteps=20, beta_schedule="squaredcos_cap_v2", **settings)


def theirs(unet, stepper, steps: int, seeds, x_t=None, **arguments) -> torch.Tensor:
    """The loop of diffusers' pipelines, with our noise."""
    stepper.set_timesteps(steps)
    x_t = x_T_of(unet, seeds) if x_t is None else x_t
    for k, t in enumerate(stepper.timesteps):
        output = unet(x_t, t).sample
        z = torch.stack([noise(x_t.shape[1:], seed, 1 + k) for seed in seeds])
        extra = {"variance_noise": z} if arguments.get("eta") else {}
        with pytest.MonkeyPatch.context() as patch:
            module = "diffusers.schedulers.scheduling_ddpm.randn_tensor"
            patch.setattr(module, lambda *a, z=z, **k: z)
            x_t = stepper.step(output, t, x_t, **arguments, **extra).prev_sample
    return x_t


@pytest.mark.parametrize("variance", ["fixed_small", "fixed_large"])
@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("steps", [20, 5])
def test_ddpm_is_diffusers_ddpm(unet, variance, clip, steps):
    scheduler = scheduler_of(variance_type=variance, clip_sample=clip)
    ours = sample(unet, scheduler, seeds=[3, 4], steps=steps)
    torch.testing.assert_close(
        ours, theirs(unet, scheduler_of(**_of(scheduler)), steps, [3, 4]), **CLOSE
    )


def _of(scheduler) -> dict[str, Any]:
    kept = ("variance_type", "clip_sample", "timestep_spacing")
    return {key: scheduler.config[key] for key in kept}


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim_is_diffusers_ddim(unet, eta):
    scheduler = scheduler_of(clip_sample=True)
    stepper = DDIMScheduler.from_config(scheduler.config)
    settings: dict[str, Any] = {"eta": eta, "use_clipped_model_output": True}
    expected = theirs(unet, stepper, 10, [3, 4], **settings)
    ours = sample(unet, scheduler, seeds=[3, 4], steps=10, sampler="ddim", eta=eta)
    torch.testing.assert_close(ours, expected, **CLOSE)


def test_dpm_is_diffusers_dpm_solver(unet):
    scheduler = scheduler_of(clip_sample=False, timestep_spacing="trailing")
    stepper = DPMSolverMultistepScheduler.from_config(scheduler.config)
    expected = theirs(unet, stepper, 10, [3, 4])
    ours = sample(unet, scheduler, seeds=[3, 4], steps=10, sampler="dpm++")
    torch.testing.assert_close(ours, expected, **CLOSE)


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpm++"])
def test_the_first_step_is_x_T_and_the_last_the_sample(unet, sampler):
    scheduler = scheduler_of()
    steps = list(denoise(unet, scheduler, seeds=[1], steps=4, sampler=sampler))
    assert [step.index for step in steps] == [0, 1, 2, 3, 4]
    assert {step.count for step in steps} == {4}
    assert torch.equal(steps[0].x_t, x_T_of(unet, [1]))
    assert steps[-1].timestep == -1 and torch.equal(steps[-1].x_0, steps[-1].x_t)
    times = [step.timestep for step in steps]
    assert times == sorted(times, reverse=True)
    for step in steps:  # x_t is its picture and its noise
        a = torch.tensor(step.alpha_bar)
        whole = a.sqrt() * step.x_0 + (1 - a).sqrt() * step.eps
        torch.testing.assert_close(whole, step.x_t, **CLOSE)


@pytest.mark.parametrize("sampler", ["ddpm", "dpm++"])
def test_a_picture_does_not_depend_on_those_beside_it(unet, sampler):
    settings: dict[str, Any] = {"steps": 5, "sampler": sampler}
    together = sample(unet, scheduler_of(), seeds=[7, 8, 9, 10], **settings)
    others = sample(unet, scheduler_of(), seeds=[7, 1, 9, 2], **settings)
    assert torch.equal(together[[0, 2]], others[[0, 2]])
    assert not torch.equal(together[1], others[1])


def test_without_z_the_same_x_T_gives_the_same_picture(unet):
    x_T = x_T_of(unet, [5, 5])
    quiet = sample(unet, scheduler_of(), x_T, seeds=[1, 2], steps=5, step_noise=False)
    noisy = sample(unet, scheduler_of(), x_T, seeds=[1, 2], steps=5)
    assert torch.equal(quiet[0], quiet[1]) and not torch.equal(noisy[0], noisy[1])
    zero = sample(unet, scheduler_of(), torch.zeros_like(x_T), seeds=[1, 1], steps=5)
    assert torch.equal(zero[0], zero[1])


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpm++"])
def test_guidance_that_changes_nothing_changes_no_bit(unet, sampler):
    settings: dict[str, Any] = {"seeds": [1, 2], "steps": 5, "sampler": sampler}
    plain = sample(unet, scheduler_of(), **settings)
    led = sample(unet, scheduler_of(), **settings, guidance=lambda step: step.x_0)
    assert torch.equal(plain, led)


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpm++"])
def test_guidance_decides_where_the_steps_lead(unet, sampler):
    goal = torch.full((2, 3, 8, 8), 0.25)
    settings: dict[str, Any] = {"seeds": [1, 2], "steps": 5, "sampler": sampler}
    led = sample(unet, scheduler_of(), **settings, guidance=lambda step: goal)
    torch.testing.assert_close(led, goal, rtol=0, atol=0.05)


def test_the_callers_scheduler_is_left_alone(unet):
    scheduler = scheduler_of()
    before = scheduler.timesteps.clone()
    sample(unet, scheduler, seeds=[1], steps=5, sampler="dpm++")
    assert torch.equal(scheduler.timesteps, before)


def test_what_cannot_be_done_is_said(unet):
    with pytest.raises(UserError, match="knows 20 timesteps"):
        sample(unet, scheduler_of(), seeds=[1], steps=21)
    with pytest.raises(UserError, match="learned its variances"):
        sample(unet, scheduler_of(variance_type="learned_range"), seeds=[1])
