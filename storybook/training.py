"""What every stage of the pretraining shares: a resumable loop, a schedule, averaged weights."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from lab.run import Progress, write_atomically


@dataclass(frozen=True)
class Plan:
    """How long and how fast a stage learns. `decay` is the last share, in which the rate falls."""

    steps: int
    batch_size: int
    learning_rate: float
    warmup: int = 100
    decay: float = 0.3
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.01
    ema: float = 0.998
    save_every: int = 200
    seed: int = 0

    @property
    def samples(self) -> int:
        """Pictures seen in all steps together."""
        return self.steps * self.batch_size


def learning_rate(plan: Plan, step: int) -> float:
    """Warm-up, plateau, cosine to zero: the plateau lets a longer plan resume a shorter one."""
    if step < plan.warmup:
        return plan.learning_rate * (step + 1) / plan.warmup
    start = plan.steps * (1 - plan.decay)
    if step < start:
        return plan.learning_rate
    done = (step - start) / max(1.0, plan.steps - start)
    return plan.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def step_rng(plan: Plan, step: int) -> np.random.Generator:
    """The random numbers of one step: they need no saving, so a resumed run continues exactly."""
    return np.random.default_rng([plan.seed, step])


def autocast(device: torch.device, half: bool) -> AbstractContextManager:
    """bfloat16 arithmetic where it pays (1.5 times on two AVX-512 cores, more on a GPU)."""
    return torch.autocast(device.type, torch.bfloat16) if half else nullcontext()


def _save(path: Path, state: dict) -> None:
    write_atomically(path, lambda p: torch.save(state, p))


def fit(
    stage: str,
    model: nn.Module,
    plan: Plan,
    loss_of: Callable[[int], torch.Tensor],
    checkpoint: Path,
    report: Callable[[int, float], None] = lambda step, loss: None,
) -> Iterator[Progress]:
    """Train `model` on `loss_of(step)`; it ends holding the averaged weights.

    Resumes from `checkpoint` when it is there, and leaves there what it has learned.
    """
    optimizer = torch.optim.AdamW(
        model.parameters(), plan.learning_rate, plan.betas, weight_decay=plan.weight_decay
    )
    average = {k: v.detach().clone() for k, v in model.state_dict().items()}
    step = 0
    if checkpoint.exists():
        device = next(model.parameters()).device
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        average, step = state["average"], state["step"]
    smooth = None
    while step < plan.steps:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(plan, step)
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(step)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        keep = min(plan.ema, (1 + step) / (10 + step))
        for key, value in model.state_dict().items():
            if value.is_floating_point():
                average[key].lerp_(value, 1 - keep)
            else:
                average[key].copy_(value)
        smooth = loss.item() if smooth is None else 0.98 * smooth + 0.02 * loss.item()
        report(step, loss.item())
        if step % plan.save_every == 0 or step == plan.steps:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            _save(checkpoint, state | {"average": average, "step": step})
        yield Progress(stage, step, plan.steps, f"loss {smooth:.4f}")
    model.load_state_dict(average)
