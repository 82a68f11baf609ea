"""From noise to pictures, one step after the other: the one iterator of this room.

Previews, films, studies, guidance and measures all go through `denoise`. A picture's noise follows
from its seed and the step's number, so that it does not depend on the pictures beside it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import diffusers
import torch
from torch import Tensor

from diffusion.process import ddim_step, eps_from_x_0, p_sample, predicted_x_0
from lab.device import noise
from lab.errors import UserError


@dataclass(frozen=True)
class Step:
    """A moment of the denoising, and what the model says of it."""

    index: int
    """0: x_t is x_T, the noise; `count`: it is the sample."""
    count: int
    """Number of steps."""
    timestep: int
    """The schedule's t of x_t, from 0 on; -1: no noise is left."""
    alpha_bar: float
    """The share of the picture in the variance of x_t; 1 for the sample."""
    x_t: Tensor
    """float32 [n, 3, h, w]."""
    x_0: Tensor
    """The picture that the model sees in x_t (after guidance, and confined to -1..1 where the
    model's scheduler says so): float32 [n, 3, h, w]. Of the sample, the sample."""
    eps: Tensor
    """The noise in x_t that goes with x_0. Of the sample, zero."""


Guidance = Callable[[Step], Tensor]
"""Of a Step (with the model's own x_0) the x_0 to go on with, [n, 3, h, w]: written in terms of
eps, eps + sqrt(1 - alpha_bar) g is x_0 - (1 - alpha_bar) / sqrt(alpha_bar) g."""


@dataclass(frozen=True)
class Moment:
    """What a sampler steps from."""

    x_t: Tensor
    x_0: Tensor
    alpha_bar: Tensor
    alpha_bar_prev: Tensor
    """Of x_{t-1}, where the step leads; 1 for the last."""
    noise: Tensor
    """Unit noise, or zeros where there is to be none."""
    eta: float
    scheduler: Any
    """diffusers' scheduler of this trajectory, its timesteps set."""
    timestep: int


def x_T_of(unet: Any, seeds: Sequence[int]) -> Tensor:
    """The noise that each seed's picture begins with: float32 [n, 3, h, w] on the CPU."""
    config = unet.config
    side = config["sample_size"]
    height, width = (side, side) if isinstance(side, int) else side
    return torch.stack([noise((config["in_channels"], height, width), s, 0) for s in seeds])


def _ddpm(moment: Moment) -> Tensor:
    """A step of Ho et al. 2020, algorithm 2."""
    return p_sample(
        moment.x_t, moment.x_0, moment.alpha_bar, moment.alpha_bar_prev, moment.noise,
        large_variance="large" in moment.scheduler.config.variance_type,
    )  # fmt: skip


def _ddim(moment: Moment) -> Tensor:
    """A step of Song et al. 2021, eq. 12 with the sigma of eq. 16."""
    a, a_prev = moment.alpha_bar, moment.alpha_bar_prev
    eps = eps_from_x_0(moment.x_t, moment.x_0, a)
    sigma = moment.eta * ((1 - a_prev) / (1 - a) * (1 - a / a_prev)).sqrt()
    return ddim_step(moment.x_t, eps, a, a_prev, sigma, moment.noise)


def _dpm(moment: Moment) -> Tensor:
    """A step of DPM-Solver++ (Lu et al. 2022, arXiv:2211.01095), which remembers the one before."""
    return moment.scheduler.step(moment.x_0, moment.timestep, moment.x_t).prev_sample


SAMPLERS: dict[str, tuple[str, Callable[[Moment], Tensor]]] = {
    "ddpm": ("DDPMScheduler", _ddpm),
    "ddim": ("DDIMScheduler", _ddim),
    "dpm++": ("DPMSolverMultistepScheduler", _dpm),
}
"""A sampler is diffusers' scheduler that chooses its timesteps, and a step. A further one is a line
here and its name in config.py."""
DRAWS_NOISE = frozenset({"ddpm", "ddim"})


