"""Scales are the decimals that were written, and settings that make no sense are sentences."""

import json
import typing
from decimal import Decimal

import pytest

from cfg.config import Config, exact_scales
from diffusion.config import SchedulerName
from diffusion.stable_diffusion import SCHEDULERS
from lab.config import ConfigError, load_experiment


def configured(tmp_path, text, *overrides):
    path = tmp_path / "x.yaml"
    path.write_text("cfg:\n  prompt: a cat\n" + text)
    config = load_experiment(path, overrides, {"cfg": Config}).sections["cfg"]
    assert isinstance(config, Config)
    return config


def test_a_fine_range_has_every_scale_and_its_exact_value(tmp_path):
    config = configured(tmp_path, "  guidance_scales: {from: 0, to: 20, step: 0.02}\n")
    scales = exact_scales(config.guidance_scales)
    assert len(scales) == 1001
    assert scales[-1] == 20
    assert all(scale == Decimal(2 * i) / 100 for i, scale in enumerate(scales))
    assert sum(float(scale) != i * 0.02 for i, scale in enumerate(scales)) > 100  # hence decimals


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{from: -1, to: 0.35, step: 0.5}", ["-1", "-0.5", "0"]),
        ("{from: 30, to: 30, step: 1}", ["30"]),
        ("{from: 0.1, to: 0.7, step: 0.1}", ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7"]),
        ("[7.5, 0, -2, 1]", ["7.5", "0", "-2", "1"]),
        ("[-0.0]", ["0"]),
    ],
)
def test_ranges_and_lists(tmp_path, written, expected):
    config = configured(tmp_path, f"  guidance_scales: {written}\n")
    assert list(exact_scales(config.guidance_scales)) == [Decimal(text) for text in expected]


def test_the_range_can_be_widened_by_an_override(tmp_path):
    text = "  guidance_scales: {from: 0, to: 1, step: 0.5}\n"
    config = configured(tmp_path, text, "cfg.guidance_scales.to=2")
    assert len(exact_scales(config.guidance_scales)) == 5


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("guidance_scales: {from: 2, to: 1, step: 0.5}", "should not be below from"),
        ("guidance_scales: {from: 0, to: 1, step: 0}", "step should be"),
        ("guidance_scales: {from: 0, to: 9, step: 0.00001}", "choose a larger step"),
        ("guidance_scales: []", "at least one scale"),
        ("guidance_scales: [1, 2, 1.0]", "name each scale once, but 1 is there again"),
        ("guidance_scales: {from: 0, too: 9, step: 1}", "did you mean to?"),
        ("prompt2: a cat in the style of [name]", "not a setting"),
        ("seed: [1, 2, 1]", "name each once, but 1 is there again"),
        ("rule: apgg", "should be plain, rescale"),
        ("rule: {name: plain, eta: 0.5}", "eta is a setting of the rule apg, not of plain"),
        ("rule: {interval: [5.42, 0.28]}", "the lower one first"),
        ("rule: {name: cfg++, schedule: linear}", "neither schedule nor interval"),
        ("batch_size: 0", "between 1 and 4096, or auto"),
        ("scheduler: dimm", "did you mean ddim?"),
    ],
)
def test_mistakes_are_sentences(tmp_path, written, sentence):
    with pytest.raises(ConfigError, match=sentence.replace("?", r"\?")) as error:
        configured(tmp_path, f"  {written}\n")
    assert "x.yaml:3" in str(error.value)


def test_a_template_is_no_prompt(tmp_path):
    with pytest.raises(ConfigError, match="not a template"):
        configured(tmp_path, "", "cfg.prompt='[filewords] by <w>'")


def test_the_schedulers_that_can_be_named_are_those_there_are():
    assert set(typing.get_args(SchedulerName)) == set(SCHEDULERS)


@pytest.mark.parametrize("rule", ["plain", {"name": "rescale", "phi": 0.2}, {"name": "apg"}])
def test_what_a_manifest_says_of_a_rule_can_be_run_again(rule):
    config = Config.model_validate_json(json.dumps({"prompt": "a cat", "rule": [rule, "cfg++"]}))
    again = Config.model_validate_json(config.model_dump_json(by_alias=True))
    assert [one.essence() for one in again.rules] == [one.essence() for one in config.rules]
