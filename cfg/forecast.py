"""What a sweep will cost, before it is drawn: pictures, evaluations, time on this machine."""

from collections.abc import Callable, Hashable, Sequence

import torch

from cfg.batching import prediction_call
from cfg.cells import Frame
from cfg.config import Rule
from cfg.guidance import needed, scale_at, strength
from diffusion.schedule import alpha_bar_at, alpha_bars
from diffusion.stable_diffusion import StableDiffusion, decode, make_scheduler
from lab.device import finish, noise
from lab.forecast import seconds_of


def predictions_of(sd: StableDiffusion, frames: Sequence[Frame]) -> int:
    """How many rows the model computes for these frames, padding left out."""
    alpha_bar = alpha_bars(sd.scheduler_config)
    strengths: dict[tuple[Rule, int, str], list[float]] = {}
    shared: set[Hashable] = set()
    own = 0
    for frame in frames:
        line = frame.line
        about = line.rule, line.steps, line.scheduler
        if about not in strengths:
            times = make_scheduler(sd, line.scheduler, line.steps).timesteps.tolist()
            levels = [alpha_bar_at(alpha_bar, t) for t in times]
            strengths[about] = [strength(line.rule, k, len(times), a) for k, a in enumerate(levels)]
        untouched = True
        for index, force in enumerate(strengths[about]):
            scale = float(scale_at(torch.tensor(float(frame.scale)), force))
            with_prompt, without = needed(line.rule, scale)
            if untouched:
                followed = line.prompt if index else None
                start = (line.steps, line.scheduler, index, line.seed, followed)
                shared |= {(*start, line.prompt)} if with_prompt else set()
                shared |= {(*start, line.negative_prompt)} if without else set()
            else:
                own += with_prompt + without
            untouched = untouched and force == 0
    return own + len(shared)


def seconds_for(sd: StableDiffusion, predictions: int, pictures: int, batch_size: int) -> float:
    """About how long predictions and decoding take on this machine, by timing one call of each."""
    predict = prediction_call(sd, batch_size)
    size = max(1, batch_size // 2)
    latents = noise((size, *sd.latent_shape()), 0, 0)

    def timed(call: Callable[[], object]) -> float:
        return seconds_of(call, wait=lambda: finish(sd.device))

    return (
        timed(predict) * predictions / batch_size
        + timed(lambda: decode(sd, latents)) * pictures / size
    )
