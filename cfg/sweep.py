"""Rendering frames: any mixture of scales, seeds, prompts and words, at one batch size.

Frames of one rule and one number of steps are drawn together in *waves*, of as many pictures as
two calls of the model can hold. What frames have in common is computed once for all of them.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from torch import Tensor

from cfg.cells import Frame
from cfg.frames import save_frame
from cfg.guidance import most_needed
from cfg.sampling import Known, Picture, decode_evenly_later, denoise, start
from cfg.telemetry import Recorder, Told
from diffusion.stable_diffusion import StableDiffusion

Wave = tuple[Frame, ...]
"""Frames to draw at once: of one rule, one scheduler and one number of steps."""


def waves_of(frames: Sequence[Frame], batch_size: int) -> list[Wave]:
    """The frames in waves of at most two calls of `batch_size` predictions a step, in order.

    Two calls, not one: where a rule does not guide, pictures need half as many predictions, and a
    wave then still fills a call.
    """
    waves: list[Wave] = []
    for (rule, *_), group in groupby(
        frames, lambda frame: (frame.line.rule, frame.line.steps, frame.line.scheduler)
    ):
        wave: list[Frame] = []
        room = 2 * batch_size
        for frame in group:
            needs = most_needed(rule, float(frame.scale))
            if needs > room:
                waves.append(tuple(wave))
                wave, room = [], 2 * batch_size
            wave.append(frame)
            room -= needs
        waves.append(tuple(wave))
    return waves


ON_THEIR_WAY = 8
"""Calls of the decoder whose pictures may wait to be written."""


@dataclass(frozen=True)
class Rendered:
    """How far `render` is: `done` frames are drawn; `step` of `steps` of the wave in work."""

    done: int
    step: int
    steps: int


def render(sd: StableDiffusion, waves: Sequence[Wave], batch_size: int) -> Iterator[Rendered]:
    """Draw frames, a wave at a time, and write each to its file.

    Equal seeds share their noise, and what an ancestral scheduler draws later; every text is
    encoded once; the steps that no scale has touched yet are computed once for all scales. No bit
    of a frame depends on which others are drawn with it, or were drawn before.

    While a wave is sampled, the one before it is finished: a GPU decodes it without being waited
    for, and a thread takes the pictures from there, packs them and writes the files. No more than
    eight calls of the decoder are on their way at once, and all files are there when the generator
    has ended, also where it was closed.
    """
    encoded: dict[str, Tensor] = {}
    known: Known = {}
    writing: deque[Future[None]] = deque()
    done = 0
    with ThreadPoolExecutor(1, "frames") as writer:
        for wave in waves:
            pictures = [
                Picture(f.line.prompt, f.line.negative_prompt, f.line.seed, float(f.scale))
                for f in wave
            ]
            line = wave[0].line
            arguments = start(sd, pictures, sd.latent_shape(), encoded)
            arguments |= {"rule": line.rule, "batch_size": batch_size, "known": known}
            recorder, latents = Recorder(), arguments["x_T"]
            for step in denoise(sd, scheduler=line.scheduler, steps=line.steps, **arguments):
                recorder.add(step)
                latents = step.latents
                yield Rendered(done, step.index + 1, step.total)
            told, begin = recorder.later(), 0
            for fetch, real in decode_evenly_later(sd, latents, max(1, batch_size // 2)):
                part = range(begin, begin + real)
                writing.append(writer.submit(_save, wave, part, fetch, told, sd.name))
                begin += real
                while len(writing) > ON_THEIR_WAY or (writing and writing[0].done()):
                    writing.popleft().result()  # a full disk is said at once
            done += len(wave)
            yield Rendered(done, 0, 0)
        for written in writing:
            written.result()


def _save(
    wave: Wave,
    part: range,
    fetch: Callable[[], np.ndarray],
    told: Callable[[int], Told],
    model: str,
) -> None:
    """Write the frames of a part of a wave, when their pictures are there."""
    for place, pixels in zip(part, fetch(), strict=False):  # the rest of a call is padding
        save_frame(wave[place], pixels, told(place), model)
