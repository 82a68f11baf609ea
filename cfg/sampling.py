"""The guided sampling loop, right for every scale.

diffusers' pipeline turns guidance off for every s <= 1, so a loop over it renders s = 0, 0.5 and 1
as one and the same picture. Here the two predictions are always combined by the formula.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cfg.guidance import guide
from diffusion.process import predicted_x_0
from diffusion.prompts import encode_prompts
from diffusion.schedule import alpha_bar_at, alpha_bars
from diffusion.stable_diffusion import (
    DRAWS_NOISE,
    SCHEDULERS,
    StableDiffusion,
    decode,
    make_scheduler,
)
from lab.device import generator_for, noise, padded_chunks


@dataclass(frozen=True)
class Step:
    """One evaluation of the model on the way from noise to a picture; tensors are [B, C, h, w]."""

    index: int
    total: int
    t: float
    x_t: Tensor
    """The latents before the step, scaled to the variance that the model expects at t."""
    eps_uncond: Tensor | None
    """None where no picture of the batch needs it, because each scale is 1."""
    eps_cond: Tensor | None
    """None where no picture of the batch needs it, because each scale is 0."""
    eps: Tensor
    """The guided prediction, whatever the model predicts (Stable Diffusion 1.x: the noise)."""
    x_0: Tensor
    """The latents of the picture that the guided prediction implies."""
    latents: Tensor
    """The latents after the step; those of the last step are the picture."""


@torch.no_grad()
def denoise(
    sd: StableDiffusion,
    x_T: Tensor,
    cond: Tensor,
    uncond: Tensor,
    guidance_scale: Tensor,
    scheduler: str = "ddim",
    steps: int = 25,
    noise_seeds: Sequence[int] | None = None,
) -> Iterator[Step]:
    """Walk from noise x_T [B, C, h, w] of unit variance to latents, one Step per model evaluation.

    cond and uncond are hidden states [B, 77, d], guidance_scale is [B]. Ancestral schedulers draw
    the noise of step i from (noise_seeds[b], 1 + i): it belongs to the picture, so it is the same
    at every scale and in every batch. Both predictions are made at batch size B, one after the
    other, and a prediction that no picture of the batch needs is left out; neither changes any bit
    of the result. Latents and guidance are float32 whatever the dtype of the model.
    """
    stepper = make_scheduler(sd, scheduler, steps)
    arguments = dict(SCHEDULERS[scheduler][2])
    if scheduler in DRAWS_NOISE and noise_seeds is None:
        raise ValueError(f"{scheduler} draws noise at every step: it needs noise_seeds")
    alpha_bar = alpha_bars(sd.scheduler_config)
    prediction_type = sd.scheduler_config.get("prediction_type", "epsilon")
    scale = guidance_scale.to(sd.device, torch.float32)
    latents = x_T.to(sd.device, torch.float32) * stepper.init_noise_sigma
    needs_cond, needs_uncond = bool((scale != 0).any()), bool((scale != 1).any())
    for index, t in enumerate(stepper.timesteps):
        x_t = stepper.scale_model_input(latents, t)
        eps_cond = _predict(sd, x_t, t, cond) if needs_cond else None
        eps_uncond = _predict(sd, x_t, t, uncond) if needs_uncond else None
        eps = _combine(eps_uncond, eps_cond, scale)
        x_0 = predicted_x_0(x_t, eps, alpha_bar_at(alpha_bar, float(t)), prediction_type)
        if scheduler in DRAWS_NOISE and noise_seeds is not None:
            arguments["generator"] = [generator_for(seed, 1 + index) for seed in noise_seeds]
        latents = stepper.step(eps, t, latents, **arguments).prev_sample
        total = len(stepper.timesteps)
        yield Step(index, total, float(t), x_t, eps_uncond, eps_cond, eps, x_0, latents)


def _predict(sd: StableDiffusion, x_t: Tensor, t: Tensor, hidden_states: Tensor) -> Tensor:
    return sd.unet(x_t.to(sd.dtype), t, encoder_hidden_states=hidden_states).sample.float()


def _combine(eps_uncond: Tensor | None, eps_cond: Tensor | None, scale: Tensor) -> Tensor:
    if eps_uncond is None or eps_cond is None:
        eps = eps_cond if eps_uncond is None else eps_uncond
        assert eps is not None
        return eps
    return guide(eps_uncond, eps_cond, scale)


def sample(
    sd: StableDiffusion,
    prompts: Sequence[str],
    *,
    seeds: Sequence[int],
    guidance_scale: float | Sequence[float] = 7.5,
    negative_prompt: str = "",
    steps: int = 25,
    scheduler: str = "ddim",
    batch_size: int = 8,
    height: int | None = None,
    width: int | None = None,
) -> Iterator[np.ndarray]:
    """Draw one picture per prompt, uint8 [H, W, 3], in order.

    A picture is fixed by its prompt, seed, scale and `batch_size`, and not by the pictures beside
    it, because every batch has the same size (the last one is padded). On a CPU its place in the
    batch may show in the last bit (`cfg.sweep.chunks_of` says why).
    """
    if isinstance(guidance_scale, int | float):
        guidance_scale = [float(guidance_scale)] * len(prompts)
    jobs = list(zip(prompts, seeds, guidance_scale, strict=True))
    uncond = encode_prompts(sd, [negative_prompt]).repeat(batch_size, 1, 1)
    conds = {prompt: encode_prompts(sd, [prompt]) for prompt in dict.fromkeys(prompts)}
    shape = sd.latent_shape(height, width)
    for chunk, real in padded_chunks(jobs, batch_size):
        latents = torch.stack([noise(shape, seed, 0) for _, seed, _ in chunk])
        cond = torch.cat([conds[prompt] for prompt, _, _ in chunk])
        scale = torch.tensor([s for _, _, s in chunk])
        chunk_seeds = [seed for _, seed, _ in chunk]
        for step in denoise(sd, latents, cond, uncond, scale, scheduler, steps, chunk_seeds):
            latents = step.latents
        yield from decode(sd, latents)[:real]
