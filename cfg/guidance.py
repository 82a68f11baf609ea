"""Rules of guidance: pure functions of two predictions, a scale for each picture, and the step.

A prediction is what the model says at a step, [B, C, h, w]; "with" is under the prompt, "without"
under the negative prompt, which is empty unless one is given: s = 0 draws what the latter says. The
equations are written for predicted noise; where a rule works on the picture x_0 that a prediction
implies, it works for the other prediction types as well. No number of a picture's result depends on
the pictures beside it: what is summed over a picture is summed for each picture alone, because a
sum over a batch may be taken in another order.

A new rule is a function here, a line in RULES and a name in `cfg.config.RuleName`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cfg.config import Rule, RuleName, ScheduleName
from diffusion.process import predicted_x_0

PLAIN = Rule()


@dataclass(frozen=True)
class State:
    """What a rule may know of the step, beside the predictions and the scales."""

    x_t: Tensor
    """The latents that the predictions were made of, of the variance that the model expects."""
    alpha_bar: float
    """Share of the picture in the variance of x_t."""
    prediction_type: str = "epsilon"
    """What the model predicts: epsilon, v_prediction or sample."""
    memory: Tensor | None = None
    """What the rule wanted to be told again at this step; None at the first."""


@dataclass(frozen=True)
class Guided:
    """What a rule makes of two predictions."""

    eps: Tensor
    """The prediction that implies the picture of this step."""
    renoise: Tensor | None = None
    """The prediction whose noise is put back on that picture; None: that of `eps`."""
    memory: Tensor | None = None
    """For the same rule at the next step."""


def guide(eps_uncond: Tensor, eps_cond: Tensor, guidance_scale: Tensor) -> Tensor:
    """Classifier-free guidance: eps_uncond + s (eps_cond - eps_uncond), one scale s per picture.

    Ho & Salimans 2022 (arXiv:2207.12598), eq. 6, (1 + w) eps_cond - w eps_uncond, with s = 1 + w.
    Predictions [B, ...], scales [B]. `torch.lerp` leaves from the nearer end, so the result is
    exactly eps_uncond at s = 0 and exactly eps_cond at s = 1; the plain formula is only nearly
    eps_cond there.
    """
    scale = guidance_scale.to(eps_cond).reshape(-1, *[1] * (eps_cond.ndim - 1))
    return torch.lerp(eps_uncond, eps_cond, scale)


def plain(eps_uncond: Tensor, eps_cond: Tensor, scale: Tensor, rule: Rule, state: State) -> Guided:
    """`guide` and nothing else."""
    return Guided(guide(eps_uncond, eps_cond, scale))


def rescale(
    eps_uncond: Tensor, eps_cond: Tensor, scale: Tensor, rule: Rule, state: State
) -> Guided:
    """Guidance with the spread of the conditional prediction.

    Lin et al. 2023 (arXiv:2305.08891), eq. 14-16: eps_rescaled = eps std(eps_cond) / std(eps), and
    phi eps_rescaled + (1 - phi) eps; phi = 0.7 there. Exactly eps_cond at s = 1; at s = 0 the
    unconditional prediction with the spread of the other.
    """
    eps = guide(eps_uncond, eps_cond, scale)
    ratio = _each(lambda cond, guided: cond.std() / guided.std(), eps_cond, eps)
    return Guided(torch.lerp(eps, eps * ratio, rule.phi))


def zero_star(
    eps_uncond: Tensor, eps_cond: Tensor, scale: Tensor, rule: Rule, state: State
) -> Guided:
    """Guidance away from the unconditional prediction as far as the conditional one contains it.

    Fan et al. 2025 (CFG-Zero*, arXiv:2503.18886), eq. 8 and 9: (1 - s) s* eps_uncond + s eps_cond,
    s* = <eps_cond, eps_uncond> / |eps_uncond|^2. Their other half, no movement in the first steps,
    is made for flows and is left out: a predicted noise of zero is no prediction of a still
    picture. Exactly eps_cond at s = 1.
    """
    best = _each(
        lambda cond, uncond: _dot(cond, uncond) / _dot(uncond, uncond), eps_cond, eps_uncond
    )
    return Guided(guide(best * eps_uncond, eps_cond, scale))


def apg(eps_uncond: Tensor, eps_cond: Tensor, scale: Tensor, rule: Rule, state: State) -> Guided:
    """Adaptive projected guidance: less of what is parallel to the picture, which saturates it.

    Sadat et al. 2024 (arXiv:2410.02416), algorithm 1, on pictures D = x_0: the direction
    d = D_cond - D_uncond + momentum d_before, shortened to at most `largest`, is split into its
    part parallel to D_cond and the rest; D = D_cond + (s - 1) (d_rest + eta d_parallel). Exactly
    eps_cond at s = 1 and continuous there. With eta = 1, no momentum and no limit it is `plain`.
    """
    direction = _as_picture(eps_cond - eps_uncond, state)
    if state.memory is not None:
        direction = direction + rule.momentum * state.memory
    memory = direction
    if rule.largest is not None:
        limit = rule.largest
        short = _each(lambda d: (limit / d.square().mean().sqrt()).clamp(max=1), direction)
        direction = short * direction
    picture = predicted_x_0(state.x_t, eps_cond, state.alpha_bar, state.prediction_type)
    share = _each(lambda d, p: _dot(d, p) / _dot(p, p), direction, picture)
    parallel = share * picture
    update = (direction - parallel) + rule.eta * parallel
    strength = (scale - 1).to(update).reshape(-1, 1, 1, 1)
    return Guided(eps_cond + _as_prediction(strength * update, state), memory=memory)


def cfg_plus_plus(
    eps_uncond: Tensor, eps_cond: Tensor, scale: Tensor, rule: Rule, state: State
) -> Guided:
    """A guided picture, noised again without guidance; the scale is their lambda, from 0 to 1.

    Chung et al. 2024 (CFG++, arXiv:2406.08070), algorithm 2 (DDIM): x_0 of eps_uncond + lambda
    (eps_cond - eps_uncond), then sqrt(alpha_bar_prev) x_0 + sqrt(1 - alpha_bar_prev) eps_uncond. At
    0 it is the unconditional run; 1 is strong already, and no conditional run.
    """
    return Guided(guide(eps_uncond, eps_cond, scale), renoise=eps_uncond)


def threshold(
    eps_uncond: Tensor, eps_cond: Tensor, scale: Tensor, rule: Rule, state: State
) -> Guided:
    """Guidance whose picture keeps the range of the conditional picture.

    Saharia et al. 2022 (Imagen, arXiv:2205.11487), section 2.3, dynamic thresholding: with q the
    percentile of |x_0|, x_0 is clipped to [-q, q] and divided by q, if q is above the range of
    pixels, 1. Latents have no such range: the percentile of the conditional |x_0| takes its place.
    At s = 1 only what is beyond that percentile is clipped; with percentile 1, nothing.
    """
    eps = guide(eps_uncond, eps_cond, scale)
    x_0, natural = (
        predicted_x_0(state.x_t, e, state.alpha_bar, state.prediction_type) for e in (eps, eps_cond)
    )

    def reach(picture: Tensor) -> Tensor:
        return picture.abs().flatten().quantile(rule.percentile)

    allowed = _each(reach, natural)
    limit = torch.maximum(_each(reach, x_0), allowed)
    kept = torch.minimum(torch.maximum(x_0, -limit), limit) * (allowed / limit)
    return Guided(eps + _as_prediction(kept - x_0, state))


@dataclass(frozen=True)
class Formula:
    """A rule's function, and at which scales it needs only one of the predictions."""

    function: Callable[[Tensor, Tensor, Tensor, Rule, State], Guided]
    uncond_alone_at_0: bool = False
    cond_alone_at_1: bool = True


