"""The optimizers of the word's rows, and the scaling that lets small fp16 gradients survive."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from schedulefree import AdamWScheduleFree
from torch import Tensor, nn

from inversion.config import Train

FIRST_SCALE, PATIENCE = 2.0**12, 200


def _adamw(rows: nn.Parameter, settings: Train) -> torch.optim.Optimizer:
    return torch.optim.AdamW([rows], weight_decay=settings.weight_decay)


def _schedule_free(rows: nn.Parameter, settings: Train) -> torch.optim.Optimizer:
    optimizer = AdamWScheduleFree([rows], weight_decay=settings.weight_decay)
    optimizer.train()
    return optimizer


OPTIMIZERS: dict[str, Callable[[nn.Parameter, Train], torch.optim.Optimizer]] = {
    "adamw": _adamw,
    "schedule_free": _schedule_free,
}


def make_optimizer(rows: nn.Parameter, settings: Train) -> torch.optim.Optimizer:
    """The optimizer that the settings name, for rows [n, d]. Its rate is set before each step."""
    return OPTIMIZERS[settings.optimizer](rows, settings)


def result(optimizer: torch.optim.Optimizer, rows: Tensor) -> Tensor:
    """A copy of the rows to measure, show and save: those that are trained, or for schedule_free
    the average x of its path, where rows are its y = (1 - beta1) z + beta1 x (Defazio et al. 2024,
    arXiv:2405.15682, eq. 1)."""
    kept = optimizer.state.get(optimizer.param_groups[0]["params"][0], {})
    if "z" not in kept:
        return rows.detach().clone()
    beta1 = optimizer.param_groups[0]["betas"][0]
    return rows.detach().lerp(kept["z"], 1 - 1 / beta1)


@contextmanager
def showing(rows: nn.Parameter, shown: Tensor) -> Iterator[None]:
    """Inside, the encoder uses the rows `shown`; afterwards the trained ones are there to the bit
    (schedulefree's own eval() and train() would move them by a rounding error)."""
    trained = rows.detach().clone()
    with torch.no_grad():
        rows.copy_(shown)
    try:
        yield
    finally:
        with torch.no_grad():
            rows.copy_(trained)


class LossScale:
    """The factor that keeps fp16's small gradients above zero (Micikevicius et al. 2018,
    arXiv:1710.03740, section 3.2): halved where a gradient overflows, and the step skipped; doubled
    after `PATIENCE` good steps. It is 1 and stays so for other dtypes."""

    def __init__(self, dtype: torch.dtype, value: float | None = None, good: int = 0):
        self.active = dtype == torch.float16
        self.value = (value or FIRST_SCALE) if self.active else 1.0
        self.good = good

    def unscale(self, gradient: Tensor) -> bool:
        """Divide the gradient by the factor; False where it overflowed, so that the step is to be
        skipped. A gradient that overflows at factor 1 is the caller's to refuse."""
        if not self.active:
            return True
        if self.value > 1 and not torch.isfinite(gradient).all():
            self.value, self.good = max(1.0, self.value / 2), 0
            return False
        gradient.div_(self.value)
        self.good += 1
        if self.good == PATIENCE:
            self.value, self.good = self.value * 2, 0
        return True
