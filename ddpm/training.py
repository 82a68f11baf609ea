"""Learning to tell the noise in a picture (Ho et al. 2020, algorithm 1), step by numbered step."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from diffusers.training_utils import EMAModel
from torch import Tensor, nn
from torch.nn import functional as F

from ddpm.batches import Batch, Item, assemble, draw_items, fixed_items
from ddpm.config import Config, Train
from ddpm.data import Pictures
from diffusion.process import q_sample, v_from_x_0_and_eps
from lab.errors import UserError
from lab.memory import until_it_fits
from lab.processes import Processes

LESS_MEMORY = "take a smaller ddpm.data.size, or smaller ddpm.model.channels, or ddpm.dtype bf16"

LOSSES: dict[str, Callable[..., Tensor]] = {"mse": F.mse_loss, "l1": F.l1_loss}


@dataclass(frozen=True)
class Measured:
    """The validation loss after `step` steps, with the averaged weights."""

    step: int
    validation: float


@dataclass(frozen=True)
class TrainStep:
    """What a step did: its number (from 1), its mean loss, its rate; and what was measured after
    it, if it was time."""

    step: int
    loss: float
    learning_rate: float
    measured: Measured | None = None


@dataclass(frozen=True)
class State:
    """Everything that a run needs to continue after `step` steps, to the same bits."""

    step: int
    weights: dict[str, Tensor]
    """As the optimizer left them."""
    optimizer: dict[str, Any]
    average: dict[str, Any]
    """diffusers' EMAModel."""
    history: tuple[Measured, ...]
    best: list[Tensor]
    """The averaged weights of the best measurement so far, in the order of `unet.parameters()`."""
    batch_size: int
    """Of the whole step; found by trying where the settings say auto."""
    part_size: int
    """Pictures that fit into memory at once; 0: not known yet."""

    @property
    def best_measured(self) -> Measured | None:
        """The measurement of `best`, the first of the lowest; None where nothing is measured."""
        return min(self.history, key=lambda m: m.validation) if self.history else None


def learning_rate(settings: Train, step: int) -> float:
    """The rate of step number `step` (from 0): warm-up, level, half a cosine down to zero."""
    rate = settings.learning_rate
    if step < settings.warmup:
        return rate * (step + 1) / settings.warmup
    start = settings.steps * (1 - settings.decay)
    if step < start:
        return rate
    return rate * 0.5 * (1 + math.cos(math.pi * (step - start) / max(1.0, settings.steps - start)))


class Trainer:
    """The model with what it learns from: what is the same at every step."""

    def __init__(
        self, unet: Any, scheduler: Any, pictures: Pictures, config: Config, dtype: torch.dtype,
        processes: Processes,
    ):  # fmt: skip
        assert config.train is not None
        self.unet, self.pictures, self.config, self.dtype = unet, pictures, config, dtype
        self.settings, self.processes = config.train, processes
        self.device = next(unet.parameters()).device
        self.alpha_bars = scheduler.alphas_cumprod.to(self.device)
        self.prediction = scheduler.config.get("prediction_type", "epsilon")
        self.parameters = [p for p in unet.parameters() if p.requires_grad]
        most = self.settings.validation_pictures
        self._fixed = fixed_items(pictures.validation, most, len(self.alpha_bars))

    def loss_of(self, batch: Batch, reduction: str = "sum") -> Tensor:
        """The loss of a part, summed over its pictures (each the mean over its pixels)."""
        alpha_bar = self.alpha_bars[batch.timesteps]
        x_t = q_sample(batch.x_0, batch.eps, alpha_bar)
        goal = batch.eps
        if self.prediction == "v_prediction":
            goal = v_from_x_0_and_eps(batch.x_0, batch.eps, alpha_bar)
        elif self.prediction == "sample":
            goal = batch.x_0
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            output = self.unet(x_t, batch.timesteps).sample.float()
        each = LOSSES[self.settings.loss](output, goal, reduction="none").mean(dim=(1, 2, 3))
        return each.sum() if reduction == "sum" else each

    def items(self, step: int, size: int, every: bool = False) -> list[Item]:
        """This process's places of a step of `size`, or every one."""
        mine = range(size) if every else self.processes.share(range(size))
        flip, seed, total = self.settings.flip, self.config.seed, len(self.alpha_bars)
        return draw_items(self.pictures.train, size, flip, seed, step, mine, total)

    def gradient(self, step: int, size: int, part_size: int = 0) -> tuple[float, int]:
        """Leave the gradient of a whole step, all processes' parts, in the parameters.

        However the step is divided, every picture counts 1 / size. Returns the step's mean loss,
        and how many pictures fitted into memory at once.
        """
        items = self.items(step, size)

        def attempt(fitting: int) -> Tensor:
            self.unet.zero_grad(set_to_none=True)
            total = torch.zeros((), device=self.device)
            for start in range(0, len(items), fitting):
                part = items[start : start + fitting]
                batch = assemble(self.pictures.pixels, self.config.seed, part, self.device)
                loss = self.loss_of(batch) / size
                loss.backward()
                total += loss.detach()
            return total

        parts = self.settings.gradient_accumulation
        first = math.ceil(len(items) / (1 if parts == "auto" else parts))
        total, fitting = until_it_fits(attempt, max(1, part_size or first), LESS_MEMORY)
        if self.processes.count > 1:
            for parameter in self.parameters:  # one of a process without a picture has no gradient
                own = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
                parameter.grad = self.processes.sum(own)
        return self.processes.sum(total).item(), fitting

    @torch.no_grad()
    def measure(self, average: EMAModel, part_size: int) -> float | None:
        """The mean loss over the fixed validation pictures with the averaged weights; the same in
        every process, and None without such pictures."""
        if not self._fixed:
            return None
        average.store(self.unet.parameters())
        average.copy_to(self.unet.parameters())
        total = torch.zeros((), device=self.device, dtype=torch.float64)
        mine = self.processes.share(self._fixed)
        for start in range(0, len(mine), part_size):
            part = mine[start : start + part_size]
            batch = assemble(self.pictures.pixels, self.config.seed, part, self.device)
            total += self.loss_of(batch, "none").double().sum()
        average.restore(self.unet.parameters())
        return self.processes.sum(total).item() / len(self._fixed)