@torch.no_grad()
def denoise(
    unet: Any,
    scheduler: Any,
    x_T: Tensor | None = None,
    *,
    seeds: Sequence[int],
    steps: int = 0,
    sampler: Literal["ddpm", "ddim", "dpm++"] | str = "ddpm",
    eta: float = 0.0,
    step_noise: bool = True,
    guidance: Guidance | None = None,
    dtype: torch.dtype = torch.float32,
) -> Iterator[Step]:
    """Turn noise into pictures [n, 3, h, w] in -1..1: `steps` + 1 Steps, the last is the sample.

    Args:
        unet: a UNet2DModel, in evaluation mode.
        scheduler: any diffusers scheduler that has the model's noise schedule; it is not changed.
        x_T: what to begin with, [n, 3, h, w]; None: `x_T_of(unet, seeds)`.
        seeds: one for each picture. Its noise of step k is `lab.device.noise(shape, seed, 1 + k)`.
        steps: 0 for all of the schedule's timesteps.
        step_noise: False: the z of every step is zero, whatever the sampler.
        guidance: changes the picture that a step leads to.
        dtype: bf16 to compute the U-Net in it; everything else is float32.

    Raises:
        UserError: more steps than the schedule has, or a scheduler with learned variances.
    """
    stepper = stepper_of(scheduler, sampler, steps)
    device = next(unet.parameters()).device
    alpha_bars = scheduler.alphas_cumprod.to(device)
    times = [int(t) for t in stepper.timesteps]
    x_t = (x_T_of(unet, seeds) if x_T is None else x_T).to(device, torch.float32)
    if len(x_t) != len(seeds):
        raise ValueError(f"{len(x_t)} pictures need a seed each, not {len(seeds)}")
    for k, (t, before) in enumerate(zip(times, [*times[1:], None], strict=True)):
        a = alpha_bars[t]
        a_prev = torch.ones_like(a) if before is None else alpha_bars[before]
        x_0 = _guess(unet, x_t, t, a, scheduler, dtype)
        step = Step(k, len(times), t, float(a), x_t, x_0, eps_from_x_0(x_t, x_0, a))
        if guidance is not None:
            x_0 = _confined(guidance(step), scheduler)
            step = replace(step, x_0=x_0, eps=eps_from_x_0(x_t, x_0, a))
        yield step
        z = torch.zeros_like(x_t)
        if step_noise and sampler in DRAWS_NOISE:
            z = torch.stack([noise(x_t.shape[1:], seed, 1 + k) for seed in seeds]).to(device)
        x_t = SAMPLERS[sampler][1](Moment(x_t, x_0, a, a_prev, z, eta, stepper, t))
    yield Step(len(times), len(times), -1, 1.0, x_t, x_t, torch.zeros_like(x_t))


def sample(unet: Any, scheduler: Any, x_T: Tensor | None = None, **settings: Any) -> Tensor:
    """The last x_t of `denoise` with the same arguments: pictures [n, 3, h, w]."""
    for step in denoise(unet, scheduler, x_T, **settings):
        last = step.x_t
    return last


def stepper_of(scheduler: Any, sampler: str, steps: int = 0) -> Any:
    """A new diffusers scheduler of the model's noise schedule, with the sampler's timesteps set.

    Raises:
        UserError: more steps than timesteps, or a scheduler that is no plain DDPM.
    """
    known = scheduler.config.get("num_train_timesteps", 1000)
    if not 0 <= steps <= known:
        raise UserError(
            f"the model knows {known} timesteps: take at most as many steps, not {steps}"
        )
    if "learned" in str(scheduler.config.get("variance_type")) or scheduler.config.get(
        "thresholding"
    ):
        raise UserError(
            "the model learned its variances or thresholds its pictures, which is not done here: "
            "use one whose scheduler has variance_type fixed_small or fixed_large"
        )
    # what is handed to it is always x_0, in which guidance and confinement have their place
    settings = {"prediction_type": "sample"} if sampler == "dpm++" else {}
    stepper = getattr(diffusers, SAMPLERS[sampler][0]).from_config(scheduler.config, **settings)
    stepper.set_timesteps(steps or known)
    return stepper


def _guess(
    unet: Any, x_t: Tensor, t: int, alpha_bar: Tensor, scheduler: Any, dtype: torch.dtype
) -> Tensor:
    """The picture that the model sees in x_t."""
    with torch.autocast(x_t.device.type, dtype, enabled=dtype != torch.float32):
        output = unet(x_t, torch.full((len(x_t),), t, device=x_t.device)).sample.float()
    kind = scheduler.config.get("prediction_type", "epsilon")
    return _confined(predicted_x_0(x_t, output, alpha_bar, kind), scheduler)


def _confined(x_0: Tensor, scheduler: Any) -> Tensor:
    """The picture with its values cut off where the model's scheduler cuts them."""
    if not scheduler.config.get("clip_sample"):
        return x_0
    most = scheduler.config.get("clip_sample_range", 1.0)
    return x_0.clamp(-most, most)
