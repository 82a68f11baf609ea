"""How much of the picture is left at each timestep: beta_t and alpha_bar_t."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def betas(
    schedule: str, timesteps: int, beta_start: float = 0.0001, beta_end: float = 0.02
) -> Tensor:
    """The variance beta_t of the noise that step t adds: float32 [timesteps].

    linear: Ho et al. 2020 (arXiv:2006.11239, section 4). scaled_linear: linear in sqrt(beta), as
    Stable Diffusion was trained. squaredcos_cap_v2: Nichol & Dhariwal 2021 (arXiv:2102.09672, eq.
    17; beta_start and beta_end do not apply). Raises ValueError for another name.
    """
    if schedule == "linear":
        return torch.linspace(beta_start, beta_end, timesteps)
    if schedule == "scaled_linear":
        return torch.linspace(beta_start**0.5, beta_end**0.5, timesteps) ** 2
    if schedule == "squaredcos_cap_v2":

        def left(t: float) -> float:
            return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

        steps = [1 - left((i + 1) / timesteps) / left(i / timesteps) for i in range(timesteps)]
        return torch.tensor([min(beta, 0.999) for beta in steps])
    raise ValueError(
        f"{schedule} is not a schedule: choose linear, scaled_linear or squaredcos_cap_v2"
    )


def alpha_bars(scheduler_config: Mapping[str, Any]) -> Tensor:
    """alpha_bar_t = prod (1 - beta_s), s <= t, of a diffusers scheduler configuration: [timesteps].

    alpha_bar_t is the share of the picture in the variance of x_t; Ho et al. 2020, section 2.
    """
    steps = scheduler_config.get("num_train_timesteps", 1000)
    if scheduler_config.get("trained_betas") is not None:
        beta = torch.tensor(scheduler_config["trained_betas"], dtype=torch.float32)
    else:
        beta = betas(
            scheduler_config.get("beta_schedule", "linear"),
            steps,
            scheduler_config.get("beta_start", 0.0001),
            scheduler_config.get("beta_end", 0.02),
        )
    return torch.cumprod(1 - beta, dim=0)


def alpha_bar_at(alpha_bar: Tensor, t: float) -> float:
    """alpha_bar at a time between two timesteps, where Euler's and similar schedulers may stop.

    As in diffusers, sigma = sqrt((1 - alpha_bar) / alpha_bar) is what is interpolated linearly.
    """
    below, above = math.floor(t), math.ceil(t)
    sigma = [math.sqrt((1 - a) / a) for a in (float(alpha_bar[below]), float(alpha_bar[above]))]
    between = sigma[0] + (t - below) * (sigma[1] - sigma[0])
    return 1 / (1 + between**2)
