"""Textual inversion (Gal et al. 2022, arXiv:2208.01618): only the word's rows are learned.

A step is fixed by its number: which pictures, templates, timesteps and noises it has follows from
(seed, step), never from the process or from the steps before. So a run that continues from a
checkpoint, or that is divided over processes, takes the same steps.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from diffusion.process import q_sample, v_from_x_0_and_eps
from diffusion.prompts import tokenize
from diffusion.pseudo_word import PseudoWord
from diffusion.schedule import alpha_bars
from diffusion.stable_diffusion import StableDiffusion
from inversion.config import Train
from inversion.data import Example, Latents, fill
from inversion.rates import learning_rate
from lab.device import noise
from lab.errors import UserError
from lab.processes import Processes


@dataclass(frozen=True)
class TrainStep:
    """What a step did: its number (from 1), its mean loss, the rows' mean norm, its rate."""

    step: int
    loss: float
    norm: float
    learning_rate: float


@dataclass(frozen=True)
class State:
    """Everything that a run needs to continue after `step` steps."""

    step: int
    rows: Tensor  # [n, d]
    optimizer: dict[str, Any]


@dataclass(frozen=True)
class Batch:
    """One process's share of a step: [b, C, h, w], [b], [b, C, h, w], [b, 77]."""

    x_0: Tensor
    timesteps: Tensor
    eps: Tensor
    token_ids: Tensor


@dataclass(frozen=True)
class Material:
    """What steps are made from."""

    examples: Sequence[Example]
    latents: Latents
    templates: Sequence[str]
    word: str


def initial_rows(sd: StableDiffusion, words: str, count: int, seed: int) -> Tensor:
    """The vectors that training begins with, float32 [count, d].

    With words: the rows of their tokens, repeated. Without: normal, with the vocabulary's own mean
    and deviation in each dimension.
    """
    table = sd.text_encoder.get_input_embeddings().get_parameter("weight").detach().float()
    if words:
        ids = sd.tokenizer(words, add_special_tokens=False).input_ids
        return table[[ids[k % len(ids)] for k in range(count)]].clone()
    draw = noise((count, table.shape[1]), seed, -1).to(table.device)
    return table.mean(0) + table.std(0) * draw


def _picture(seed: int, position: int, count: int) -> int:
    """Which picture comes at a position of the endless stream: each once before any twice."""
    lap, place = divmod(position, count)
    return int(np.random.default_rng([seed & 0xFFFFFFFF, 1, lap]).permutation(count)[place])


def make_batch(
    sd: StableDiffusion,
    material: Material,
    settings: Train,
    seed: int,
    step: int,
    mine: Sequence[int],
) -> Batch:
    """The items `mine` (out of range(batch_size)) of step number `step`."""
    rng = np.random.default_rng([seed & 0xFFFFFFFF, 0, step])
    size = settings.batch_size
    total = sd.scheduler_config.get("num_train_timesteps", 1000)
    # one timestep from every slice of the range: the same mean as independent draws, less variance
    timesteps = ((np.arange(size) + rng.random(size)) / size * total).astype(np.int64)
    mirrored = rng.integers(0, 2, size) if settings.flip else np.zeros(size, dtype=int)
    templates = rng.integers(0, len(material.templates), size)
    x_0, eps, token_ids = [], [], []
    for k in mine:
        position = step * size + k
        index = _picture(seed, position, len(material.examples))
        mean = material.latents.mean[index, mirrored[k]]
        std = material.latents.std[index, mirrored[k]]
        x_0.append(mean + std * noise(mean.shape, seed, 2 * position).to(mean.device))
        eps.append(noise(mean.shape, seed, 2 * position + 1))
        template = material.templates[int(templates[k])]
        prompt = fill(template, material.word, material.examples[index].caption)
        token_ids.append(tokenize(sd, prompt))
    return Batch(
        torch.stack(x_0).to(sd.device),
        torch.from_numpy(timesteps[list(mine)]).to(sd.device),
        torch.stack(eps).to(sd.device),
        torch.cat(token_ids).to(sd.device),
    )


def loss_of(sd: StableDiffusion, batch: Batch, alpha_bar: Tensor) -> Tensor:
    """Sum over the batch of each picture's mean squared error (Gal et al., eq. 2)."""
    hidden_states = sd.text_encoder(batch.token_ids)[0]
    a = alpha_bar[batch.timesteps]
    x_t = q_sample(batch.x_0, batch.eps, a)
    predicted = sd.unet(x_t.to(sd.dtype), batch.timesteps, encoder_hidden_states=hidden_states)
    target = batch.eps
    if sd.scheduler_config.get("prediction_type") == "v_prediction":
        target = v_from_x_0_and_eps(batch.x_0, batch.eps, a)
    return F.mse_loss(predicted.sample.float(), target, reduction="none").mean((1, 2, 3)).sum()


def step_gradient(
    sd: StableDiffusion,
    word: PseudoWord,
    material: Material,
    settings: Train,
    seed: int,
    step: int,
    processes: Processes,
) -> float:
    """Leave the rows' gradient of a whole step, all processes' parts, in `word.rows.grad`.

    Returns the step's mean loss.
    """
    alpha_bar = alpha_bars(sd.scheduler_config).to(sd.device)
    mine = processes.share(range(settings.batch_size))
    size = max(1, math.ceil(len(mine) / settings.gradient_accumulation))
    word.rows.grad = torch.zeros_like(word.rows)
    total = torch.zeros((), device=sd.device)
    for start in range(0, len(mine), size):
        batch = make_batch(sd, material, settings, seed, step, mine[start : start + size])
        loss = loss_of(sd, batch, alpha_bar) / settings.batch_size
        loss.backward()
        total += loss.detach()
    word.rows.grad.copy_(processes.sum(word.rows.grad))
    return processes.sum(total).item()


def train(
    sd: StableDiffusion,
    word: PseudoWord,
    material: Material,
    settings: Train,
    seed: int,
    state: State | None = None,
    processes: Processes | None = None,
) -> Iterator[tuple[TrainStep, State]]:
    """Learn the rows of `word`, which stands in `sd.text_encoder`; one item a step.

    The yielded State holds references: save it before asking for the next step.

    Raises:
        UserError: the rows get no gradient, or the loss is not finite.
    """
    optimizer = torch.optim.AdamW([word.rows], weight_decay=settings.weight_decay)
    first = 0
    if state is not None:
        with torch.no_grad():
            word.rows.copy_(state.rows)
        optimizer.load_state_dict(state.optimizer)
        first = state.step
    processes = processes or Processes(sd.device.type)
    for step in range(first, settings.steps):
        rate = learning_rate(settings, step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = step_gradient(sd, word, material, settings, seed, step, processes)
        _require_learning(word, loss, step)
        optimizer.step()
        norm = word.rows.detach().norm(dim=1).mean().item()
        done = TrainStep(step + 1, loss, norm, rate)
        yield done, State(step + 1, word.rows.detach(), optimizer.state_dict())


def _require_learning(word: PseudoWord, loss: float, step: int) -> None:
    assert word.rows.grad is not None
    if not math.isfinite(loss):
        raise UserError(
            f"the loss of step {step + 1} is {loss}: lower inversion.train.learning_rate, or set "
            "inversion.dtype to fp32; the last checkpoint is kept"
        )
    # xformers once cut the graph without a word (webui#7567): better to stop than to learn nothing
    if step == 0 and not word.rows.grad.abs().sum() > 0:
        raise UserError(
            "the word gets no gradient: choose another inversion.attention, "
            "and check that the templates hold [name]"
        )
