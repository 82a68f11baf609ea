"""What a sample section may say."""

import json

import pytest
from pydantic import ValidationError

from sampling.config import Config


def config(**settings):
    return Config.model_validate_json(json.dumps({"prompts": ["a cat, [name] style"], **settings}))


def test_the_defaults_draw_four_seeds_at_one_scale():
    assert len(config().seeds) == 4 and config().guidance_scales == (7.5,)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"prompts": []}, "at least 1"),
        ({"prompts": ["a", "a"]}, "once each"),
        ({"seeds": [1, 2, 1]}, "once each, but 1"),
        ({"seeds": [-1]}, "greater than or equal to 0"),
        ({"guidance_scales": [2, 2.0]}, "once each"),
        ({"prompts": ["[filewords] by [name]"]}, "filewords"),
        ({"plain_prompts": ["a", "b"]}, "one for each"),
        ({"plain_prompts": ["a [name]"]}, "without"),
        ({"batch_size": 0}, "between 1 and 4096"),
    ],
)
def test_mistakes_are_found(settings, sentence):
    with pytest.raises(ValidationError, match=sentence):
        config(**settings)
