"""The text in a picture, read by AUTOMATIC1111's rules."""

import json
import re
from pathlib import Path

import pytest
import torch

from diffusion.config import SchedulerName
from diffusion.formats import Embedding
from diffusion.weights import parse
from diffusion.words import WordFile
from sampling.parameters import SAMPLERS, parameters


def read_as_automatic1111_does(text):
    """modules/infotext_utils.py, parse_generation_parameters: prompt, negative prompt, values."""
    entry = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
    *lines, last = text.strip().split("\n")
    prompts, negative = [], []
    for line in lines:
        if line.startswith("Negative prompt:"):
            negative.append(line.removeprefix("Negative prompt:").strip())
        else:
            (negative or prompts).append(line)
    values = {
        key: json.loads(value) if value.startswith('"') else value
        for key, value in entry.findall(last)
    }
    return "\n".join(prompts), "\n".join(negative), values


@pytest.fixture
def word():
    embedding = Embedding("<wildsmith>", torch.zeros(16, 8))
    return WordFile(Path("somewhere/wildsmith-16.safetensors"), embedding, "0123456789abcdef" * 4)


def written(word, **settings):
    values = {
        "steps": 30, "scheduler": "ddim", "guidance_scale": 14.0, "seed": 7, "size": (512, 768),
        "model_hash": "fe4efff1e1", "model": "sd-v1-4",
    }  # fmt: skip
    prompt = settings.pop("prompt", "dove, in the style of <wildsmith>")
    return parameters(prompt, settings.pop("negative", ""), [word], **{**values, **settings})


def test_png_info_reads_every_value(word):
    prompt, negative, values = read_as_automatic1111_does(written(word, negative="a <wildsmith>"))
    assert prompt == "dove, in the style of wildsmith-16"
    assert negative == "a wildsmith-16"
    assert values == {
        "Steps": "30", "Sampler": "DDIM", "CFG scale": "14", "Seed": "7", "Size": "512x768",
        "Model hash": "fe4efff1e1", "Model": "sd-v1-4", "TI hashes": "wildsmith-16: 0123456789ab",
        "Version": "pseudoword",
    }  # fmt: skip


def test_values_that_hold_separators_are_quoted(word):
    _, _, values = read_as_automatic1111_does(written(word, model='a, "b": c'))
    assert values["Model"] == 'a, "b": c' and values["Seed"] == "7"


@pytest.mark.parametrize("prompt", ["a (red:1.3) [cat]", "a cat", r"a \(b) ((c"])
def test_what_is_weighed_or_literal_here_is_so_there(word, prompt):
    weighed, _, _ = read_as_automatic1111_does(written(word, prompt=prompt, prompt_weights=True))
    assert weighed == prompt
    literal, negative, _ = read_as_automatic1111_does(written(word, prompt=prompt, negative=prompt))
    assert parse(literal) == parse(negative) == [[(prompt, 1.0)]]


def test_every_sampler_has_a_name_there():
    assert set(SAMPLERS) == set(SchedulerName.__args__)
    assert "Eta DDIM: 1.0" in parameters(
        "", "", [], steps=1, scheduler="ddim_eta1", guidance_scale=1, seed=1, size=(8, 8),
        model_hash="", model="",
    )  # fmt: skip
