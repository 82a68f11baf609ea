"""Rules of guidance: pure functions of two predictions and one scale per picture."""

import torch
from torch import Tensor


def guide(eps_uncond: Tensor, eps_cond: Tensor, guidance_scale: Tensor) -> Tensor:
    """Classifier-free guidance: eps_uncond + s (eps_cond - eps_uncond), one scale s per picture.

    Ho & Salimans 2022 (arXiv:2207.12598), eq. 6, (1 + w) eps_cond - w eps_uncond, with s = 1 + w.
    Predictions [B, ...], scales [B]. `torch.lerp` leaves from the nearer end, so the result is
    exactly eps_uncond at s = 0 and exactly eps_cond at s = 1; the plain formula is only nearly
    eps_cond there.
    """
    scale = guidance_scale.to(eps_cond).reshape(-1, *[1] * (eps_cond.ndim - 1))
    return torch.lerp(eps_uncond, eps_cond, scale)
