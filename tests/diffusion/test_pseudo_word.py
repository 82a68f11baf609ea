"""Learned rows beside a frozen table do what one enlarged table would do."""

import pytest
import torch
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

from diffusion.prompts import encode_prompts, tokenize, whole_ids
from diffusion.pseudo_word import PseudoWord, add_word, register, training_rows
from diffusion.stable_diffusion import load
from lab.errors import UserError

VOCABULARY, WIDTH = 50, 16


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=12,
        bos_token_id=48,
        eos_token_id=49,
        pad_token_id=49,
    )
    return CLIPTextModel(config).eval().requires_grad_(False)


def measure(output):
    """A number from hidden states: not their squares, whose sum the last layer's norm fixes."""
    hidden = output.last_hidden_state.float()
    weight = torch.randn(hidden.shape, generator=torch.Generator().manual_seed(9))
    return (hidden * weight).sum()


@pytest.mark.parametrize("ids", [[50, 51], [7], [7, 50]])
def test_output_and_gradient_equal_those_of_an_enlarged_table(encoder, ids):
    rows = torch.randn(len(ids), WIDTH)
    tokens = torch.tensor([[48, 3, *ids, 9, ids[0], 49], [48, *ids, ids[0], 7, 9, 49]])
    base = encoder.get_input_embeddings()

    table = torch.cat([base.weight.detach(), torch.zeros(2, WIDTH)])
    table[ids] = rows
    table.requires_grad_(True)
    encoder.set_input_embeddings(nn.Embedding.from_pretrained(table, freeze=False))
    reference = encoder(tokens)
    measure(reference).backward()
    expected = encoder.get_input_embeddings().weight.grad[ids]
    encoder.set_input_embeddings(base)

    with training_rows(encoder, ids, rows) as word:
        output = encoder(tokens)
        measure(output).backward()
    assert torch.equal(output.last_hidden_state, reference.last_hidden_state)
    assert word.rows.grad.abs().max() > 0.1
    torch.testing.assert_close(word.rows.grad, expected)
    assert encoder.get_input_embeddings() is base


def test_the_frozen_table_is_no_parameter_and_does_not_change():
    base = nn.Embedding(VOCABULARY, WIDTH)
    before = base.weight.detach().clone()
    word = PseudoWord(base, [50, 51], torch.randn(2, WIDTH))
    assert [name for name, _ in word.named_parameters()] == ["rows"]
    optimizer = torch.optim.AdamW(word.parameters(), lr=1.0)
    word(torch.tensor([[3, 50, 51]])).sum().backward()
    optimizer.step()
    assert torch.equal(base.weight, before)
    assert "table" not in word.state_dict()


def test_the_gradient_is_the_same_bits_every_time_on_several_threads():
    base = nn.Embedding(VOCABULARY, 192)
    tokens = torch.randint(0, VOCABULARY + 2, (16, 77), generator=torch.Generator().manual_seed(0))
    weight = torch.randn(16, 77, 192, generator=torch.Generator().manual_seed(1))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        gradients = []
        for _ in range(30):
            word = PseudoWord(base, [50, 51], torch.ones(2, 192))
            (word(tokens) * weight).sum().backward()
            gradients.append(word.rows.grad)
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(gradient, gradients[0]) for gradient in gradients)


def test_a_finished_word_gives_the_hidden_states_it_was_trained_with(tiny_sd_folder):
    sd = load(str(tiny_sd_folder), device="cpu")
    rows = torch.randn(3, sd.text_encoder.config.hidden_size)
    word = register(sd, "<w>", 3)
    prompt = tokenize(sd, "a <w> b")
    with training_rows(sd.text_encoder, word.token_ids, rows), torch.no_grad():
        trained = sd.text_encoder(prompt).last_hidden_state
    fresh = load(str(tiny_sd_folder), device="cpu")
    add_word(fresh, "<w>", rows)
    assert torch.equal(trained, encode_prompts(fresh, ["a <w> b"]))


def test_a_word_of_several_vectors_is_written_out(tiny_sd_folder):
    sd = load(str(tiny_sd_folder), device="cpu")
    word, one = register(sd, "<w>", 3), register(sd, "<one>", 1)
    a, comma = sd.tokenizer("a ,", add_special_tokens=False).input_ids
    inside = whole_ids(sd, "a <w>, <one>")[1:-1]
    assert inside == [a, *word.token_ids, comma, *one.token_ids]
    assert whole_ids(sd, "a <w> <w>_1 <w>_2, <one>")[1:-1] == inside


def test_words_are_refused_that_would_lose_their_meaning_or_do_not_fit(tiny_sd_folder):
    sd = load(str(tiny_sd_folder), device="cpu")
    register(sd, "<w>", 2)
    for taken in ("<w>", "<w>_1", "<|endoftext|>"):
        with pytest.raises(UserError, match="already in the model's vocabulary"):
            register(sd, taken, 1)
    with pytest.raises(UserError, match="width 7"):
        add_word(sd, "<new>", torch.zeros(1, 7))
    assert "<new>" not in sd.tokenizer.get_vocab() and "<new>" not in sd.words


def gradient_of(encoder, ids, rows, tokens):
    with training_rows(encoder, ids, rows) as word:
        measure(encoder(tokens)).backward()
        return word.rows.grad


TOKENS = torch.tensor([[48, 3, 50, 51, 9, 49], [48, 50, 7, 52, 7, 49]])  # words of 2 and 1 vectors


def test_gradient_checkpointing_changes_no_bit(encoder):
    rows = torch.randn(3, WIDTH)
    plain = gradient_of(encoder, [50, 51, 52], rows, TOKENS)
    encoder.train()  # checkpointing is for training only; nothing here drops out
    encoder.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    try:
        assert torch.equal(gradient_of(encoder, [50, 51, 52], rows, TOKENS), plain)
    finally:
        encoder.gradient_checkpointing_disable()


def test_the_encoder_compiles_as_one_graph(encoder):
    rows = torch.randn(3, WIDTH)
    plain = gradient_of(encoder, [50, 51, 52], rows, TOKENS)
    with training_rows(encoder, [50, 51, 52], rows) as word:
        compiled = torch.compile(encoder, fullgraph=True, backend="eager")
        measure(compiled(TOKENS)).backward()
    torch.testing.assert_close(word.rows.grad, plain)


def test_a_half_precision_model_has_single_precision_rows(encoder):
    rows = torch.randn(3, WIDTH)
    exact = gradient_of(encoder, [50, 51, 52], rows, TOKENS)
    encoder.bfloat16()
    with training_rows(encoder, [50, 51, 52], rows) as word:
        output = encoder(TOKENS)
        measure(output).backward()
    assert output.last_hidden_state.dtype == torch.bfloat16
    assert word.rows.dtype == word.rows.grad.dtype == torch.float32
    assert torch.equal(word.rows.detach(), rows)
    error = (word.rows.grad - exact).norm() / exact.norm()
    assert error < 0.05
