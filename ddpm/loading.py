"""An unconditional model from anywhere: a name, a folder or a hub id -> (unet, scheduler)."""


import torch
from diffusers import DDPMScheduler, UNet2DModel

BUNDLED = "drawn"


def load_unconditional(
    source: str, device: str | torch.device = "cpu"
) -> tuple[UNet2DModel, DDPMScheduler]:
    """The parts of a DDPMPipeline: "drawn" (bundled), its folder, or a hub id.

    The U-Net is in evaluation mode, float32 and frozen. Raises UserError, naming the model and a
    remedy, where it is not there or is no unconditional model of RGB pictures.
    """
    raise RuntimeError(source, device)
