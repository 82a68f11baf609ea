"""What words begin as, and how their norms are held."""

import copy
import dataclasses

import pytest
import torch

from diffusion.formats import save_embedding
from diffusion.prompts import whole_ids
from diffusion.stable_diffusion import load
from inversion.config import Config, NewWord
from inversion.initial import (
    file_name,
    hold_norms,
    initial_rows,
    prepare_words,
    vocabulary_norms,
)
from lab.errors import UserError


@pytest.fixture(scope="module")
def sd(tiny_sd_folder):
    return load(str(tiny_sd_folder), device="cpu")


@pytest.fixture
def table(sd):
    return sd.text_encoder.get_input_embeddings().weight.detach()


RANDOM = NewWord()


def test_random_rows_have_the_vocabularys_mean_and_covariance(sd):
    # dimensions that go together, which a deviation for each would lose
    mixed = torch.randn(32, 32, generator=torch.Generator().manual_seed(0))
    embedding = torch.nn.Embedding.from_pretrained(
        torch.randn(514, 32, generator=torch.Generator().manual_seed(1)) @ mixed + 5
    )
    encoder = copy.deepcopy(sd.text_encoder)
    encoder.set_input_embeddings(embedding)
    rows = initial_rows(dataclasses.replace(sd, text_encoder=encoder), RANDOM, 50_000, 0)
    table = embedding.weight
    scale = table.std()
    assert (rows.mean(0) - table.mean(0)).abs().max() < 0.03 * scale
    assert (rows.T.cov() - table.T.cov()).abs().max() < 0.05 * scale**2
    assert table.T.corrcoef().fill_diagonal_(0).abs().max() > 0.3  # or the last line says nothing


def test_seeds_and_words_have_rows_of_their_own(sd):
    first = initial_rows(sd, RANDOM, 3, 5)
    assert torch.equal(first, initial_rows(sd, RANDOM, 3, 5))
    assert torch.equal(first, initial_rows(sd, RANDOM, 3, 5, index=0))
    assert not torch.equal(first, initial_rows(sd, RANDOM, 3, 6))
    assert not torch.equal(first, initial_rows(sd, RANDOM, 3, 5, index=1))


def test_initial_words_are_repeated(sd, table):
    ids = sd.tokenizer("ab c", add_special_tokens=False).input_ids
    rows = initial_rows(sd, NewWord(initial_words="ab c"), 5, 0)
    assert torch.equal(rows, table[[ids[k % len(ids)] for k in range(5)]])


def test_noise_moves_repeated_words_apart_by_as_much_as_asked(sd, table):
    def apart(amount):
        return initial_rows(sd, NewWord(initial_words="a", initial_noise=amount), 4, 0)

    plain, near, far = apart(0.0), apart(0.1), apart(1.0)
    assert torch.equal(plain, plain[:1].expand(4, -1))
    torch.testing.assert_close((far - plain), 10 * (near - plain), rtol=1e-3, atol=1e-4)
    assert (far - plain).norm(dim=1) / (table - table.mean(0)).norm(dim=1).mean() == pytest.approx(
        torch.ones(4), rel=0.3
    )


def test_a_previous_embedding_is_gone_on_from_or_refused(sd, tmp_path):
    path = tmp_path / "old.safetensors"
    rows = torch.randn(3, 32, generator=torch.Generator().manual_seed(0))
    save_embedding(path, "<old>", rows)
    new = NewWord(initial_embedding=str(path))
    assert torch.equal(initial_rows(sd, new, 3, 0), rows)
    with pytest.raises(UserError, match=r"old\.safetensors has 3 vectors and <style> .* 4: set"):
        initial_rows(sd, new, 4, 0)
    save_embedding(path, "<old>", torch.ones(3, 5))
    with pytest.raises(UserError, match=r"old\.safetensors has vectors of width 5"):
        initial_rows(sd, new, 3, 0)


def test_words_are_one_matrix_and_come_apart_again(tiny_sd_folder):
    sd = load(str(tiny_sd_folder), device="cpu")
    also = ({"word": "<o>", "num_vectors": 1, "initial_words": "a"},)
    words = prepare_words(sd, Config(word="cat", overwrite=True, num_vectors=2, also=also))
    assert words.rows.shape == (3, 32)
    assert whole_ids(sd, "cat <o>")[1:-1] == list(words.token_ids)
    parts = words.split(words.rows)
    assert list(parts) == ["cat", "<o>"] and torch.equal(parts["<o>"], words.rows[2:])
    assert [file_name(token) for token in parts] == ["cat.safetensors", "o.safetensors"]
    with pytest.raises(UserError, match="already"):
        prepare_words(sd, Config(word="<o>"))


def test_norms_are_held(sd, table):
    norms = vocabulary_norms(sd)
    assert norms.mean == pytest.approx(table.norm(dim=1).mean().item())
    assert (table.norm(dim=1) > norms.long).float().mean().item() == pytest.approx(0.01, abs=0.005)
    before = torch.stack([table[3] * 100, table[4], table[5] * 0.1])
    for how in ("free", "clip", "project"):
        rows = before.clone()
        hold_norms(rows, how, norms)
        lengths = rows.norm(dim=1)
        torch.testing.assert_close(
            torch.nn.functional.cosine_similarity(rows, before), torch.ones(3)
        )
        if how == "free":
            assert torch.equal(rows, before)
        elif how == "clip":
            assert lengths[0].item() == pytest.approx(norms.long)
            assert torch.equal(rows[1:], before[1:])
        else:
            assert lengths.tolist() == pytest.approx([norms.mean] * 3)
    hold_norms(zero := torch.zeros(1, 32), "project", norms)
    assert torch.isfinite(zero).all()
