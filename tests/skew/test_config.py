"""What a skew section may say, and what a CLIP is asked because of it."""

import json

import pytest
from pydantic import ValidationError

from skew.config import Config, holds, replaced, with_value


def config(**settings):
    return Config.model_validate_json(json.dumps({"word": "cat", "prompts": ["a cat"], **settings}))


@pytest.mark.parametrize(
    ("prompt", "there"),
    [
        ("a cat", True), ("A Cat's bed", True), ("cat, night", True), ("cats", False),
        ("a bobcat", False), ("two cats and a cat", True), ("a cat-like fox", True),
    ],
)  # fmt: skip
def test_a_word_is_a_whole_word(prompt, there):
    assert holds(prompt, "cat") is there


def test_words_are_put_in_with_the_right_article():
    assert replaced("a cat in an hour", "cat", "orange cat") == "an orange cat in an hour"
    assert replaced("An apple and a unicorn", "apple", "red apple") == "a red apple and a unicorn"
    assert with_value("a [value] cat, a cat", "orange") == "an orange cat, a cat"
    assert replaced("cats and a cat", "cat", r"\1") == r"cats and a \1"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"prompts": ["a dog"]}, "should have the word 'cat'"),
        ({"prompts": ["two cats"]}, "should have the word 'cat'"),
        ({"explicit": {"prompts": ["a red cat"]}}, r"should have \[value\]"),
        ({"bystanders": {"prompts": ["a dog and a cat"]}}, "should not have the word"),
        ({"compare": {"silent": "[word]"}}, r"should have \[value\]"),
        ({"word": "<cat>"}, "without brackets"),
        ({"judge": "clip:"}, "clip:FOLDER"),
        ({"judge": "me"}, "clip:FOLDER"),
        ({"judge": "clip:x", "values": ["a", "b"]}, "values and subjects"),
        ({"values": ["a"]}, "two or more"),
        ({"subjects": ["dog", "fox"]}, "'cat' among them"),
        ({"values": ["a", "b"], "wanted": {"a": 1}}, "a weight for each of a, b"),
        ({"seeds": {"count": 0}}, "greater"),
    ],
)
def test_mistakes_are_found_in_the_file(settings, sentence):
    with pytest.raises(ValidationError, match=sentence):
        config(**settings)


def test_a_clip_is_asked_sentences():
    asked = config(
        judge="clip:x", values=["female", "old"], subjects={"cat": "a cat", "dog": ["a dog", "dog"]}
    )
    assert asked.sentences("values") == {
        "female": ("a photo of a female cat",), "old": ("a photo of an old cat",)
    }  # fmt: skip
    assert asked.sentences("subjects") == {"cat": ("a cat",), "dog": ("a dog", "dog")}
