"""When is it enough? Rules that look at the deterministic objective, measured every few steps."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from inversion.config import Stop, Train

FEWEST = 4  # measurements before any rule is asked


@dataclass(frozen=True)
class Measured:
    """The objective after `step` steps, and the same loss on pictures that are not trained on."""

    step: int
    objective: float
    held_out: float | None = None
    seconds: float = field(default=0.0, compare=False)
    """What it cost."""

    @property
    def judged(self) -> float:
        """What chooses the best word: the held-out loss where there is one."""
        return self.objective if self.held_out is None else self.held_out


def plateau(steps: np.ndarray, values: np.ndarray, settings: Stop) -> bool:
    """Whether the last `window` of the steps brought less than `tolerance` of the whole gain.

    Gains are those of the best value so far, so a bad measurement neither ends nor prolongs
    anything. The rule has no unit: it does not depend on the size of the loss, nor on how fast
    training goes.
    """
    best = np.minimum.accumulate(values)
    before = best[steps <= steps[-1] * (1 - settings.window)][-1]
    gain = best[0] - best[-1]
    return bool(gain > 0 and before - best[-1] < settings.tolerance * gain)


def dvar(steps: np.ndarray, values: np.ndarray, settings: Stop) -> bool:
    """Whether Var(last `window`) < `tolerance` Var(all) (Voronov et al. 2023, arXiv:2302.04841,
    section 3.3; their window is a number of steps, ours a share of them)."""
    recent = values[steps >= steps[-1] * (1 - settings.window)]
    return bool(np.var(values) > 0 and np.var(recent) < settings.tolerance * np.var(values))


RULES: dict[str, Callable[[np.ndarray, np.ndarray, Stop], bool]] = {
    "plateau": plateau,
    "dvar": dvar,
    "never": lambda steps, values, settings: False,
}


def is_enough(history: Sequence[Measured], settings: Stop) -> bool:
    """Whether the rule says so at the newest measurement, and said so at those just before it that
    `patience` asks for. `history` begins at step 0."""
    return all(_says_so(history[: len(history) - k], settings) for k in range(settings.patience))


def _says_so(history: Sequence[Measured], settings: Stop) -> bool:
    if len(history) < FEWEST or history[-1].step < settings.earliest:
        return False
    steps = np.array([measured.step for measured in history])
    values = np.array([measured.objective for measured in history])
    return RULES[settings.rule](steps, values, settings)


@dataclass(frozen=True)
class Ending:
    """The last steps of a training: the rate falls from step number `first` (from 0) on, over
    `count` steps."""

    first: int
    count: int

    @property
    def last(self) -> int:
        """The number of steps of the whole training."""
        return self.first + self.count


def planned_ending(train: Train, stop: Stop) -> Ending:
    """The ending when no rule speaks: cool-down in the last of `train.steps`, if the rate does not
    fall anyway."""
    falls = train.schedule == "cosine" or isinstance(train.learning_rate, str)
    share = 0.0 if falls or train.optimizer == "schedule_free" else stop.cooldown
    count = math.floor(train.steps * share / (1 + share))
    return Ending(train.steps - count, count)


def early_ending(step: int, train: Train, stop: Stop) -> Ending:
    """The ending when the rule speaks after `step` steps."""
    share = 0.0 if train.optimizer == "schedule_free" else stop.cooldown
    return Ending(step, min(math.ceil(step * share), train.steps - step))


def how_it_ended(facts: Mapping[str, Any]) -> str:
    """One sentence of learned.json: when training ended and why, and which step was best."""
    word, steps, best = facts["word"], facts["steps"], facts["best_step"]
    first, last = facts["history"][0], facts["history"][-1]
    at_best = next(line for line in facts["history"] if line[0] == best)
    gain = f"the objective fell from {first[1]:.4f} to {at_best[1]:.4f}"
    if facts["stopped"] is not None:
        why = f"{word}: enough after step {facts['stopped']} of {facts['planned']}"
        why += f", ended with step {steps}" if steps > facts["stopped"] else ""
    else:
        why = f"{word}: all {steps} steps"
    sentence = f"{why}; the best is step {best} ({gain})"
    if at_best[1] >= first[1]:
        sentence += "; it learned nothing: lower inversion.train.learning_rate"
    elif last[2] is not None and last[2] > at_best[2]:
        sentence += "; after it the pictures held out got worse, it began to learn by heart"
    return sentence
