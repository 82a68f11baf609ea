"""torch.compile for the U-Net: the same computation, translated beforehand for shapes that stay.

On a GPU without gradients it is recorded as a CUDA graph as well, which is started as a whole, so
that nothing waits for Python.
"""

from dataclasses import replace
from functools import cache
from typing import Any

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput
from torch import nn

from diffusion.stable_diffusion import StableDiffusion


@cache
def why_not(device: torch.device) -> str:
    """What keeps torch.compile from working on a device, in words; empty: nothing.

    It is tried on a sum: whether there is a compiler is told by no flag.
    """

    def add(x: torch.Tensor) -> torch.Tensor:
        return x + 1

    try:
        torch.compile(add)(torch.zeros(2, device=device))
    except Exception as error:  # of a dozen kinds, from Python, C++ and Triton
        return (str(error).strip() or type(error).__name__).splitlines()[0]
    return ""


class Translated:
    """A U-Net for predictions without gradients; whatever else is asked of it, the U-Net answers.

    It is translated at the first call, and anew for inputs of another shape or type.
    """

    def __init__(self, unet: nn.Module, device: torch.device, backend: str = "inductor"):
        self._unet = unet
        mode = "reduce-overhead" if device.type == "cuda" else None
        self._call = torch.compile(unet, mode=mode, dynamic=False, backend=backend)

    def __call__(self, *args: Any, **kwargs: Any) -> UNet2DConditionOutput:
        torch.compiler.cudagraph_mark_step_begin()
        made = self._call(*args, **kwargs)
        # the next start of a CUDA graph writes into the same place
        return UNet2DConditionOutput(sample=made.sample.clone())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._unet, name)


def translated(sd: StableDiffusion) -> StableDiffusion:
    """The same model, for predictions without gradients of one shape."""
    unet: Any = Translated(sd.unet, sd.device)
    return replace(sd, unet=unet)
