"""A word of the vocabulary learned anew: it changes, and nothing else does, in any bit."""

import pytest
import torch

from diffusion.formats import load_embedding, save_embedding
from diffusion.overwriting import at_strength, overwrite, own_rows, set_strength
from diffusion.prompts import encode_prompts, tokenize, whole_ids
from diffusion.pseudo_word import (
    add_word,
    ids_in_vocabulary,
    mentions,
    register,
    training_rows,
)
from diffusion.stable_diffusion import load
from lab.errors import UserError

# This tokenizer spells: "cat" is three ids, "x" one. The last prompts hold all pieces of the words.
OTHERS = ("", "a dog", "cats", "a bobcat", "c a t", "tac, ca t", "xx", "alog of xs")
WITH = ("a cat", "Cat, night", "dog cat", "cat's x", "my cat.")


@pytest.fixture
def sd(tiny_sd_folder):
    return load(str(tiny_sd_folder), device="cpu")


def vectors(sd, count):
    width = sd.text_encoder.config.hidden_size
    return torch.randn(count, width, generator=torch.Generator().manual_seed(count))


@pytest.mark.parametrize("count", [1, 3, 5])
def test_prompts_without_the_word_are_encoded_as_before_in_every_bit(sd, count):
    before = {prompt: encode_prompts(sd, [prompt]) for prompt in (*OTHERS, *WITH)}
    add_word(sd, "cat", vectors(sd, count))
    add_word(sd, "x", vectors(sd, count))
    for prompt in OTHERS:
        assert torch.equal(encode_prompts(sd, [prompt]), before[prompt]), prompt
    for prompt in WITH:
        assert not torch.allclose(encode_prompts(sd, [prompt]), before[prompt]), prompt


def test_the_vectors_stand_where_the_word_stood(sd):
    plain = whole_ids(sd, "my cat, a dog")
    cat = ids_in_vocabulary(sd, "cat")
    place = plain.index(cat[0])
    word = register(sd, "cat", 5)
    assert whole_ids(sd, "my cat, a dog") == [
        *plain[:place], *word.token_ids, *plain[place + len(cat) :]
    ]  # fmt: skip
    assert word.trigger == cat and not {*word.token_ids} & {*plain}


def test_the_longest_word_counts(sd):
    phrase, cat = register(sd, "red cat", 2), register(sd, "cat", 1)
    assert whole_ids(sd, "red cat cat")[1:-1] == [*phrase.token_ids, *cat.token_ids]
    assert whole_ids(sd, "cat red")[1:2] == list(cat.token_ids)


def test_a_word_may_be_written_in_any_case(sd):
    cat = register(sd, "Cat", 1)
    for prompt in ("a cat", "a CAT"):
        assert whole_ids(sd, prompt)[2:3] == list(cat.token_ids) and mentions(prompt, "Cat")
    assert not mentions("a dog", "cat") and not mentions("<W>", "<w>")


def test_what_is_no_word_is_refused(sd):
    with pytest.raises(UserError, match="no word"):
        register(sd, " ", 1)
    register(sd, "cat", 1)
    with pytest.raises(UserError, match="already"):
        register(sd, "cat", 2)


def test_an_overwritten_word_returns_from_its_file_as_it_was_learned(sd, tiny_sd_folder, tmp_path):
    rows = vectors(sd, 2)
    word = register(sd, "cat", 2)
    prompt = "a cat on a wall"
    with training_rows(sd.text_encoder, word.token_ids, rows), torch.no_grad():
        trained = sd.text_encoder(tokenize(sd, prompt))[0]
    save_embedding(tmp_path / "cat.safetensors", "cat", rows)
    kept = load_embedding(tmp_path / "cat.safetensors")
    fresh = load(str(tiny_sd_folder), device="cpu")
    add_word(fresh, kept.token, kept.vectors)
    assert torch.equal(encode_prompts(fresh, [prompt]), trained)
    # AUTOMATIC1111 looks for the ids of the file's name in the ids of the prompt
    assert ids_in_vocabulary(fresh, (tmp_path / "cat.safetensors").stem) == word.trigger


def test_new_and_overwritten_words_go_together(sd):
    new, cat = register(sd, "<w>", 2), register(sd, "cat", 1)
    assert whole_ids(sd, "<w> cat <w>")[1:-1] == [
        *new.token_ids, *cat.token_ids, *new.token_ids
    ]  # fmt: skip
    rows = vectors(sd, 3)
    ids = (*new.token_ids, *cat.token_ids)
    with training_rows(sd.text_encoder, ids, rows) as word:
        sd.text_encoder(tokenize(sd, "a <w>"))[0][0, 2:4, :3].sum().backward()
        assert word.rows.grad[:2].abs().sum() > 0 and word.rows.grad[2].abs().sum() == 0


def test_a_strength_is_exact_at_both_ends_and_straight_between():
    old, learned = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(at_strength(old, learned, 0), old)
    assert torch.equal(at_strength(old, learned, 1), learned)
    torch.testing.assert_close(at_strength(old, learned, 0.25), 0.75 * old + 0.25 * learned)
    torch.testing.assert_close(at_strength(old, learned, 1.5), 1.5 * learned - 0.5 * old)


@pytest.mark.parametrize("count", [1, 3, 5])
def test_strength_0_is_the_untouched_model_and_1_the_learned_word(sd, tiny_sd_folder, count):
    """Whatever the number of vectors; a `cat` of this tokenizer has three."""
    untouched, taught = (load(str(tiny_sd_folder), device="cpu") for _ in range(2))
    overwriting = overwrite(sd, "cat", vectors(sd, count))
    add_word(taught, "cat", vectors(sd, count))
    for strength, like in ((1, taught), (0, untouched), (1, taught)):
        set_strength(sd, overwriting, strength)
        for prompt in (*OTHERS, *WITH):
            assert torch.equal(encode_prompts(sd, [prompt]), encode_prompts(like, [prompt]))


def test_between_the_strengths_the_word_changes_and_nothing_else(sd):
    before = {prompt: encode_prompts(sd, [prompt]) for prompt in (*OTHERS, *WITH)}
    overwriting = overwrite(sd, "cat", vectors(sd, 3))
    far = encode_prompts(sd, ["a cat"])
    set_strength(sd, overwriting, 0.01)
    near = encode_prompts(sd, ["a cat"])
    assert 0 < (near - before["a cat"]).norm() < (far - before["a cat"]).norm()
    for prompt in OTHERS:
        assert torch.equal(encode_prompts(sd, [prompt]), before[prompt]), prompt
    with_own_rows = overwrite(load(sd.name, device="cpu"), "cat", own_rows(sd, "cat"))
    assert torch.equal(with_own_rows.learned, with_own_rows.old)


def test_nothing_lies_between_different_numbers_of_vectors_or_before_a_new_word(sd):
    with pytest.raises(UserError, match="num_vectors: 3"):
        set_strength(sd, overwrite(sd, "cat", vectors(sd, 5)), 0.5)
    with pytest.raises(UserError, match="overwrites nothing"):
        overwrite(sd, "<cat>", vectors(sd, 3))
