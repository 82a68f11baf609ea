"""How the U-Net is computed while it teaches: with less memory, or translated beforehand."""

from dataclasses import replace

import torch

from diffusion.stable_diffusion import StableDiffusion
from inversion.config import Train
from lab.errors import UserError


def prepared(sd: StableDiffusion, settings: Train) -> StableDiffusion:
    """The model to train with: the same weights, computed as the settings ask.

    Raises:
        UserError: torch.compile has no compiler here.
    """
    if settings.gradient_checkpointing:
        sd.unet.enable_gradient_checkpointing()
    else:
        sd.unet.disable_gradient_checkpointing()
    if not settings.compile:
        return sd
    _require_compiler(sd.device)
    # a copy, so that previews, whose batches have other sizes, do not wait for translations
    compiled = torch.compile(sd.unet)
    return replace(sd, unet=compiled)  # pyright: ignore[reportArgumentType]


def _require_compiler(device: torch.device) -> None:
    """Try it on a sum: whether there is a compiler is told by no flag."""

    def add(x: torch.Tensor) -> torch.Tensor:
        return x + 1

    try:
        torch.compile(add)(torch.zeros(2, device=device))
    except Exception as error:  # of a dozen kinds, from Python, C++ and Triton
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"inversion.train.compile cannot work on {device} here ({reason}): set it to false, or "
            "install a C++ compiler (CPU) or triton (CUDA)"
        ) from None
