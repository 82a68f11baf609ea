"""What is given away: the word's file under its name, how to use it, and what was measured."""

import re

import pytest
import torch
from diffusers import StableDiffusionPipeline

from diffusion.formats import load_embedding, save_embedding
from diffusion.prompts import encode_prompts
from diffusion.pseudo_word import add_word
from diffusion.stable_diffusion import load
from diffusion.words import words_in
from inversion.card import ship


def series(shares, subject, kl, count=40):
    found = {
        "shares": shares, "intervals": [(s - 0.01, s + 0.01) for s in shares], "undecided": 4,
        "farthest": max(abs(s - 0.5) for s in shares), "kl": kl, "kl_floor": 0.0125,
    }  # fmt: skip
    return {"distribution": found, "subject": {"share": subject}, "pictures": count,
            "guidance_scale": 2.0}  # fmt: skip


FACTS = {
    "attribute": "gender", "values": ["female", "male"], "judge": "the judge",
    "series": {
        "neutral-0": series([0.1, 0.9], 0.98, 0.368),
        "neutral-1": series([0.45, 0.55], 0.96, 0.005),
    },
    "explicit": {"1": {"pictures": 30, "beside_the_original": {"before": 0.9, "after": 0.88}}},
    "bystanders": [{"prompt": "docs", "pictures": 6, "equal": 6}],
}  # fmt: skip
ASKED = {"prompts": ["a doc"], "seeds": {"start": 70}, "steps": 12, "scheduler": "ddim"}


@pytest.fixture
def word(tmp_path, request):
    count = getattr(request, "param", 3)
    rows = torch.randn(count, 32, generator=torch.Generator().manual_seed(count))
    about = {"model": "the/model", "steps": 120, "pictures": 84}
    save_embedding(tmp_path / "made" / "doc.safetensors", "doc", rows, about)
    return words_in(tmp_path / "made")["doc"]


def test_the_file_is_named_as_the_word_and_is_the_word(word, tmp_path):
    file, card = ship(tmp_path / "given", word, FACTS, ASKED)
    assert (file.name, card.name) == ("doc.safetensors", "README.md")
    assert torch.equal(load_embedding(file).vectors, word.embedding.vectors)


def test_the_card_says_what_was_measured_and_on_what(word, tmp_path):
    card = ship(tmp_path, word, FACTS, ASKED)[1].read_text()
    for said in (
        "| female | 10.0% (9.0% to 11.0%) | 45.0% (44.0% to 46.0%) |",
        "| KL to even, nats | 0.368 | 0.005 |",
        "| shows the subject | 98.0% | 96.0% |",
        "| could not be told | 10.0% | 10.0% |",
        "40 pictures of “a doc”; seeds 70 to 109",
        "guidance\n2, ddim, 12 steps; judged by the judge",
        "in 90.0% of 30 pictures before, and in 88.0%",
        "Of 6 pictures of prompts without the word (“docs”), 6 were the same",
        "3 vectors of width 32; learned from 84 pictures in 120 steps",
        "What it does not fix",
    ):
        assert said in card, said
    assert "{" not in card and "nan" not in card


def test_a_word_that_was_not_measured_says_so(word, tmp_path):
    card = ship(tmp_path, word)[1].read_text()
    assert "Nothing. Add a section `skew`" in card and "| KL" not in card


@pytest.mark.parametrize("word", [1, 3], indirect=True)
def test_the_snippet_means_the_same_as_our_own_loader(word, tmp_path, tiny_sd_folder, monkeypatch):
    """Its code is run as it stands on the card, with diffusers alone."""
    file, card = ship(tmp_path, word)
    code = "\n".join(re.findall(r"^    (.*)$", card.read_text(), re.MULTILINE))
    code = code.replace("the/model", str(tiny_sd_folder)).split("picture =")[0]
    monkeypatch.chdir(file.parent)
    known: dict = {}
    exec(code, known)
    pipeline: StableDiffusionPipeline = known["pipeline"]
    ours = load(str(tiny_sd_folder), device="cpu")
    add_word(ours, "doc", word.embedding.vectors)
    for prompt in ("a doc", "Doc at work, a doc", "docs and a cook"):
        theirs = pipeline.encode_prompt(known["even"](prompt), "cpu", 1, False)[0]
        torch.testing.assert_close(theirs, encode_prompts(ours, [prompt]), rtol=0, atol=1e-6)
