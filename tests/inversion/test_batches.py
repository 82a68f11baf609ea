"""Batches follow from (seed, step), have one shape, and show every picture equally often."""

from collections import Counter

import pytest
import torch

from diffusion.pseudo_word import add_word
from diffusion.stable_diffusion import load
from inversion.batches import (
    Batch,
    Item,
    Material,
    assemble,
    draw_items,
    make_batch,
    prepare_batch,
)
from inversion.config import Tags, Train
from inversion.data import Example
from inversion.latents import Latents
from inversion.loss import loss_of
from lab.device import noise

SHAPES = ((8, 8), (4, 8), (8, 4))
OF_SHAPE = (0, 1, 0, 2, 0, 1, 0, 0, 0, 2, 1, 0)  # 7 square pictures, 3 wide, 2 tall


@pytest.fixture(scope="module")
def sd(tiny_sd_folder):
    sd = load(str(tiny_sd_folder), device="cpu", attention="plain")
    add_word(sd, "<w>", torch.ones(2, sd.text_encoder.config.hidden_size))
    return sd


def latents_of(index, shape, weights=None):
    mean = noise((2, 4, *shape), 7, index)
    return Latents(mean, torch.full_like(mean, 0.1), weights)


@pytest.fixture
def material(tmp_path):
    examples = [Example(tmp_path / f"{k}.png", f"thing {k}") for k in range(len(OF_SHAPE))]
    latents = [latents_of(k, SHAPES[kind]) for k, kind in enumerate(OF_SHAPE)]
    return Material(examples, latents, ("a [filewords] by [name]", "[name]: [filewords]"), "<w>")


def pictures_of(material, settings, step, seed=0):
    size = settings.batch_size
    return [item.picture for item in draw_items(material, settings, seed, step, range(size))]


def test_a_batch_has_one_shape_and_follows_from_its_number(sd, material):
    settings = Train(batch_size=4)
    shapes = set()
    for step in (*range(12), 5):
        batch = make_batch(sd, material, settings, 0, step, range(4))
        again = make_batch(sd, material, settings, 0, step, [1, 3])
        shapes.add(tuple(batch.x_0.shape[-2:]))
        for name in ("x_0", "timesteps", "eps", "token_ids"):
            assert torch.equal(getattr(batch, name)[1::2], getattr(again, name)), name
        assert batch.weights is None
    assert shapes == {*SHAPES}


@pytest.mark.parametrize("batch_size", [1, 4, 5])
def test_every_picture_comes_equally_often(material, batch_size):
    settings = Train(batch_size=batch_size)
    # in as many steps as there are pictures, each shape has a turn for each picture of it
    counts = Counter()
    for step in range(len(OF_SHAPE)):
        counts.update(pictures_of(material, settings, step))
    assert counts == dict.fromkeys(range(len(OF_SHAPE)), batch_size)


def test_at_no_time_is_a_shape_far_behind(material):
    settings = Train(batch_size=2)
    counts = Counter()
    for step in range(5 * len(OF_SHAPE)):
        counts.update(pictures_of(material, settings, step, seed=3))
        seen = [
            sum(counts[k] for k, of in enumerate(OF_SHAPE) if of == kind) / OF_SHAPE.count(kind)
            for kind in range(3)
        ]
        assert max(seen) - min(seen) <= 2 * settings.batch_size


def test_seeds_differ(material):
    settings = Train(batch_size=3)
    orders = [[pictures_of(material, settings, s, seed) for s in range(12)] for seed in (0, 1, 2)]
    assert orders[0] != orders[1] != orders[2]


def test_equal_shapes_are_as_if_there_were_no_shapes(material):
    squares = Material(
        material.examples[:1] * 5, [latents_of(k, (8, 8)) for k in range(5)], ["[name]"], "<w>"
    )
    settings = Train(batch_size=2)
    stream = [p for step in range(10) for p in pictures_of(squares, settings, step)]
    for lap in range(4):
        assert sorted(stream[5 * lap : 5 * lap + 5]) == list(range(5))


