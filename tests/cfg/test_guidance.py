"""Each rule is its paper's equation, exact where it must be, and sees one picture at a time."""

import math
import typing

import pytest
import torch
from diffusers.guiders import ClassifierFreeGuidance

from cfg.config import Rule, RuleName, ScheduleName
from cfg.guidance import (
    RULES,
    SCHEDULES,
    State,
    combine,
    guide,
    most_needed,
    needed,
    scale_at,
    strength,
)
from diffusion.process import predicted_x_0

RULES_TO_TRY = [
    Rule(),
    Rule(name="rescale"),
    Rule(name="apg"),
    Rule(name="apg", eta=0.5, largest=None),
    Rule(name="cfg++"),
    Rule(name="zero_star"),
    Rule(name="threshold", percentile=0.9),
]
TYPES = ("epsilon", "v_prediction", "sample")


@pytest.fixture
def predictions():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 5, 4, 8, 8, generator=generator).unbind()


def state(count=5, prediction_type="epsilon", memory=None):
    generator = torch.Generator().manual_seed(1)
    x_t = torch.randn(count, 4, 8, 8, generator=generator)
    return State(x_t, 0.3, prediction_type, memory)


def apply(rule, predictions, *scales, **about):
    eps_uncond, eps_cond = predictions
    return combine(rule, eps_uncond, eps_cond, torch.tensor(scales), state(**about))


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


@pytest.mark.parametrize("phi", [0.0, 0.7, 1.0])
def test_rescaling_is_that_of_diffusers(predictions, phi):
    eps_uncond, eps_cond = predictions
    ours = apply(Rule(name="rescale", phi=phi), predictions, *[6.0] * 5).eps
    guider = ClassifierFreeGuidance(guidance_scale=6.0, guidance_rescale=phi)
    theirs = guider.forward(pred_cond=eps_cond, pred_uncond=eps_uncond).pred
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_both_ends_are_exact_even_where_the_plain_formula_is_not(predictions):
    eps_uncond, eps_cond = predictions[0] * 1e4, predictions[1]
    assert not torch.equal(eps_uncond + 1.0 * (eps_cond - eps_uncond), eps_cond)
    assert torch.equal(guide(eps_uncond, eps_cond, torch.zeros(5)), eps_uncond)
    assert torch.equal(guide(eps_uncond, eps_cond, torch.ones(5)), eps_cond)


def test_guidance_is_affine_in_the_scale(predictions):
    eps_uncond, eps_cond = (part.double() for part in predictions)
    at = {s: guide(eps_uncond, eps_cond, torch.full((5,), s)) for s in (0.2, 4.0, 7.8)}
    torch.testing.assert_close((at[0.2] + at[7.8]) / 2, at[4.0], rtol=1e-6, atol=1e-6)


# --- laws of every rule


@pytest.mark.parametrize("rule", RULES_TO_TRY, ids=str)
@pytest.mark.parametrize("prediction_type", TYPES)
def test_each_picture_has_its_own_scale_and_sees_no_other_picture(
    predictions, rule, prediction_type
):
    scales = torch.tensor([0.0, 1.0, -3.0, 0.3, 12.0])
    memory = predictions[1].flip(0)
    whole = state(prediction_type=prediction_type, memory=memory)
    together = combine(rule, *predictions, scales, whole)
    for i in range(5):
        one = slice(i, i + 1)
        alone = combine(
            rule, predictions[0][one], predictions[1][one], scales[one],
            State(whole.x_t[one], whole.alpha_bar, prediction_type, memory[one]),
        )  # fmt: skip
        assert torch.equal(together.eps[one], alone.eps)


@pytest.mark.parametrize("rule", RULES_TO_TRY, ids=str)
@pytest.mark.parametrize("prediction_type", TYPES)
@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_a_prediction_that_is_not_needed_changes_no_bit(predictions, rule, prediction_type, scale):
    """Where a rule says that it needs one prediction, that one may stand for both."""
    eps_uncond, eps_cond = predictions
    with_prompt, without = needed(rule, scale)
    if with_prompt and without:
        return
    only = eps_cond if with_prompt else eps_uncond
    both = apply(rule, predictions, *[scale] * 5, prediction_type=prediction_type)
    single = apply(rule, (only, only), *[scale] * 5, prediction_type=prediction_type)
    assert torch.equal(both.eps, single.eps)
    if rule.name != "threshold":  # which clips outliers at every scale
        assert torch.equal(both.eps, only)


@pytest.mark.parametrize("rule", RULES_TO_TRY, ids=str)
@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 7.5])
def test_a_little_more_scale_is_a_little_other_prediction(predictions, rule, scale):
    """Continuity; diffusers' APG jumps at s = 1."""
    here = apply(rule, predictions, *[scale] * 5).eps
    for step in (1e-3, -1e-3):
        near = apply(rule, predictions, *[scale + step] * 5).eps
        assert (near - here).abs().max() < 0.02
        assert not torch.equal(near, here)


def test_every_rule_and_schedule_that_can_be_named_is_there():
    assert set(typing.get_args(RuleName)) == set(RULES)
    assert set(typing.get_args(ScheduleName)) == set(SCHEDULES)


# --- the papers


def test_rescaled_predictions_have_the_spread_of_the_conditional_one(predictions):
    eps = apply(Rule(name="rescale", phi=1.0), predictions, *[9.0] * 5).eps
    torch.testing.assert_close(eps.std((1, 2, 3)), predictions[1].std((1, 2, 3)))


