"""From noise to pictures, one step after the other: the one iterator of this room.

Previews, films, studies, guidance and measures all go through `denoise`. A picture's noise follows
from its seed and the step's number, so that it does not depend on the pictures beside it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from diffusion.process import ddim_step, eps_from_x_0, p_sample
from lab.device import noise


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
        large_variance=moment.scheduler.config.variance_type == "fixed_large",
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
    yield from ()
    raise RuntimeError
