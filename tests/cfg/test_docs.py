"""The documentation's commands: the toy of guidance, and what the claims are tested by."""

import numpy as np
import pytest
import torch

from cfg.analysis import Measured
from cfg.cells import Line
from cfg.config import Rule


@pytest.fixture(scope="module")
def figures(script):
    return script("figures")


def test_the_toys_predictions_contain_the_classifier_of_bayes_rule(figures):
    """Equation (4): eps_uncond - eps_cond is the slope of log p(c | x_t), up to the noise level."""
    alpha_bar = torch.tensor(0.4, dtype=torch.float64)
    x = torch.linspace(-2, 3, 41, dtype=torch.float64).requires_grad_()
    whole, wanted = figures.everything().double(), figures.WANTED.double()
    share = len(wanted) / len(whole)
    posterior = (  # log p(c | x_t) = log p(x_t | c) + log p(c) - log p(x_t)
        figures.log_density(x, wanted, alpha_bar)
        + np.log(share)
        - figures.log_density(x, whole, alpha_bar)
    )
    assert (posterior.exp() <= 1 + 1e-9).all()
    (slope,) = torch.autograd.grad(posterior.sum(), x)
    uncond, cond = (figures.eps_of(x, c, alpha_bar) for c in (whole, wanted))
    expected = (uncond - cond) / (1 - alpha_bar).sqrt()
    torch.testing.assert_close(slope, expected.detach())


@pytest.mark.parametrize(("scale", "centres"), [(0.0, "everything"), (1.0, "wanted")])
def test_at_0_and_1_the_toy_draws_its_densities(figures, scale, centres):
    drawn = figures.sampled(scale, count=4000)
    whole = figures.everything() if centres == "everything" else figures.WANTED
    assert drawn.mean() == pytest.approx(whole.mean().item(), abs=0.08)
    spread = float(np.sqrt(whole.var(unbiased=False) + figures.SPREAD**2))
    assert drawn.std() == pytest.approx(spread, rel=0.06)


def test_claims_are_measured_by_what_they_say(script):
    claims = script("claims")
    scales = np.arange(0, 20.5, 0.5)
    middles = (scales[1:] + scales[:-1]) / 2

    def measured(speed, recognised=None):
        still = np.zeros(len(scales))
        line = Line("a", "a", "", None, 0, Rule(), 2, "ddim")
        return Measured(
            line, (), scales, still[1:], speed(middles) / 2, None, still, {}, None, recognised, None
        )

    even = measured(lambda s: np.full(len(s), 3.0))
    assert claims.excess(even, 4.0) == pytest.approx(1)
    assert claims.speed_between(even, 4, 10) == pytest.approx(3)
    jump = measured(lambda s: np.where(np.abs(s - 4) < 0.5, 12.0, 3.0))
    assert claims.excess(jump, 4.0) == pytest.approx(4)
    assert claims.excess(jump, 1.0) == pytest.approx(1)
    assert claims.turned(measured(np.ones_like, np.where(scales < 1.2, 0.1, 0.9))) == 1.5
    assert claims.turned(measured(np.ones_like, np.where(scales == 20, 0.1, 0.9))) is None
    assert claims.turned(even) is None
