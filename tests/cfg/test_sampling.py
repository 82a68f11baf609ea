"""The guided loop: equal to the pipeline where that is right, and right where it is not."""

import dataclasses
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

from cfg.config import Rule
from cfg.guidance import guide, most_needed
from cfg.sampling import Names, denoise, sample
from diffusion.process import predicted_x_0, q_sample
from diffusion.prompts import encode_prompts
from diffusion.stable_diffusion import DRAWS_NOISE, SCHEDULERS, decode, load, make_scheduler
from lab.device import noise
from lab.errors import UserError

STEPS = 4
PROMPT = "a yellow cat by the sea"
LAMBDAS = torch.tensor([0.0, 0.6])
RULES = [
    Rule(),
    Rule(name="apg"),
    Rule(name="cfg++"),
    Rule(interval=(0.5, 1.5)),
    Rule(name="rescale", schedule="linear"),
]


@pytest.fixture(scope="module")
def sd(tiny_sd_folder):
    return load(str(tiny_sd_folder), device="cpu")


@pytest.fixture(scope="module")
def hidden_states(sd):
    return encode_prompts(sd, [PROMPT, ""]).split(1)


def steps_of(sd, hidden_states, scales, scheduler="ddim", shape=(4, 8, 8), seed=3, **settings):
    """A sweep over scales, all from one noise."""
    cond, uncond = (part.repeat(len(scales), 1, 1) for part in hidden_states)
    x_T = noise(shape, seed, 0).repeat(len(scales), 1, 1, 1)
    scale = torch.tensor(scales)
    seeds = [seed] * len(scales)
    return denoise(sd, x_T, cond, uncond, scale, scheduler, STEPS, seeds, **settings)


def walk(*arguments, **settings):
    """The latents at its end."""
    *_, last = steps_of(*arguments, **settings)
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


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_nor_how_many_there_are(sd, hidden_states, scheduler):
    """At a constant batch size, all that is drawn with a picture may change, also its number."""
    few = walk(sd, hidden_states, [3.5, 1.0], scheduler, batch_size=4)
    many = walk(sd, hidden_states, [0.0, 3.5, 2.0, 9.0, 1.0, 3.0, -1.0], scheduler, batch_size=4)
    assert torch.equal(few[0], many[1])
    assert torch.equal(few[1], many[4])


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("scheduler", ["ddim", "euler_a"])
def test_what_is_computed_once_for_all_is_what_each_would_compute(
    sd, hidden_states, rule, scheduler
):
    names = [Names(3, PROMPT, "")] * 4
    scales = [0.0, 1.0, 2.5, 9.0]
    alone = walk(sd, hidden_states, scales, scheduler, batch_size=2, rule=rule)
    calls, known = [], {}
    hook = sd.unet.register_forward_hook(lambda *_: calls.append(1))
    for _ in range(2):
        shared = walk(
            sd, hidden_states, scales, scheduler,
            batch_size=2, rule=rule, names=names, known=known,
        )  # fmt: skip
        assert torch.equal(shared, alone)
    hook.remove()
    rows = sum(most_needed(rule, scale) for scale in scales)
    if rule.schedule == "constant" and rule.interval is None:
        # the first step is one call for everything, and none the second time
        assert len(calls) == 1 + 2 * (STEPS - 1) * -(-rows // 2)


def test_steps_before_a_rule_guides_are_drawn_once(sd, hidden_states):
    """The four steps have sigma 4.1, 1.6, 0.70 and 0.04; only the third is guided."""
    rule = Rule(interval=(0.5, 1.5))
    names, known, calls = [Names(3, PROMPT, "")] * 6, {}, []
    hook = sd.unet.register_forward_hook(lambda *_: calls.append(1))
    scales = [1.5, 2.0, 3.0, 5.0, 8.0, 9.0]
    settings = {"rule": rule, "batch_size": 4, "names": names, "known": known}
    sigmas = [step.t for step in steps_of(sd, hidden_states, scales, "ddim", **settings)]
    hook.remove()
    assert len(sigmas) == STEPS
    # one row, one row, two rows of the first guided step; then a row of each of six pictures
    assert len(calls) == 1 + 1 + 1 + 2


def test_calls_have_one_size_whatever_is_in_them(sd, hidden_states):
    sizes = []
    hook = sd.unet.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    walk(sd, hidden_states, [0.0, 1.0, 2.0, 3.0, 4.0], batch_size=3)
    hook.remove()
    assert set(sizes) == {3}
    assert len(sizes) == STEPS * 3  # eight rows


def test_another_batch_size_is_another_rounding_and_nothing_more(sd, hidden_states):
    drawn = [walk(sd, hidden_states, [0.0, 2.0, 7.0], batch_size=size) for size in (1, 2, 3, 8)]
    for other in drawn[1:]:
        torch.testing.assert_close(other, drawn[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("scheduler", ["ddim", "euler"])
def test_cfg_plus_plus_puts_the_unconditional_noise_back(sd, hidden_states, scheduler):
    """Chung et al. 2024, algorithm 2, written out; Euler's x is x_0 + sigma eps."""
    steps = list(
        steps_of(sd, hidden_states, [0.0, 0.6], scheduler, rule=Rule(name="cfg++"), batch_size=4)
    )
    alpha_bar = make_scheduler(sd, "ddpm", 10).alphas_cumprod
    for here, after in pairwise(steps):
        a, b = (alpha_bar[round(step.t)] for step in (here, after))
        x_0 = predicted_x_0(here.x_t, guide(here.eps_uncond, here.eps_cond, LAMBDAS), float(a))
        expected = q_sample(x_0, here.eps_uncond, float(b))
        torch.testing.assert_close(after.x_t, expected, rtol=2e-3, atol=2e-3)
    plain = walk(sd, hidden_states, [0.0], scheduler, batch_size=4)
    assert torch.equal(steps[-1].latents[0], plain[0])


def test_cfg_plus_plus_wants_a_model_of_noise(sd, hidden_states):
    other = dataclasses.replace(
        sd, scheduler_config={**sd.scheduler_config, "prediction_type": "v_prediction"}
    )
    with pytest.raises(UserError, match="predicts noise"):
        walk(other, hidden_states, [0.5], rule=Rule(name="cfg++"))


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
