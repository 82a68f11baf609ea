"""Where the variety of sampled pictures comes from: x_T, or the noise z of a step.

For Gaussian data of variance v the best prediction is known, the step of DDPM is affine, and what
x_T and each z add to the variance of the sample can be written down. Pictures are no Gaussian, but
along each of their principal components this is their part that the schedule decides: the model
has no say in it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Shares:
    """Variance of the samples by where it came from; of data with variance v, about v in sum."""

    x_T: float
    """From the first noise."""
    z: Tensor
    """From the noise of the step that leaves timestep t, [timesteps]; 0 at t = 0."""

    @property
    def total(self) -> float:
        """The variance of the samples: v, if the schedule ends in noise and has enough steps."""
        return self.x_T + float(self.z.sum())

    @property
    def of_x_T(self) -> float:
        """The share of the first noise in all variance, 0 to 1."""
        return self.x_T / max(self.total, 1e-300)


def variance_shares(alpha_bar: Tensor, variance: float) -> Shares:
    """What x_T ~ N(0, 1) and each z contribute to DDPM's samples of data with variance v.

    alpha_bar [timesteps]. The best guess of Gaussian data with mean 0 from x_t is
    E[x_0 | x_t] = sqrt(alpha_bar) v / (alpha_bar v + 1 - alpha_bar) x_t, so a step (Ho et al. 2020,
    eq. 6 and 7, the smaller variance) is x_{t-1} = a_t x_t + sigma_t z, and a noise that enters at
    t comes out multiplied by the a of all later steps.
    """
    if variance <= 0:
        raise ValueError(f"data have a variance above 0, not {variance}")
    a = alpha_bar.double()
    a_prev = torch.cat([torch.ones(1, dtype=a.dtype), a[:-1]])
    alpha = a / a_prev
    beta = 1 - alpha
    guess = a.sqrt() * variance / (a * variance + 1 - a)
    factor = a_prev.sqrt() * beta / (1 - a) * guess + alpha.sqrt() * (1 - a_prev) / (1 - a)
    sigma_squared = (1 - a_prev) / (1 - a) * beta
    squared = torch.cumprod(factor**2, 0)  # of leaving t, t-1, ... 0
    later = torch.cat([torch.ones(1, dtype=a.dtype), squared[:-1]])
    return Shares(float(squared[-1]), sigma_squared * later)


def principal_variances(pictures: Tensor) -> Tensor:
    """The variances of pictures [n, c, h, w] along their principal components, the largest first;
    as many as are above rounding, at most n - 1."""
    flat = pictures.double().flatten(1)
    centred = flat - flat.mean(0)
    values = torch.linalg.svdvals(centred) ** 2 / max(1, len(flat) - 1)
    return values[values > 1e-9 * values.max().clamp(min=1e-300)]


def expected_share_of_x_T(alpha_bar: Tensor, variances: Tensor) -> float:
    """The part of the samples' variance that comes from x_T, over all principal components.

    `variances` are those of the data; components are weighted by the variance that they come out
    with, so this is what the difference between two samples is made of.
    """
    shares = [variance_shares(alpha_bar, float(v)) for v in variances]
    return sum(one.x_T for one in shares) / max(sum(one.total for one in shares), 1e-300)
