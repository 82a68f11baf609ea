"""New models: U-Nets of some sizes, and the scheduler that their noise schedule is kept in."""

from collections.abc import Callable, Sequence
from math import gcd
from typing import Any

import torch
from diffusers import DDPMScheduler, ModelMixin, UNet2DModel

from ddpm.annotated import AnnotatedUNet
from ddpm.config import Model, Schedule
from lab.errors import UserError


def _small(channels: Sequence[int], size: int) -> ModelMixin:
    """Attention at the coarsest resolution alone, where it costs little."""
    return _unet(channels or (32, 64, 64), size, layers=1, attention=-1)


def _cifar10(channels: Sequence[int], size: int) -> ModelMixin:
    """Ho et al. 2020, appendix B, as google/ddpm-cifar10-32: attention at 16 px."""
    return _unet(channels or (128, 256, 256, 256), size, layers=2, attention=1)


def _manga(channels: Sequence[int], size: int) -> ModelMixin:
    return AnnotatedUNet(sample_size=size, block_out_channels=tuple(channels or (16, 32, 64, 128)))


PRESETS: dict[str, Callable[[Sequence[int], int], ModelMixin]] = {
    "small": _small,
    "manga": _manga,
    "cifar10": _cifar10,
}
"""A further one is a function of (features of each resolution, or none; side of the pictures) here
and its name in config.py."""


def _unet(channels: Sequence[int], size: int, layers: int, attention: int) -> UNet2DModel:
    count = len(channels)
    down, up = ["DownBlock2D"] * count, ["UpBlock2D"] * count
    down[attention] = "AttnDownBlock2D"
    up[count - 1 - attention % count] = "AttnUpBlock2D"
    blocks: dict[str, Any] = {"down_block_types": tuple(down), "up_block_types": tuple(up)}
    return UNet2DModel(
        sample_size=size,
        block_out_channels=tuple(channels),
        layers_per_block=layers,
        norm_num_groups=min(32 if layers == 2 else 8, gcd(*channels)),
        # narrower heads take a quarter of a training step on a CPU
        attention_head_dim=None if layers == 2 else min(32, channels[attention]),
        **blocks,
    )


def new_unet(model: Model, size: int, seed: int) -> Any:
    """A U-Net of the preset with random weights, which follow from the seed.

    Raises:
        UserError: the pictures cannot be halved as often as it has resolutions.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet: Any = PRESETS[model.preset](model.channels, size)
    halved = 2 ** (len(unet.config["block_out_channels"]) - 1)
    if size % halved:
        raise UserError(
            f"ddpm.data.size {size} cannot be halved as often as the model does: take a multiple "
            f"of {halved}, or fewer ddpm.model.channels"
        )
    return unet


def new_scheduler(schedule: Schedule, prediction: Any = "epsilon") -> DDPMScheduler:
    """The noise schedule as diffusers keeps it, for sampling by Ho et al. 2020, and what the model
    predicts, epsilon or v_prediction.

    With fewer steps than timesteps these end at the last timestep ("trailing"): a sampler that
    leaves it out begins with noise where the model expects some picture (Lin et al. 2023,
    arXiv:2305.08891).
    """
    factor = 1000 / schedule.timesteps if schedule.scaled else 1.0
    return DDPMScheduler(
        num_train_timesteps=schedule.timesteps,
        beta_schedule=schedule.name,
        beta_start=schedule.beta_start * factor,
        beta_end=schedule.beta_end * factor,
        clip_sample=True,
        prediction_type=prediction,
        timestep_spacing="trailing",
    )
