"""Prompt weights: AUTOMATIC1111's notation and its mathematics, by closed form."""

from dataclasses import replace

import pytest
import torch

from cfg.sampling import sample
from diffusion.config import Draws
from diffusion.prompts import encode_prompts, notes_of_cuts
from diffusion.pseudo_word import add_word
from diffusion.stable_diffusion import load, open_model, what_computes
from diffusion.weights import chunks_of, emphasise, of_one_length, parse
from lab.errors import UserError


@pytest.fixture
def literal(tiny_sd_folder):
    """Its last layer norm as if it were trained: else the mean of all states is 0."""
    sd = load(str(tiny_sd_folder), device="cpu")
    with torch.no_grad():
        sd.text_encoder.final_layer_norm.bias.add_(torch.linspace(-0.1, 0.3, 32))
    return sd


@pytest.fixture
def sd(literal):
    return replace(literal, prompt_weights=True)


# What AUTOMATIC1111's own doctests of parse_prompt_attention give.
KNOWN = [
    ("normal text", [("normal text", 1.0)]),
    ("", []),
    ("an (important) word", [("an ", 1.0), ("important", 1.1), (" word", 1.0)]),
    ("(unbalanced", [("unbalanced", 1.1)]),
    (r"\(literal\]", [("(literal]", 1.0)]),
    ("(unnecessary)(parens)", [("unnecessaryparens", 1.1)]),
    (
        "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
        [
            ("a ", 1.0), ("house", 1.573), (" ", 1.1), ("on", 1.0), (" a ", 1.1), ("hill", 0.55),
            (", sun, ", 1.1), ("sky", 1.4641), (".", 1.1),
        ],
    ),
    ("closed) only]", [("closed) only]", 1.0)]),
    ("ends [here", [("ends ", 1.0), ("here", 1 / 1.1)]),
    ("((a:2):3) 4:5", [("a", 6.0), (" 4:5", 1.0)]),
    ("a :1.2) b", [("a :1.2) b", 1.0)]),
]  # fmt: skip


@pytest.mark.parametrize(("prompt", "parts"), KNOWN, ids=[prompt for prompt, _ in KNOWN])
def test_brackets_mean_what_they_mean_in_automatic1111(prompt, parts):
    (found,) = parse(prompt)
    found = [part for part in found if part[0]]
    assert [text for text, _ in found] == [text for text, _ in parts]
    assert [weight for _, weight in found] == pytest.approx([weight for _, weight in parts])


@pytest.mark.parametrize("prompt", ["[a:b:0.5]", "a [b:3]", "[a|b] c", "a AND b"])
def test_what_is_no_weight_is_refused(sd, prompt):
    with pytest.raises(UserError, match="prompt editing"):
        notes_of_cuts(sd, [prompt])


def test_without_weights_an_encoding_is_the_plain_one_in_every_bit(sd, literal):
    prompts = ["a cat, a dog", "", "(a cat:1.0), [(a dog:1.1)]", r"a \(cat\)"]
    plain = ["a cat, a dog", "", "a cat, a dog", "a (cat)"]
    assert chunks_of(sd, prompts[2])[0] != []
    for prompt, same in zip(prompts[:2] + prompts[3:], plain[:2] + plain[3:], strict=True):
        assert torch.equal(encode_prompts(sd, [prompt]), encode_prompts(literal, [same]))


def test_brackets_are_literal_unless_it_is_asked_for(literal, tiny_sd_folder):
    assert not torch.equal(encode_prompts(literal, ["(cat:1.2)"]), encode_prompts(literal, ["cat"]))
    assert not Draws().prompt_weights
    asked = Draws(model=str(tiny_sd_folder), device="cpu", prompt_weights=True)
    assert open_model(asked).prompt_weights
    without = asked.model_copy(update={"prompt_weights": False})
    assert what_computes(asked) != what_computes(without)


