"""Guidance by losses: every step's picture is moved down their gradients (docs/ddpm.md derives it).

With p(y | x_t) taken as exp(-scale L(x_0(x_t))), Bayes' rule adds -scale grad L to the score. The
gradient is that of the picture x_0 which the model sees in x_t, with the U-Net outside the graph:
through it costs twice the time and was no better. Each gradient is normalised, so that a scale
means the same for every loss, picture and size, and is taken for each picture alone.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ddpm.denoising import Guidance, Step
from ddpm.guides import Guide

FORMS: dict[str, Callable[[float], float]] = {
    "x0": lambda alpha_bar: 1.0,
    "eps": lambda alpha_bar: (1 - alpha_bar) / alpha_bar**0.5,
}
"""How far a gradient of unit length moves x_0, given alpha_bar_t.

x0: straight down the loss, equally at every step.
eps: Dhariwal & Nichol 2021 (arXiv:2105.05233), algorithm 2, eps + sqrt(1 - alpha_bar) scale grad,
in terms of x_0: far while there is noise, and not at all in the end.
"""
WEIGHTS: dict[str, Callable[[float], float]] = {
    "constant": lambda alpha_bar: 1.0,
    "noise": lambda alpha_bar: (1 - alpha_bar) ** 0.5,
    "picture": lambda alpha_bar: alpha_bar**0.5,
}
"""What the scale is multiplied by: as it is; the share of noise in x_t, so that the beginning is
led; the share of the picture, so that the end is."""


def unit_gradient(guide: Guide, pictures: Tensor) -> Tensor:
    """Each picture's gradient of the loss, [n, 3, h, w], its root mean square 1 (0 where it is 0).

    The losses are summed, since one picture's does not depend on another: their mean would divide
    the gradient by the number of pictures that happen to be drawn together.
    """
    with torch.enable_grad():
        inputs = pictures.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(guide(inputs).sum(), inputs)
    size = gradient.square().flatten(1).mean(1).sqrt().view(-1, 1, 1, 1)
    return gradient / size.clamp(min=torch.finfo(gradient.dtype).tiny)


def guided_by(
    guides: Sequence[tuple[Guide, float]], form: str = "x0", weight: str = "noise"
) -> Guidance | None:
    """Losses and their scales -> what `denoise` takes as `guidance`; None where no scale is above
    zero, so that nothing at all is changed.

    A scale of 0.1 moves the pixels of x_0 by a root mean square of 0.1 (of -1..1) at every step
    where form and weight are 1. A negative one leads away.
    """
    leading = [(guide, scale) for guide, scale in guides if scale]
    if not leading:
        return None

    def lead(step: Step) -> Tensor:
        pull = torch.zeros_like(step.x_0)
        for guide, scale in leading:
            pull += scale * unit_gradient(guide, step.x_0)
        return step.x_0 - FORMS[form](step.alpha_bar) * WEIGHTS[weight](step.alpha_bar) * pull

    return lead
