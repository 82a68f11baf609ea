"""What the stages of the job work with."""

from dataclasses import dataclass

import torch
from diffusers import DDPMScheduler, UNet2DModel

from ddpm.data import Pictures
from lab.processes import Processes


@dataclass(frozen=True)
class Bench:
    """The model and the data, from the end of the training on."""

    unet: UNet2DModel
    """In evaluation mode, frozen, with the weights that were found best."""
    scheduler: DDPMScheduler
    pictures: Pictures | None
    """None where the experiment names no data."""
    device: torch.device
    dtype: torch.dtype
    """What the U-Net is computed in: an argument of `denoise`."""
    processes: Processes
