"""Textual inversion (Gal et al. 2022, arXiv:2208.01618): only the word's rows are learned.

A step is fixed by its number: which pictures, templates, timesteps and noises it has follows from
(seed, step), never from the process or from the steps before. So a run that continues from a
checkpoint, or that is divided over processes, takes the same steps.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from diffusion.pseudo_word import PseudoWord
from diffusion.stable_diffusion import StableDiffusion
from inversion.batches import Material, make_batch, prepare_batch
from inversion.config import Config
from inversion.initial import Norms, hold_norms
from inversion.loss import loss_of, timestep_weights
from inversion.objective import Objective
from inversion.optimizing import FIRST_SCALE, LossScale, make_optimizer, result, showing
from inversion.rates import learning_rate
from inversion.speed import prepared
from inversion.stopping import Ending, Measured, early_ending, is_enough, planned_ending
from lab.errors import UserError
from lab.memory import until_it_fits
from lab.processes import Processes

LESS_MEMORY = (
    "set inversion.train.gradient_checkpointing to true, inversion.dtype to bf16, "
    "or a smaller inversion.resolution"
)


@dataclass(frozen=True)
class TrainStep:
    """What a step did: its number (from 1), its mean loss, the rows' mean norm, its rate; and what
    was measured after it, if it was time."""

    step: int
    loss: float
    norm: float
    learning_rate: float
    measured: Measured | None = None


@dataclass(frozen=True)
class State:
    """Everything that a run needs to continue after `step` steps, to the same bits."""

    step: int
    rows: Tensor
    """[n, d], as the optimizer left them."""
    optimizer: dict[str, Any]
    result: Tensor
    """[n, d], the rows to show and to save: for schedule_free an average of `rows`' path."""
    history: tuple[Measured, ...]
    best: Tensor
    """[n, d], the rows of the best measurement so far."""
    ending: Ending
    part_size: int
    """Pictures that fit into memory at once."""
    loss_scale: tuple[float, int]

    @property
    def best_measured(self) -> Measured:
        """The measurement of `best`: the first of the lowest after the start."""
        return min(self.history[1:] or self.history, key=lambda measured: measured.judged)


def step_gradient(
    sd: StableDiffusion,
    word: PseudoWord,
    material: Material,
    config: Config,
    step: int,
    processes: Processes,
    part_size: int | None = None,
    loss_scale: float = 1.0,
) -> tuple[float, int]:
    """Leave the rows' gradient of a whole step, all processes' parts, in `word.rows.grad`, times
    `loss_scale`.

    Returns the step's mean loss, and how many pictures fitted into memory at once.
    """
    settings = config.train
    mine = processes.share(range(settings.batch_size))
    weights = timestep_weights(sd, settings)

    def attempt(size: int) -> Tensor:
        word.rows.grad = torch.zeros_like(word.rows)
        total = torch.zeros((), device=sd.device)
        for start in range(0, len(mine), size):
            part = mine[start : start + size]
            batch = make_batch(sd, material, settings, config.seed, step, part)
            loss = loss_of(sd, batch, weights) / settings.batch_size
            (loss * loss_scale).backward()
            total += loss.detach()
        return total

    first = part_size or max(1, math.ceil(len(mine) / settings.gradient_accumulation))
    total, size = until_it_fits(attempt, first, LESS_MEMORY)
    prepare_batch(sd, material, settings, config.seed, step + 1, mine[:size])  # a GPU still works
    assert word.rows.grad is not None
    word.rows.grad.copy_(processes.sum(word.rows.grad))
    return processes.sum(total).item(), size


def train(
    sd: StableDiffusion,
    word: PseudoWord,
    material: Material,
    config: Config,
    norms: Norms,
    state: State | None = None,
    processes: Processes | None = None,
) -> Iterator[tuple[TrainStep | Measured, State]]:
    """Learn the rows of `word`, which stands in `sd.text_encoder`; `norms` are the vocabulary's.

    The first item of a new training is what was measured before it; then one item a step. The
    yielded State holds references: save it before asking for the next. At the end `word` has the
    best rows.

    Raises:
        UserError: the rows get no gradient, or the loss or the gradient is not finite.
    """
    processes = processes or Processes(sd.device.type)
    sd = prepared(sd, config.train)
    optimizer = make_optimizer(word.rows, config.train)
    objective = Objective(sd, material, config, processes)
    if state is None:
        state = _first_state(word, optimizer, objective, config)
        yield state.history[0], state
    else:
        with torch.no_grad():
            word.rows.copy_(state.rows)
        optimizer.load_state_dict(state.optimizer)
    scale = LossScale(sd.dtype, *state.loss_scale)
    while state.step < state.ending.last:
        rate = learning_rate(config.train, state.step, state.ending)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss, size = step_gradient(
            sd, word, objective.trained, config, state.step, processes, state.part_size, scale.value
        )
        assert word.rows.grad is not None
        if scale.unscale(word.rows.grad):
            _require_learning(word.rows.grad, loss, state.step)
            optimizer.step()
            hold_norms(word.rows, config.norm, norms)
        step = state.step + 1
        state = replace(state, step=step, part_size=size, loss_scale=(scale.value, scale.good))
        rows = result(optimizer, word.rows)
        hold_norms(rows, config.norm, norms)  # an average of long vectors is shorter
        state = replace(state, rows=word.rows.detach(), optimizer=optimizer.state_dict())
        state = replace(state, result=rows)
        measured = None
        if step % objective.every == 0 or step == state.ending.last:
            state, measured = _look(state, word, objective)
        norm = word.rows.detach().norm(dim=1).mean().item()
        yield TrainStep(step, loss, norm, rate, measured), state
    with torch.no_grad():
        word.rows.copy_(state.best)


def _first_state(word: PseudoWord, optimizer, objective: Objective, config: Config) -> State:
    rows = word.rows.detach()
    settings = config.train
    return State(
        step=0,
        rows=rows,
        optimizer=optimizer.state_dict(),
        result=rows.clone(),
        history=(objective.measure(0),),
        best=rows.clone(),
        ending=planned_ending(settings, config.stop),
        part_size=0,
        loss_scale=(FIRST_SCALE, 0),
    )


def _look(state: State, word: PseudoWord, objective: Objective) -> tuple[State, Measured]:
    """Measure, keep the rows if they are the best so far, and ask whether it is enough."""
    config = objective.config
    with showing(word.rows, state.result):
        measured = objective.measure(state.step)
    state = replace(state, history=(*state.history, measured))
    if state.best_measured is measured:
        state = replace(state, best=state.result)
    cooling = state.step > state.ending.first
    if not cooling and is_enough(state.history, config.stop):
        state = replace(state, ending=early_ending(state.step, config.train, config.stop))
    return state, measured


def _require_learning(gradient: Tensor, loss: float, step: int) -> None:
    if not (math.isfinite(loss) and torch.isfinite(gradient).all()):
        raise UserError(
            f"step {step + 1} of the training is not a number (its loss is {loss:g}): lower "
            "inversion.train.learning_rate, or set inversion.dtype to fp32; the last good "
            "checkpoint is kept, and the best word so far beside it"
        )
    # xformers once cut the graph without a word (webui#7567): better to stop than to learn nothing
    if step == 0 and not gradient.abs().sum() > 0:
        raise UserError(
            "the word gets no gradient: choose another inversion.attention, "
            "and check that the templates hold [name]"
        )