def train(trainer: Trainer, state: State | None = None) -> Iterator[tuple[TrainStep, State]]:
    """Train `trainer.unet` from the beginning or from `state`; one item a step.

    The yielded State holds references: save it before asking for the next. At the end the model
    has the best weights of the average.

    Raises:
        UserError: a loss is not a number, or there is no memory for a single picture.
    """
    settings, unet = trainer.settings, trainer.unet
    optimizer = torch.optim.AdamW(
        trainer.parameters, settings.learning_rate, weight_decay=settings.weight_decay
    )
    average = EMAModel(unet.parameters(), decay=settings.ema)
    if state is None:
        size, part_size = batch_size_of(trainer)
        state = _state(trainer, optimizer, average, size, part_size)
    else:
        unet.load_state_dict(state.weights)
        optimizer.load_state_dict(state.optimizer)
        average.load_state_dict(state.average)
        average.to(trainer.device)
    while state.step < settings.steps and not is_enough(state, settings):
        rate = learning_rate(settings, state.step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss, fitting = trainer.gradient(state.step, state.batch_size, state.part_size)
        norm = nn.utils.clip_grad_norm_(trainer.parameters, settings.clip_gradient or math.inf)
        _require_numbers(loss, float(norm), state.step)
        optimizer.step()
        average.step(unet.parameters())
        step = state.step + 1
        state = replace(state, step=step, part_size=fitting)
        measured = None
        if step % settings.validate_every == 0 or step == settings.steps:
            state, measured = _look(trainer, average, state)
        state = replace(
            state,
            weights=unet.state_dict(),
            optimizer=optimizer.state_dict(),
            average=average.state_dict(),
        )
        yield TrainStep(step, loss, rate, measured), state
    with torch.no_grad():
        for parameter, value in zip(unet.parameters(), state.best, strict=True):
            parameter.copy_(value)


def is_enough(state: State, settings: Train) -> bool:
    """Whether the last `patience` measurements brought nothing better."""
    best = state.best_measured
    if not settings.patience or best is None:
        return False
    return sum(measured.step > best.step for measured in state.history) >= settings.patience


def batch_size_of(trainer: Trainer) -> tuple[int, int]:
    """The batch size of the settings; for auto, the largest power of two whose pictures fit into
    memory at once in every process: a step is tried, and halved until it fits. With it the part
    size that is known to fit, or 0."""
    size = trainer.settings.batch_size
    if size != "auto":
        return size, 0
    count = trainer.processes.count
    # a larger batch than this brings no speed, and few steps for the same pictures
    most = 256 if trainer.device.type == "cuda" else 32
    most = min(most, 2 ** int(math.log2(len(trainer.pictures.train))))

    def attempt(fitting: int) -> None:
        items = trainer.items(0, fitting, every=True)
        batch = assemble(trainer.pictures.pixels, trainer.config.seed, items, trainer.device)
        trainer.loss_of(batch).backward()
        trainer.unet.zero_grad(set_to_none=True)

    _, fitting = until_it_fits(attempt, most, LESS_MEMORY)
    # processes agree on the smallest: of a one-hot vector each, the first entry that is not zero
    found = torch.zeros(32, device=trainer.device)
    found[int(math.log2(fitting))] = 1
    least = 2 ** int(trainer.processes.sum(found).nonzero()[0])
    return least * count, least


def _state(
    trainer: Trainer, optimizer: torch.optim.Optimizer, average: EMAModel, size: int, part: int
) -> State:
    return State(
        step=0,
        weights=trainer.unet.state_dict(),
        optimizer=optimizer.state_dict(),
        average=average.state_dict(),
        history=(),
        best=[parameter.detach().clone() for parameter in trainer.unet.parameters()],
        batch_size=size,
        part_size=part,
    )


def _look(trainer: Trainer, average: EMAModel, state: State) -> tuple[State, Measured | None]:
    """Measure, and keep the averaged weights if they are the best so far; without validation
    pictures the newest are."""
    value = trainer.measure(average, state.part_size)
    measured = None if value is None else Measured(state.step, value)
    if measured is not None:
        state = replace(state, history=(*state.history, measured))
    if state.best_measured is measured:
        state = replace(state, best=[p.detach().clone() for p in average.shadow_params])
    return state, measured


def _require_numbers(loss: float, norm: float, step: int) -> None:
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise UserError(
            f"step {step + 1} of the training is not a number (its loss is {loss:g}): lower "
            "ddpm.train.learning_rate, or set ddpm.dtype to fp32; the last good checkpoint is kept"
        )
