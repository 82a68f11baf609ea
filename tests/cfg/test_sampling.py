"""The guided loop: equal to the pipeline where that is right, and right where it is not."""

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

from cfg.sampling import denoise, sample
from diffusion.process import q_sample
from diffusion.prompts import encode_prompts
from diffusion.stable_diffusion import DRAWS_NOISE, SCHEDULERS, decode, load, make_scheduler
from lab.device import noise

STEPS = 4
PROMPT = "a yellow cat by the sea"


@pytest.fixture(scope="module")
def sd(tiny_sd_folder):
    return load(str(tiny_sd_folder), device="cpu")


@pytest.fixture(scope="module")
def hidden_states(sd):
    return encode_prompts(sd, [PROMPT, ""]).split(1)


def walk(sd, hidden_states, scales, scheduler="ddim", shape=(4, 8, 8), seed=3):
    """The latents at the end of a sweep over scales, all from one noise."""
    cond, uncond = (part.repeat(len(scales), 1, 1) for part in hidden_states)
    x_T = noise(shape, seed, 0).repeat(len(scales), 1, 1, 1)
    scale = torch.tensor(scales)
    seeds = [seed] * len(scales)
    *_, last = denoise(sd, x_T, cond, uncond, scale, scheduler, STEPS, seeds)
    return last.latents


@torch.no_grad()
def unguided(sd, hidden_state, count, scheduler, seed=3):
    """A plain sampler without any guidance, written without ours: the oracle for s = 0 and 1."""
    stepper = make_scheduler(sd, scheduler, STEPS)
    latents = noise((4, 8, 8), seed, 0).repeat(count, 1, 1, 1) * stepper.init_noise_sigma
    for t in stepper.timesteps:
        model_input = stepper.scale_model_input(latents, t)
        states = hidden_state.repeat(count, 1, 1)
        eps = sd.unet(model_input, t, encoder_hidden_states=states).sample
        latents = stepper.step(eps, t, latents).prev_sample
    return latents


@pytest.mark.parametrize("scheduler", [name for name in SCHEDULERS if name not in DRAWS_NOISE])
def test_above_one_it_is_the_pipeline(sd, hidden_states, tiny_sd_folder, scheduler):
    pipeline = StableDiffusionPipeline.from_pretrained(tiny_sd_folder, safety_checker=None)
    pipeline.scheduler = make_scheduler(sd, scheduler, STEPS)
    pipeline.set_progress_bar_config(disable=True)
    (theirs, *_) = pipeline(
        PROMPT,
        num_inference_steps=STEPS,
        guidance_scale=6.0,
        latents=noise((1, 4, 8, 8), 3, 0),
        output_type="latent",
        return_dict=False,
    )
    ours = walk(sd, hidden_states, [6.0], scheduler)
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    assert (ours - walk(sd, hidden_states, [1.0], scheduler)).abs().max() > 0.05


@pytest.mark.parametrize("scheduler", ["ddim", "pndm", "euler", "dpm++"])
def test_zero_is_the_unconditional_run_and_one_the_conditional_one(sd, hidden_states, scheduler):
    cond, uncond = hidden_states
    latents = walk(sd, hidden_states, [0.0, 1.0, 0.5, 7.0], scheduler)
    assert torch.equal(latents[0], unguided(sd, uncond, 4, scheduler)[0])
    assert torch.equal(latents[1], unguided(sd, cond, 4, scheduler)[1])
    assert not torch.equal(latents[2], latents[0])  # where the pipeline would draw one picture
    assert not torch.equal(latents[2], latents[1])


def test_with_a_negative_prompt_zero_draws_that(sd, hidden_states):
    cond, _ = hidden_states
    negative = encode_prompts(sd, ["fog"])
    latents = walk(sd, (cond, negative), [0.0, 2.0])
    assert torch.equal(latents[0], unguided(sd, negative, 2, "ddim")[0])