def test_tags_vary_from_step_to_step(sd, material):
    examples = [Example(example.path, "a, b, c, d") for example in material.examples]
    mixed = Material(examples, material.latents, ["[name] [filewords]"], "<w>", Tags(shuffle=True))
    prompts = [
        item.prompt
        for step in range(4)
        for item in draw_items(mixed, Train(batch_size=4), 0, step, range(4))
    ]
    assert len({*prompts}) > 8
    assert {"".join(sorted(prompt)) for prompt in prompts} == {"".join(sorted("<w> a, b, c, d"))}


def test_a_prompt_is_tokenized_once(sd, material, monkeypatch):
    import inversion.batches as module

    calls = []
    plain = module.tokenize
    monkeypatch.setattr(module, "tokenize", lambda sd, text: calls.append(text) or plain(sd, text))
    settings = Train(batch_size=4)
    for step in range(60):
        make_batch(sd, material, settings, 0, step, range(4))
    assert len(calls) == len({*calls}) == 2 * len(OF_SHAPE)


def test_a_batch_prepared_ahead_is_the_batch(sd, material):
    settings = Train(batch_size=4)
    plain = make_batch(sd, material, settings, 0, 3, range(4))
    prepare_batch(sd, material, settings, 0, 3, range(4))
    (prepared,) = material._prepared.values()
    assert make_batch(sd, material, settings, 0, 2, range(4)) is not prepared
    assert make_batch(sd, material, settings, 0, 3, [0, 1]) is not prepared
    assert make_batch(sd, material, settings, 0, 3, range(4)) is prepared
    assert make_batch(sd, material, settings, 0, 3, range(4)) is not prepared
    for name in ("x_0", "timesteps", "eps", "token_ids"):
        assert torch.equal(getattr(plain, name), getattr(prepared, name)), name


# --- masks


class Cellwise:
    """A U-Net whose prediction for a cell depends on that cell and on the prompt alone."""

    def __call__(self, x_t, timesteps, encoder_hidden_states):
        said = encoder_hidden_states[:, :, :3].sum((1, 2))
        sample = x_t.tanh() * (1 + said[:, None, None, None])
        return type("Output", (), {"sample": sample})


def masked(sd, spoil):
    """A masked picture and another; `spoil` is added to the latents that the mask excludes."""
    weights = torch.zeros(2, 1, 8, 8)
    weights[:, :, :, 2:6] = 2.0
    latents = latents_of(0, (8, 8), weights)
    spoiled = torch.where(weights > 0, latents.mean, latents.mean + spoil)
    material = Material(
        [Example("a", "x"), Example("b", "y")],
        [Latents(spoiled, latents.std, weights), latents_of(1, (8, 8))],
        ["[name] [filewords]"],
        "<w>",
    )
    items = [Item(0, True, 300, "<w> x", 0), Item(1, False, 500, "<w> y", 1)]
    return assemble(sd, material, 0, items)


def test_the_loss_does_not_see_what_is_masked(sd, monkeypatch):
    hidden = torch.randn(2, 77, 32, requires_grad=True)
    encoder = lambda token_ids: (hidden,)  # noqa: E731
    monkeypatch.setattr(sd, "text_encoder", encoder)
    monkeypatch.setattr(sd, "unet", Cellwise())
    found = []
    for spoil in (0.0, 5.0):
        hidden.grad = None
        loss = loss_of(sd, masked(sd, spoil))
        loss.backward()
        found.append((loss.detach(), hidden.grad))
    assert torch.equal(found[0][0], found[1][0]) and torch.equal(found[0][1], found[1][1])
    assert found[0][1].abs().max() > 0


def test_a_masked_pictures_loss_is_the_mean_over_what_counts(sd, monkeypatch):
    batch = masked(sd, 0.0)
    predicted = torch.zeros_like(batch.x_0)

    class Zero:
        def __call__(self, x_t, timesteps, encoder_hidden_states):
            return type("Output", (), {"sample": predicted})

    monkeypatch.setattr(sd, "unet", Zero())
    with torch.no_grad():
        loss = loss_of(sd, batch)
    squares = batch.eps**2
    torch.testing.assert_close(loss, squares[0, :, :, 2:6].mean() + squares[1].mean())
    plain = Batch(batch.x_0, batch.timesteps, batch.eps, batch.token_ids)
    with torch.no_grad():
        torch.testing.assert_close(loss_of(sd, plain), squares[0].mean() + squares[1].mean())