def test_zero_star_is_the_best_multiple_of_the_unconditional_prediction(predictions):
    """s* minimises |eps_cond - s* eps_uncond| (Fan et al. 2025, eq. 9): the rest is orthogonal."""
    eps_uncond, eps_cond = (part.double() for part in predictions)
    scale = torch.full((5,), 3.0, dtype=torch.float64)
    eps = combine(Rule(name="zero_star"), eps_uncond, eps_cond, scale, state()).eps
    start = (3 * eps_cond - eps) / 2  # what eps = (1 - s) start + s eps_cond says of start
    rest = eps_cond - start
    assert (rest * eps_uncond).sum((1, 2, 3)).abs().max() < 1e-9
    parallel = start / eps_uncond
    torch.testing.assert_close(parallel, parallel[:, :1, :1, :1].expand_as(parallel))


@pytest.mark.parametrize("prediction_type", TYPES)
def test_apg_without_its_three_changes_is_plain_guidance(predictions, prediction_type):
    rule = Rule(name="apg", eta=1.0, momentum=0.0, largest=None)
    ours = apply(rule, predictions, *[7.0] * 5, prediction_type=prediction_type).eps
    expected = guide(*predictions, torch.full((5,), 7.0))
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("prediction_type", TYPES)
def test_apg_moves_orthogonally_to_the_conditional_picture(predictions, prediction_type):
    def picture(eps):
        at = state(prediction_type=prediction_type)
        return predicted_x_0(at.x_t, eps, at.alpha_bar, prediction_type)

    rule = Rule(name="apg", momentum=0.0, largest=None)
    guided = apply(rule, predictions, *[7.0] * 5, prediction_type=prediction_type).eps
    conditional = picture(predictions[1])
    change = picture(guided) - conditional
    cosine = torch.cosine_similarity(change.flatten(1), conditional.flatten(1))
    assert cosine.abs().max() < 1e-4
    assert change.norm() > 1


def test_apg_shortens_its_direction_and_remembers_it(predictions):
    rule = Rule(name="apg", eta=1.0, largest=0.01, momentum=-0.5)
    first = apply(rule, predictions, *[2.0] * 5)
    at = state()
    change = predicted_x_0(at.x_t, first.eps, 0.3) - predicted_x_0(at.x_t, predictions[1], 0.3)
    torch.testing.assert_close(
        change.square().mean((1, 2, 3)).sqrt(), torch.full((5,), 0.01), rtol=1e-3, atol=1e-5
    )
    assert first.memory is not None
    second = apply(rule, predictions, *[2.0] * 5, memory=first.memory)
    torch.testing.assert_close(second.memory, 0.5 * first.memory, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scale", [0.0, 1.0, 14.0])
def test_thresholding_keeps_the_reach_of_the_conditional_picture(predictions, scale):
    rule, at = Rule(name="threshold", percentile=0.9), state()
    natural = predicted_x_0(at.x_t, predictions[1], 0.3).abs().flatten(1).quantile(0.9, dim=1)
    kept = predicted_x_0(at.x_t, apply(rule, predictions, *[scale] * 5).eps, 0.3)
    assert (kept.abs().amax((1, 2, 3)) <= natural * 1.001).all()
    everything = Rule(name="threshold", percentile=1.0)
    assert torch.equal(apply(everything, predictions, *[1.0] * 5).eps, predictions[1])


# --- the scale over the steps


def test_schedules_are_one_on_average_and_exact_where_they_are_zero_or_one():
    for name in SCHEDULES:
        rule = Rule(schedule=name)
        assert sum(strength(rule, k, 101, 0.5) for k in range(101)) == pytest.approx(101)
    assert strength(Rule(schedule="linear"), 0, 25, 0.5) == 0
    assert strength(Rule(schedule="linear"), 24, 25, 0.5) == 2
    assert strength(Rule(schedule="falling"), 24, 25, 0.5) == 0
    scales = torch.tensor([0.0, 1.0, 0.02, 7.3])
    assert torch.equal(scale_at(scales, 1.0), scales)
    assert torch.equal(scale_at(scales, 0.0), torch.ones(4))
    assert torch.equal(scale_at(torch.ones(4), 1.7), torch.ones(4))


def test_an_interval_guides_between_its_noise_levels_only():
    """Kynkäänniemi et al. 2024, eq. 5: above sigma_low, not above sigma_high."""
    rule = Rule(interval=(0.5, 2.0))

    def at(sigma):
        return strength(rule, 3, 10, 1 / (1 + sigma**2))

    assert [at(sigma) for sigma in (0.4, 0.6, 1.0, 1.9, 2.1, 10)] == [0, 1, 1, 1, 0, 0]
    assert strength(Rule(), 3, 10, 0.5) == 1
    assert math.isclose(strength(Rule(interval=(0.5, 2.0), schedule="linear"), 9, 10, 0.5), 2)


def test_a_picture_needs_as_few_predictions_as_its_rule_allows():
    assert [most_needed(Rule(), s) for s in (0.0, 1.0, 0.5, -1.0)] == [1, 1, 2, 2]
    assert [most_needed(Rule(name="rescale"), s) for s in (0.0, 1.0)] == [2, 1]
    assert [most_needed(Rule(name="cfg++"), s) for s in (0.0, 1.0)] == [1, 2]
    assert [most_needed(Rule(schedule="linear"), s) for s in (0.0, 1.0)] == [2, 1]