RULES: dict[RuleName, Formula] = {
    "plain": Formula(plain, uncond_alone_at_0=True),
    "rescale": Formula(rescale),
    "apg": Formula(apg),
    "cfg++": Formula(cfg_plus_plus, uncond_alone_at_0=True, cond_alone_at_1=False),
    "zero_star": Formula(zero_star),
    "threshold": Formula(threshold),
}
SCHEDULES: dict[ScheduleName, Callable[[float], float]] = {
    # of the share of steps done, 0 at the first and 1 at the last; 1 on average
    "constant": lambda done: 1.0,
    "linear": lambda done: 2 * done,
    "cosine": lambda done: 1 - math.cos(math.pi * done),
    "falling": lambda done: 2 * (1 - done),
}


def strength(rule: Rule, index: int, total: int, alpha_bar: float) -> float:
    """The factor of s - 1 at step `index` of `total`; 0: every picture follows the prompt plainly.

    Schedules: Wang et al. 2024 (arXiv:2404.13040), section 4, for their w = s - 1. Interval:
    Kynkäänniemi et al. 2024 (arXiv:2404.07724), eq. 5, guidance where sigma_low < sigma <=
    sigma_high, with sigma = sqrt((1 - alpha_bar) / alpha_bar); 0.28 to 5.42 for SD-XL there.
    """
    if rule.interval is not None:
        sigma = math.sqrt((1 - alpha_bar) / alpha_bar)
        if not rule.interval[0] < sigma <= rule.interval[1]:
            return 0.0
    return SCHEDULES[rule.schedule](index / (total - 1) if total > 1 else 0.5)