@pytest.mark.parametrize("scheduler", ["ddim", "euler_a", "ddpm"])
@pytest.mark.parametrize("shape", [(4, 8, 8), (4, 12, 6)])
def test_a_scale_does_not_see_the_scales_beside_it(sd, hidden_states, scheduler, shape):
    scales = [0.0, 0.02, 1.0, 3.5, 30.0]
    together = walk(sd, hidden_states, scales, scheduler, shape)
    backwards = walk(sd, hidden_states, scales[::-1], scheduler, shape)
    assert torch.equal(backwards.flip(0), together)
    others = walk(sd, hidden_states, [9.0, -1.0, 2.0, 3.5, 3.5], scheduler, shape)
    assert torch.equal(others[3], together[3])
    assert torch.equal(others[4], together[3])


def test_at_one_place_of_the_batch_nothing_else_matters_whatever_the_shape(sd, hidden_states):
    """Feature maps of 5 x 3 cells, which no vector register divides: places differ in a bit."""
    together = walk(sd, hidden_states, [0.0, 0.02, 1.0, 3.5, 30.0], shape=(4, 10, 6))
    others = walk(sd, hidden_states, [9.0, -1.0, 2.0, 3.5, 30.0], shape=(4, 10, 6))
    assert torch.equal(others[3:], together[3:])


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_a_prediction_that_nobody_needs_is_left_out_and_changes_nothing(sd, hidden_states, scale):
    calls = []
    hook = sd.unet.register_forward_hook(lambda *_: calls.append(1))
    single = walk(sd, hidden_states, [scale] * 3)
    hook.remove()
    assert len(calls) == STEPS
    assert torch.equal(single[1], walk(sd, hidden_states, [0.5, scale, 2.0])[1])


def test_ancestral_noise_is_the_seeds_and_not_the_scales(sd, hidden_states):
    ones = walk(sd, hidden_states, [1.0, 1.0], "euler_a")
    assert torch.equal(ones[0], ones[1])
    assert not torch.equal(ones[0], walk(sd, hidden_states, [1.0, 1.0], "euler")[0])
    with pytest.raises(ValueError, match="noise_seeds"):
        x_T, (cond, uncond) = noise((1, 4, 8, 8), 0, 0), hidden_states
        next(denoise(sd, x_T, cond, uncond, torch.ones(1), "euler_a", STEPS))


@pytest.mark.parametrize("scheduler", ["ddim", "euler", "dpm++", "pndm"])
def test_the_steps_say_which_picture_is_expected(sd, hidden_states, scheduler):
    """x_t = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) eps must hold at every step."""
    cond, uncond = hidden_states
    scale = torch.tensor([4.0])
    x_T = noise((1, 4, 8, 8), 3, 0)
    steps = list(denoise(sd, x_T, cond, uncond, scale, scheduler, STEPS))
    assert [step.index for step in steps] == list(range(steps[0].total))
    alpha_bar = make_scheduler(sd, "ddpm", 10).alphas_cumprod
    for step in steps:
        if step.t == int(step.t):
            again = q_sample(step.x_0, step.eps, float(alpha_bar[int(step.t)]))
            torch.testing.assert_close(again, step.x_t, rtol=1e-3, atol=1e-3)


def test_sample_draws_each_prompt_whatever_is_drawn_with_it(sd, hidden_states):
    prompts, seeds, scales = (
        [PROMPT, "a tree", "", PROMPT, "a tree"],
        [3, 1, 2, 4, 1],
        [6, 2, 1, 1, 2],
    )
    settings: dict[str, Any] = {"steps": STEPS, "batch_size": 4}
    pictures = list(sample(sd, prompts, seeds=seeds, guidance_scale=scales, **settings))
    assert len(pictures) == 5
    assert pictures[0].shape == (32, 32, 3)
    assert pictures[0].dtype == np.uint8
    np.testing.assert_array_equal(pictures[1], pictures[4])
    assert (pictures[0] != pictures[3]).any()
    alone = next(sample(sd, [PROMPT], seeds=[3], guidance_scale=6, **settings))
    np.testing.assert_array_equal(alone, pictures[0])
    swept = decode(sd, walk(sd, hidden_states, [6.0, 1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(swept[0], pictures[0])


def test_sample_wants_a_seed_for_each_prompt(sd):
    with pytest.raises(ValueError, match="zip"):
        list(sample(sd, ["a", "b"], seeds=[1]))
