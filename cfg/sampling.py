"""The guided sampling loop, right for every scale.

diffusers' pipeline turns guidance off for every s <= 1, so a loop over it renders s = 0, 0.5 and 1
as one and the same picture. Here the two predictions are always combined by the formula.

Predictions are evaluated as *rows*: a picture needs a row under its prompt, a row under its
negative prompt, or both. Rows are computed in calls of one constant size, so that no bit of a row
depends on the rows beside it, and rows that are known to be equal are computed once.
"""

from collections.abc import Callable, Hashable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cfg.config import Rule
from cfg.guidance import PLAIN, Guided, State, combine, needed, scale_at, strength
from diffusion.process import predicted_x_0
from diffusion.prompts import encode_prompts
from diffusion.schedule import alpha_bar_at, alpha_bars
from diffusion.stable_diffusion import (
    DRAWS_NOISE,
    SCHEDULERS,
    StableDiffusion,
    decode_later,
    make_scheduler,
)
from diffusion.weights import of_one_length
from lab.device import generator_for, noise, padded_chunks
from lab.errors import UserError


@dataclass(frozen=True)
class Step:
    """One evaluation of the model on the way from noise to a picture; tensors are [B, C, h, w]."""

    index: int
    total: int
    t: float
    x_t: Tensor
    """The latents before the step, scaled to the variance that the model expects at t."""
    eps_uncond: Tensor
    """Without the prompt. Where a picture does not need it: eps_cond once more."""
    eps_cond: Tensor
    """Under the prompt. Where a picture does not need it: eps_uncond once more."""
    both: Tensor
    """bool [B]: for which pictures both predictions were made."""
    eps: Tensor
    """The guided prediction, whatever the model predicts (Stable Diffusion 1.x: the noise)."""
    x_0: Tensor
    """The latents of the picture that the guided prediction implies."""
    latents: Tensor
    """The latents after the step; those of the last step are the picture."""


@dataclass(frozen=True)
class Names:
    """Names for what a picture starts from: pictures with an equal name have an equal thing."""

    noise: Hashable
    cond: Hashable
    uncond: Hashable


UNSCALED = frozenset({"euler", "euler_a"})
"""Schedulers whose latents are x_0 + sigma eps, and x_t only after `scale_model_input`."""
Known = MutableMapping[Hashable, Tensor]
"""Rows that were computed already, by what they were computed of."""


@torch.no_grad()
def denoise(
    sd: StableDiffusion,
    x_T: Tensor,
    cond: Tensor,
    uncond: Tensor,
    guidance_scale: Tensor,
    scheduler: str = "ddim",
    steps: int = 25,
    noise_seeds: Sequence[int] | None = None,
    *,
    rule: Rule = PLAIN,
    batch_size: int | None = None,
    names: Sequence[Names] | None = None,
    known: Known | None = None,
) -> Iterator[Step]:
    """Walk from noise x_T [B, C, h, w] of unit variance to latents, one Step per model evaluation.

    cond and uncond are hidden states [B, 77, d], guidance_scale is [B]. Ancestral schedulers draw
    the noise of step i from (noise_seeds[b], 1 + i): it belongs to the picture, so it is the same
    at every scale and in every batch. Predictions are made `batch_size` rows at a time (default:
    B), and one that its picture does not need is left out; that changes no bit of the result.
    Latents and guidance are float32 whatever the dtype of the model.

    With `names` and `known`, what is equal by its names is computed once: the first step, which no
    scale has touched, and all steps before a rule guides for the first time.

    Raises:
        UserError: no such scheduler or number of steps, or a rule that the model cannot follow.
    """
    stepper = make_scheduler(sd, scheduler, steps)
    arguments = dict(SCHEDULERS[scheduler][2])
    if scheduler in DRAWS_NOISE and noise_seeds is None:
        raise ValueError(f"{scheduler} draws noise at every step: it needs noise_seeds")
    alpha_bar = alpha_bars(sd.scheduler_config)
    prediction_type = sd.scheduler_config.get("prediction_type", "epsilon")
    if rule.name == "cfg++" and prediction_type != "epsilon":
        raise UserError(f"the rule cfg++ needs a model that predicts noise, which {sd.name} is not")
    rows = _Rows(sd, torch.cat([cond, uncond]).to(sd.device), batch_size or len(x_T), known)
    final = guidance_scale.to(sd.device, torch.float32)
    latents = x_T.to(sd.device, torch.float32) * stepper.init_noise_sigma
    total, untouched, memory = len(stepper.timesteps), True, None
    for index, t in enumerate(stepper.timesteps):
        a = alpha_bar_at(alpha_bar, float(t))
        force = strength(rule, index, total, a)
        scale = scale_at(final, force)
        x_t = stepper.scale_model_input(latents, t)
        shared = (scheduler, steps, index) if names and untouched else None
        eps_cond, eps_uncond, both = rows.predict(x_t, t, rule, scale, names, shared)
        state = State(x_t, a, prediction_type, memory)
        guided = combine(rule, eps_uncond, eps_cond, scale, state)
        untouched, memory = untouched and force == 0, guided.memory
        x_0 = predicted_x_0(x_t, guided.eps, a, prediction_type)
        eps, start = _renoised(guided, latents, a, scheduler)
        if scheduler in DRAWS_NOISE and noise_seeds is not None:
            arguments["generator"] = [generator_for(seed, 1 + index) for seed in noise_seeds]
        latents = stepper.step(eps, t, start, **arguments).prev_sample
        yield Step(
            index, total, float(t), x_t, eps_uncond, eps_cond, both, guided.eps, x_0, latents
        )


