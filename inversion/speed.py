"""How the U-Net is computed while it teaches: with less memory, or translated beforehand."""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from diffusion.compiling import why_not
from diffusion.fitting import Plan, budget_of, plan_training
from diffusion.stable_diffusion import StableDiffusion
from inversion.config import Config, Train
from lab.device import finish, noise
from lab.errors import UserError
from lab.forecast import seconds_of

TIMED = 4  # pictures: enough to tell how long a part takes, few enough for a CPU at 512 px


def plan_for(
    sd: StableDiffusion, config: Config, shapes: Sequence[tuple[int, int]], processes: int
) -> Plan:
    """How a process's part of a step fits on the device; `shapes` are those of the pictures."""
    width, height = max(shapes, key=lambda shape: shape[0] * shape[1])
    settings = config.train
    mine = math.ceil(settings.batch_size / processes)
    return plan_training(
        sd,
        sd.latent_shape(height, width),
        math.ceil(mine / settings.gradient_accumulation),
        budget_of(config.memory, sd.device),
        settings.gradient_checkpointing,
        attention=config.attention,
        previews=len(config.previews.prompts),
    )


def fitted(config: Config, plan: Plan, processes: int) -> Config:
    """The same training, its steps computed as planned."""
    mine = math.ceil(config.train.batch_size / processes)
    chosen = {
        "gradient_checkpointing": plan.checkpointing,
        "gradient_accumulation": math.ceil(mine / plan.at_once),
    }
    return config.model_copy(update={"train": config.train.model_copy(update=chosen)})


def seconds_of_step(
    sd: StableDiffusion, config: Config, shapes: Sequence[tuple[int, int]], at_once: int
) -> float:
    """About how long a step takes on this machine: the U-Net there and back, which is nearly all
    of it, for TIMED pictures at most, times as many as a step has."""
    width, height = max(shapes, key=lambda shape: shape[0] * shape[1])
    size = min(at_once, TIMED)
    unet = prepared(sd, config.train.model_copy(update={"compile": False})).unet
    x_t = noise((size, *sd.latent_shape(height, width)), 0).to(sd.device, sd.dtype)
    words = (size, sd.tokenizer.model_max_length, unet.config["cross_attention_dim"])
    states = noise(words, 0, 1).to(sd.device, sd.dtype).requires_grad_()

    def there_and_back() -> None:
        predicted = unet(x_t, 500, encoder_hidden_states=states).sample
        torch.autograd.grad(predicted.float().square().mean(), states)

    seconds = seconds_of(there_and_back, 2, lambda: finish(sd.device))
    return seconds * config.train.batch_size / size


def require_compiler(device: torch.device, settings: Train) -> None:
    """Raise UserError where torch.compile is asked for and has no compiler here."""
    if settings.compile and (reason := why_not(device)):
        raise UserError(
            f"inversion.train.compile cannot work on {device} here ({reason}): set it to false, "
            "or install a C++ compiler (CPU) or triton (CUDA)"
        )


def prepared(sd: StableDiffusion, settings: Train) -> StableDiffusion:
    """The model to train with: the same weights, computed as the settings ask."""
    if settings.gradient_checkpointing is True:  # auto was decided before, or nothing is counted
        sd.unet.enable_gradient_checkpointing()
    else:
        sd.unet.disable_gradient_checkpointing()
    if not settings.compile:
        return sd
    # a copy, so that previews, whose batches have other sizes, do not wait for translations
    compiled = torch.compile(sd.unet)
    return replace(sd, unet=compiled)  # pyright: ignore[reportArgumentType]