def scale_at(scale: Tensor, strength: float) -> Tensor:
    """1 + strength (s - 1), exactly s at strength 1 and exactly 1 at strength 0."""
    return torch.lerp(torch.ones_like(scale), scale, strength)


def needed(rule: Rule, scale: float) -> tuple[bool, bool]:
    """Whether a picture at `scale` needs the prediction with the prompt, and the one without.

    Where it needs one of them only, that one may stand in the other's place as well: the result is
    the same, bit by bit.
    """
    formula = RULES[rule.name]
    return not (formula.uncond_alone_at_0 and scale == 0), not (
        formula.cond_alone_at_1 and scale == 1
    )


def most_needed(rule: Rule, scale: float) -> int:
    """How many predictions a picture of this final scale needs at most at a step: 1 or 2."""
    constant = rule.schedule == "constant" and rule.interval is None
    return sum(needed(rule, scale)) if constant or scale == 1 else 2


def combine(
    rule: Rule, eps_uncond: Tensor, eps_cond: Tensor, scale: Tensor, state: State
) -> Guided:
    """Apply a rule by its name; scales [B] are those of this step."""
    return RULES[rule.name].function(eps_uncond, eps_cond, scale, rule, state)


def _each(function: Callable[..., Tensor], *batches: Tensor) -> Tensor:
    """A number for each picture, [B, 1, 1, 1], computed of it alone."""
    numbers = [function(*pictures) for pictures in zip(*batches, strict=True)]
    return torch.stack(numbers).reshape(-1, 1, 1, 1)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum()


def _as_picture(change: Tensor, state: State) -> Tensor:
    """What a change of the prediction changes of x_0; see `diffusion.process.predicted_x_0`."""
    a = state.alpha_bar
    if state.prediction_type == "epsilon":
        return -math.sqrt((1 - a) / a) * change
    return -math.sqrt(1 - a) * change if state.prediction_type == "v_prediction" else change


def _as_prediction(change: Tensor, state: State) -> Tensor:
    """The change of the prediction that changes x_0 so."""
    a = state.alpha_bar
    if state.prediction_type == "epsilon":
        return -math.sqrt(a / (1 - a)) * change
    return -change / math.sqrt(1 - a) if state.prediction_type == "v_prediction" else change