def _renoised(guided: Guided, latents: Tensor, a: float, scheduler: str) -> tuple[Tensor, Tensor]:
    """The prediction and the latents that the scheduler steps from.

    A rule may put another noise back on its x_0 than the one it was predicted with: x_t then moves
    by sigma times what the two differ, in the units of the latents, so that x_0 stays.
    """
    if guided.renoise is None:
        return guided.eps, latents
    sigma = (1 - a) ** 0.5 * (a**-0.5 if scheduler in UNSCALED else 1.0)
    return guided.renoise, latents + sigma * (guided.renoise - guided.eps)


class _Rows:
    """The model's predictions, evaluated in calls of one size."""

    def __init__(
        self, sd: StableDiffusion, hidden_states: Tensor, batch_size: int, known: Known | None
    ):
        self._sd = sd
        self._hidden_states = hidden_states  # of all pictures under the prompt, then without it
        self._batch_size = batch_size
        self._known: Known = {} if known is None else known

    def predict(
        self,
        x_t: Tensor,
        t: Tensor,
        rule: Rule,
        scale: Tensor,
        names: Sequence[Names] | None,
        shared: tuple[Hashable, ...] | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(eps_cond, eps_uncond, for which pictures both were made)."""
        count = len(x_t)
        needs = [needed(rule, s) for s in scale.tolist()]
        with_prompt, without = ([need[k] for need in needs] for k in (0, 1))
        keys: dict[int, Hashable] = {}
        for row, need in enumerate([*with_prompt, *without]):
            if need:
                keys[row] = row if shared is None or names is None else (
                    *shared, *self._made_of(names[row % count], row < count, shared[-1] == 0)
                )  # fmt: skip
        todo: dict[Hashable, int] = {}
        for row, key in keys.items():
            if key not in self._known:
                todo.setdefault(key, row)
        found = self._evaluate(x_t, t, todo)
        if shared is not None:
            self._known.update((key, eps.clone()) for key, eps in found.items())

        def at(row: int) -> Tensor:
            key = keys[row]
            return found[key] if key in found else self._known[key]

        eps_cond = torch.stack([at(b if with_prompt[b] else b + count) for b in range(count)])
        eps_uncond = torch.stack([at(b + count if without[b] else b) for b in range(count)])
        return eps_cond, eps_uncond, torch.tensor(with_prompt) & torch.tensor(without)

    @staticmethod
    def _made_of(names: Names, of_prompt: bool, first: bool) -> tuple[Hashable, ...]:
        """What decides a row of a step before which nothing was guided."""
        # the first x_t is noise and nothing else; later ones have followed the prompt
        followed = None if first else names.cond
        return names.noise, followed, names.cond if of_prompt else names.uncond

    def _evaluate(
        self, x_t: Tensor, t: Tensor, todo: dict[Hashable, int]
    ) -> dict[Hashable, Tensor]:
        found: dict[Hashable, Tensor] = {}
        for chunk, real in padded_chunks(list(todo.items()), self._batch_size):
            rows = [row for _, row in chunk]
            x = x_t[[row % len(x_t) for row in rows]].to(self._sd.dtype)
            states = self._hidden_states[rows]
            eps = self._sd.unet(x, t, encoder_hidden_states=states).sample.float()
            found |= {key: eps[place] for place, (key, _) in enumerate(chunk[:real])}
        return found


@dataclass(frozen=True)
class Picture:
    """What fixes a picture, beside model, rule, scheduler and steps."""

    prompt: str
    negative_prompt: str
    seed: int
    scale: float


def start(
    sd: StableDiffusion,
    pictures: Sequence[Picture],
    shape: tuple[int, int, int],
    encoded: MutableMapping[str, Tensor],
) -> dict[str, Any]:
    """The arguments of `denoise` that follow from the pictures; each text is encoded once."""
    for text in dict.fromkeys(t for p in pictures for t in (p.prompt, p.negative_prompt)):
        if text not in encoded:
            encoded[text] = encode_prompts(sd, [text])
    texts = [*(p.prompt for p in pictures), *(p.negative_prompt for p in pictures)]
    states = torch.cat(of_one_length([encoded[text] for text in texts]))
    return {
        "x_T": torch.stack([noise(shape, p.seed, 0) for p in pictures]),
        "cond": states[: len(pictures)],
        "uncond": states[len(pictures) :],
        "guidance_scale": torch.tensor([p.scale for p in pictures]),
        "noise_seeds": [p.seed for p in pictures],
        "names": [Names((p.seed, shape), p.prompt, p.negative_prompt) for p in pictures],
    }


def sample(
    sd: StableDiffusion,
    prompts: Sequence[str],
    *,
    seeds: Sequence[int],
    guidance_scale: float | Sequence[float] = 7.5,
    negative_prompt: str = "",
    steps: int = 25,
    scheduler: str = "ddim",
    batch_size: int = 8,
    height: int | None = None,
    width: int | None = None,
) -> Iterator[np.ndarray]:
    """Draw one picture per prompt, uint8 [H, W, 3], in order.

    `batch_size` is the number of predictions computed at once, and as many pictures are decoded at
    once. A picture is fixed by its prompt, seed, scale and `batch_size`, and not by the pictures
    beside it, because every batch has the same size (the last one is padded).
    """
    if isinstance(guidance_scale, int | float):
        guidance_scale = [float(guidance_scale)] * len(prompts)
    pictures = [
        Picture(prompt, negative_prompt, seed, float(scale))
        for prompt, seed, scale in zip(prompts, seeds, guidance_scale, strict=True)
    ]
    shape, encoded, known = sd.latent_shape(height, width), {}, {}
    for begin in range(0, len(pictures), batch_size):
        chunk = pictures[begin : begin + batch_size]
        arguments = start(sd, chunk, shape, encoded)
        *_, last = denoise(
            sd, scheduler=scheduler, steps=steps, batch_size=batch_size, known=known, **arguments
        )
        yield from decode_evenly(sd, last.latents, batch_size)


def decode_evenly(sd: StableDiffusion, latents: Tensor, size: int) -> Iterator[np.ndarray]:
    """`decode`, always `size` pictures at once, so that none depends on how many there are."""
    for fetch, real in decode_evenly_later(sd, latents, size):
        yield from fetch()[:real]


def decode_evenly_later(
    sd: StableDiffusion, latents: Tensor, size: int
) -> Iterator[tuple[Callable[[], np.ndarray], int]]:
    """The same, queued on a GPU: for each chunk what waits for its pictures, and how many of them
    are real."""
    for chunk, real in padded_chunks(list(latents), size):
        yield decode_later(sd, torch.stack(chunk)), real
