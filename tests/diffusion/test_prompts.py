"""Encoding prompts as diffusers does, each for itself."""

import pytest
import torch
from diffusers import StableDiffusionPipeline

from diffusion.prompts import cut_off, encode_prompts, require_known_words, tokenize
from diffusion.pseudo_word import add_word
from diffusion.stable_diffusion import load
from lab.errors import UserError


@pytest.fixture
def sd(tiny_sd_folder):
    return load(str(tiny_sd_folder), device="cpu")


def test_encodings_are_those_of_the_pipeline(sd, tiny_sd_folder):
    pipeline = StableDiffusionPipeline.from_pretrained(tiny_sd_folder, safety_checker=None)
    prompts = ["a cat", "", "a dove in the style of a tree " * 5]
    theirs, _ = pipeline.encode_prompt(prompts, "cpu", 1, False)
    torch.testing.assert_close(encode_prompts(sd, prompts), theirs, rtol=1e-4, atol=1e-5)


def test_an_encoding_does_not_depend_on_the_prompts_beside_it(sd):
    together = encode_prompts(sd, ["a cat", "a house", "a cat", ""])
    assert torch.equal(together[1], encode_prompts(sd, ["a house"])[0])
    assert torch.equal(together[0], together[2])
    assert torch.equal(together[3], encode_prompts(sd, [""])[0])


def test_each_prompt_is_encoded_once(sd):
    calls = []
    sd.text_encoder.register_forward_hook(lambda *_: calls.append(1))
    encode_prompts(sd, ["a cat", "a house", "a cat", "a cat"])
    assert len(calls) == 2


def test_a_word_of_several_vectors_takes_all_of_its_places(sd):
    width = sd.text_encoder.config.hidden_size
    vectors = torch.randn(3, width, generator=torch.Generator().manual_seed(0))
    add_word(sd, "<w>", vectors)
    token_ids = tokenize(sd, "a <w> cat")[0].tolist()
    learned = sd.tokenizer.convert_tokens_to_ids(["<w>", "<w>_1", "<w>_2"])
    assert token_ids[2:5] == learned
    assert not torch.equal(encode_prompts(sd, ["a <w> cat"]), encode_prompts(sd, ["a cat"]))


def test_the_end_that_does_not_fit_is_named(sd):
    # this tokenizer spells: one token a letter, and two of the 77 are start and end
    assert cut_off(sd, "a" * 75) == ""
    assert cut_off(sd, "a" * 75 + " dog") == "dog"
    assert cut_off(sd, "a" * 60) == ""


@pytest.mark.parametrize("vectors", [1, 2, 16, 75])
def test_what_is_lost_of_a_word_is_counted_in_vectors(sd, vectors):
    """Against the encoder's own view: the ids that are not among its 77."""
    add_word(sd, "<w>", torch.zeros(vectors, sd.text_encoder.config.hidden_size))
    ids = set(sd.words["<w>"].token_ids)
    for letters in (0, 58, 59, 60, 73, 74, 75, 76, 90):
        prompt = " ".join(["a" * letters, "<w>", "dog"]).strip()
        lost = len(ids - set(tokenize(sd, prompt)[0].tolist()))
        said = cut_off(sd, prompt)
        if 0 < lost < vectors:
            assert said == f"<w> ({lost} of its {vectors} vectors) dog", letters
        elif lost == vectors:
            assert said.endswith("<w> dog"), letters
        else:
            assert said == "dog"[max(0, 75 - letters - vectors) :], letters


def test_sixteen_vectors_in_a_long_prompt_are_told(sd):
    add_word(sd, "<w>", torch.zeros(16, sd.text_encoder.config.hidden_size))
    assert cut_off(sd, "a" * 59 + " <w>") == ""
    assert cut_off(sd, "a" * 60 + " <w>") == "<w> (1 of its 16 vectors)"
    assert cut_off(sd, "a" * 80 + " <w> " + "b" * 3) == "a" * 5 + " <w> bbb"
    assert cut_off(sd, "a" * 50 + " <w> b <w> c") == "<w> (8 of its 16 vectors) c"


def test_a_word_that_nobody_taught_is_refused(sd):
    with pytest.raises(
        UserError, match=r"uses <w>, which the model does not know.*\(known: none\)"
    ):
        require_known_words(sd, "a cat in the style of <w>")
    require_known_words(sd, "a cat in the style of <w>", ["<w>"])
    add_word(sd, "<w>", torch.zeros(1, sd.text_encoder.config.hidden_size))
    require_known_words(sd, "a cat in the style of <w>, 1 < 2 > 0")
    with pytest.raises(UserError, match=r"<v>.*known: <w>"):
        require_known_words(sd, "<v> and <w>")


def test_a_word_that_its_file_calls_otherwise_is_told(sd):
    """AUTOMATIC1111's files name words without brackets."""
    with pytest.raises(UserError, match=r"its file calls it wildsmith: write it without brackets"):
        require_known_words(sd, "a cat by <wildsmith>", ["wildsmith"])
