"""Classifier-free guidance is the paper's formula, and exact where it must be."""

import pytest
import torch
from diffusers.guiders import ClassifierFreeGuidance

from cfg.guidance import guide


@pytest.fixture
def predictions():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 5, 4, 8, 8, generator=generator).unbind()


@pytest.mark.parametrize("w", [-1.0, -0.5, 0.0, 2.0, 6.5, 29.0])
def test_guidance_matches_the_paper(predictions, w):
    eps_uncond, eps_cond = predictions
    expected = (1 + w) * eps_cond - w * eps_uncond  # Ho & Salimans 2022, eq. 6
    guided = guide(eps_uncond, eps_cond, torch.full((5,), 1 + w))
    torch.testing.assert_close(guided, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scale", [-2.0, 0.5, 1.5, 7.5, 20.0])
def test_guidance_is_that_of_diffusers(predictions, scale):
    eps_uncond, eps_cond = predictions
    ours = guide(eps_uncond, eps_cond, torch.full((5,), scale))
    for guider in (
        ClassifierFreeGuidance(guidance_scale=scale),
        ClassifierFreeGuidance(guidance_scale=scale - 1, use_original_formulation=True),
    ):
        theirs = guider.forward(pred_cond=eps_cond, pred_uncond=eps_uncond).pred
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_both_ends_are_exact_even_where_the_plain_formula_is_not(predictions):
    eps_uncond, eps_cond = predictions[0] * 1e4, predictions[1]
    assert not torch.equal(eps_uncond + 1.0 * (eps_cond - eps_uncond), eps_cond)
    assert torch.equal(guide(eps_uncond, eps_cond, torch.zeros(5)), eps_uncond)
    assert torch.equal(guide(eps_uncond, eps_cond, torch.ones(5)), eps_cond)


def test_each_picture_has_its_own_scale(predictions):
    eps_uncond, eps_cond = predictions
    scales = torch.tensor([0.0, 1.0, -3.0, 0.3, 12.0])
    together = guide(eps_uncond, eps_cond, scales)
    for i in range(5):
        alone = guide(eps_uncond[i : i + 1], eps_cond[i : i + 1], scales[i : i + 1])
        assert torch.equal(together[i : i + 1], alone)


def test_guidance_is_affine_in_the_scale(predictions):
    eps_uncond, eps_cond = (part.double() for part in predictions)
    at = {s: guide(eps_uncond, eps_cond, torch.full((5,), s)) for s in (0.2, 4.0, 7.8)}
    torch.testing.assert_close((at[0.2] + at[7.8]) / 2, at[4.0], rtol=1e-6, atol=1e-6)
