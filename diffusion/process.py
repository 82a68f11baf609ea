"""The diffusion process: pictures to noise, one step back, and the three ways to name a prediction.

Ho et al. 2020 (DDPM, arXiv:2006.11239), Song et al. 2021 (DDIM, arXiv:2010.02502), Salimans & Ho
2022 (v-prediction, arXiv:2202.00512). Pictures, latents and noise are [B, ...]; alpha_bar and
sigma are one number, or one per picture as a tensor [B].
"""

import torch
from torch import Tensor


def _per_picture(value: Tensor | float, like: Tensor) -> Tensor:
    value = torch.as_tensor(value, dtype=like.dtype, device=like.device)
    return value.reshape(-1, *[1] * (like.ndim - 1)) if value.ndim else value


def q_sample(x_0: Tensor, eps: Tensor, alpha_bar: Tensor | float) -> Tensor:
    """x_t given x_0 and unit noise eps (DDPM, eq. 4)."""
    a = _per_picture(alpha_bar, x_0)
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps


def x_0_from_eps(x_t: Tensor, eps: Tensor, alpha_bar: Tensor | float) -> Tensor:
    """The picture that a prediction of the noise implies (DDIM, eq. 9)."""
    a = _per_picture(alpha_bar, x_t)
    return (x_t - (1 - a).sqrt() * eps) / a.sqrt()


def eps_from_x_0(x_t: Tensor, x_0: Tensor, alpha_bar: Tensor | float) -> Tensor:
    """The noise that a prediction of the picture implies (eq. 4 of DDPM, solved for eps)."""
    a = _per_picture(alpha_bar, x_t)
    return (x_t - a.sqrt() * x_0) / (1 - a).sqrt()


def v_from_x_0_and_eps(x_0: Tensor, eps: Tensor, alpha_bar: Tensor | float) -> Tensor:
    """v = alpha eps - sigma x_0 (Salimans & Ho 2022, section 4), alpha = sqrt(alpha_bar)."""
    a = _per_picture(alpha_bar, x_0)
    return a.sqrt() * eps - (1 - a).sqrt() * x_0


def x_0_from_v(x_t: Tensor, v: Tensor, alpha_bar: Tensor | float) -> Tensor:
    """x_0 = alpha x_t - sigma v (Salimans & Ho 2022, appendix D)."""
    a = _per_picture(alpha_bar, x_t)
    return a.sqrt() * x_t - (1 - a).sqrt() * v


def eps_from_v(x_t: Tensor, v: Tensor, alpha_bar: Tensor | float) -> Tensor:
    """eps = alpha v + sigma x_t (Salimans & Ho 2022, appendix D)."""
    a = _per_picture(alpha_bar, x_t)
    return a.sqrt() * v + (1 - a).sqrt() * x_t


def predicted_x_0(
    x_t: Tensor, prediction: Tensor, alpha_bar: Tensor | float, prediction_type: str = "epsilon"
) -> Tensor:
    """The picture that a model's output implies; prediction_type as in diffusers' schedulers."""
    if prediction_type == "epsilon":
        return x_0_from_eps(x_t, prediction, alpha_bar)
    if prediction_type == "v_prediction":
        return x_0_from_v(x_t, prediction, alpha_bar)
    if prediction_type == "sample":
        return prediction
    raise ValueError(f"{prediction_type} is not a prediction: epsilon, v_prediction or sample")


def p_sample(
    x_t: Tensor,
    x_0: Tensor,
    alpha_bar: Tensor | float,
    alpha_bar_prev: Tensor | float,
    noise: Tensor,
    *,
    large_variance: bool = False,
) -> Tensor:
    """Step x_t to x_{t-1} by the posterior q(x_{t-1} | x_t, x_0) (DDPM, eq. 6 and 7).

    x_0 is the model's guess. The variance is the posterior's, right for data that are one point, or
    with `large_variance` beta_t, right for data that are unit noise (section 3.2). With
    alpha_bar_prev = 1, the last step, there is none.
    """
    a, a_prev = _per_picture(alpha_bar, x_t), _per_picture(alpha_bar_prev, x_t)
    alpha = a / a_prev
    beta = 1 - alpha
    mean = (a_prev.sqrt() * beta * x_0 + alpha.sqrt() * (1 - a_prev) * x_t) / (1 - a)
    variance = beta * (a_prev < 1) if large_variance else (1 - a_prev) / (1 - a) * beta
    return mean + variance.sqrt() * noise


def ddim_step(
    x_t: Tensor,
    eps: Tensor,
    alpha_bar: Tensor | float,
    alpha_bar_prev: Tensor | float,
    sigma: Tensor | float,
    noise: Tensor,
) -> Tensor:
    """Step x_t to x_{t-1} (DDIM, eq. 12; their alpha is our alpha_bar). sigma = 0: no
    randomness."""
    a_prev, deviation = _per_picture(alpha_bar_prev, x_t), _per_picture(sigma, x_t)
    direction = (1 - a_prev - deviation**2).sqrt() * eps
    return a_prev.sqrt() * x_0_from_eps(x_t, eps, alpha_bar) + direction + deviation * noise