def test_states_are_multiplied_and_the_mean_is_restored(sd, literal):
    (weighted,) = encode_prompts(sd, ["ab (cd:1.5) e"])
    (plain,) = encode_prompts(literal, ["ab cd e"])
    weights = torch.ones(77)
    weights[3:5] = 1.5  # start, a, b, c, d, e: the tiny tokenizer spells
    by_hand = plain * weights[:, None]
    by_hand = by_hand * plain.mean() / by_hand.mean()
    torch.testing.assert_close(weighted, by_hand, rtol=1e-4, atol=1e-6)
    assert weighted.mean().item() == pytest.approx(plain.mean().item(), rel=1e-3)


def test_an_equal_weight_everywhere_cancels():
    states = torch.randn(1, 5, 4, generator=torch.Generator().manual_seed(0)) + 1
    torch.testing.assert_close(emphasise(states, [2.0] * 5), states)


def test_a_mean_of_nothing_but_rounding_is_left_alone():
    states = torch.tensor([[[1.0, -1.0], [2.0, -2.0]]])
    assert torch.equal(emphasise(states, [1.0, 3.0]), states * torch.tensor([[1.0], [3.0]]))


def test_a_word_of_several_vectors_is_weighed_as_a_whole(sd):
    add_word(sd, "<w>", torch.randn(3, sd.text_encoder.config.hidden_size))
    learned = sd.tokenizer.convert_tokens_to_ids(["<w>", "<w>_1", "<w>_2"])
    for prompt, weight in (("a (<w>:1.2) b", 1.2), ("a [<w>] b", 1 / 1.1), ("a ((<w>)) b", 1.21)):
        (chunk,) = chunks_of(sd, prompt)
        assert [i for i, _ in chunk[1:4]] == learned
        assert [w for _, w in chunk] == pytest.approx([1.0, *[weight] * 3, 1.0])


def test_break_and_length_begin_a_new_chunk(sd, literal):
    both = encode_prompts(sd, ["a cat BREAK a dog"])
    assert both.shape[1] == 154
    assert torch.equal(both[:, :77], encode_prompts(literal, ["a cat"]))
    assert torch.equal(both[:, 77:], encode_prompts(literal, ["a dog"]))
    assert encode_prompts(sd, ["a cat BREAK"]).shape[1] == 77
    assert len(parse("(a BREAK b:1.2)")) == 2
    assert [len(chunk) for chunk in chunks_of(sd, "a" * 100)] == [75, 25]
    assert not notes_of_cuts(sd, ["a" * 100])


def test_a_long_prompt_is_divided_after_a_comma_and_never_in_a_word(sd):
    add_word(sd, "<w>", torch.randn(10, sd.text_encoder.config.hidden_size))
    near, far = "a" * 60 + ", " + "b" * 30, "a" * 40 + ", " + "b" * 50
    assert [len(chunk) for chunk in chunks_of(sd, near)] == [61, 30]
    assert [len(chunk) for chunk in chunks_of(sd, far)] == [75, 16]
    assert [len(chunk) for chunk in chunks_of(sd, "a" * 70 + " <w> b")] == [70, 11]


def test_a_short_prompt_beside_a_long_one_is_drawn_as_if_it_were_alone(sd):
    short, long = encode_prompts(sd, ["a cat"]), encode_prompts(sd, ["a BREAK b BREAK c"])
    two = encode_prompts(sd, ["a BREAK b"])
    assert {len(states[0]) for states in of_one_length([short, two, long])} == {6 * 77}
    x_t = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        alone = sd.unet(x_t, 500, encoder_hidden_states=short).sample
        beside = sd.unet(x_t, 500, encoder_hidden_states=of_one_length([short, long])[0]).sample
    torch.testing.assert_close(beside, alone, rtol=1e-4, atol=1e-5)


def test_pictures_of_different_lengths_are_drawn_together(sd):
    settings = {"steps": 2, "batch_size": 2, "guidance_scale": 3.0}
    drawn = list(sample(sd, ["a BREAK (b:1.4)", "a"], seeds=[1, 1], **settings))
    assert len(drawn) == 2 and (drawn[0] != drawn[1]).any()
