"""The learning rate of every step: warm-up, schedule, and the cool-down at the end. No torch."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inversion.config import Train
    from inversion.stopping import Ending

Piece = tuple[float, int | None]  # a rate, and the step after which it ends; None: never


def parse(text: str) -> tuple[Piece, ...]:
    """AUTOMATIC1111's notation: `0.005:100, 1e-3:1000, 1e-5` is 0.005 for the first 100 steps,
    0.001 until step 1000, then 0.00001.

    Raises:
        ValueError: with a sentence, where it is something else.
    """
    pieces: list[Piece] = []
    for part in text.split(","):
        rate, colon, end = (word.strip() for word in part.partition(":"))
        try:
            piece = float(rate), int(end) if colon else None
        except ValueError:
            raise ValueError(
                f"learning_rate has {part.strip()!r}, not RATE:STEP as in '0.005:100, 1e-3'"
            ) from None
        if not 0 < piece[0] < math.inf:
            raise ValueError(f"learning_rate has the rate {rate}, which should be above 0")
        last = pieces[-1][1] if pieces else 0
        if last is None or (piece[1] is not None and piece[1] <= last):
            raise ValueError(f"learning_rate: the steps of {text!r} should rise, the last may lack")
        pieces.append(piece)
    return tuple(pieces)


def require_reach(pieces: Sequence[Piece], steps: int) -> None:
    """ValueError where the rates end before the training does."""
    last = pieces[-1][1]
    if last is not None and last < steps:
        raise ValueError(
            f"learning_rate ends at step {last}, but there are {steps} steps: "
            "add a last rate without a step"
        )


def learning_rate(settings: "Train", step: int, ending: "Ending | None" = None) -> float:
    """The rate of step 0, 1, ...; over the `ending` it falls in a straight line to zero."""
    rate = _scheduled(settings, step)
    if settings.warmup:
        rate *= min(1.0, (step + 1) / settings.warmup)
    if ending is not None and step >= ending.first:
        rate *= 1 - (step - ending.first + 1) / (ending.count + 1)
    return rate


def _scheduled(settings: "Train", step: int) -> float:
    if isinstance(settings.learning_rate, str):
        pieces = parse(settings.learning_rate)
        return next(rate for rate, end in pieces if end is None or step < end)
    if settings.schedule == "cosine":
        return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * step / settings.steps))
    return settings.learning_rate
