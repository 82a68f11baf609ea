"""Laws of the training loop: a step is fixed by its number, and nothing but the rows is learned."""

import pytest
import torch

from diffusion.pseudo_word import register, training_rows
from diffusion.schedule import alpha_bars
from inversion import training
from inversion.batches import Material, make_batch
from inversion.config import Train
from inversion.latents import Latents
from inversion.loss import loss_of
from inversion.rates import learning_rate
from inversion.training import TrainStep
from lab.errors import UserError
from lab.order import picked
from lab.processes import Processes

WORD = "<w>"


def losses(steps):
    return [step.loss for step in steps if isinstance(step, TrainStep)]


def test_a_resumed_run_ends_with_the_same_bits(material, learn):
    settings = Train(steps=6, batch_size=3)
    _, whole, _ = learn(material, settings)
    _, _, state = learn(material, settings, stop=4)
    steps, resumed, _ = learn(material, settings, state=state)
    assert len(steps) == 2
    assert torch.equal(resumed, whole)


def test_only_the_rows_are_learned(sd, material, learn, first_rows):
    frozen = {
        f"{name}.{key}": value.clone()
        for name in ("text_encoder", "unet", "vae")
        for key, value in getattr(sd, name).state_dict().items()
    }
    _, rows, _ = learn(material, Train(steps=3, batch_size=2))
    assert not torch.equal(rows, first_rows(3))
    for name in ("text_encoder", "unet", "vae"):
        for key, value in getattr(sd, name).state_dict().items():
            assert torch.equal(value, frozen[f"{name}.{key}"]), f"{name}.{key}"


def test_accumulation_changes_nothing_but_rounding(material, learn):
    one, whole, _ = learn(material, Train(steps=3, batch_size=4, weight_decay=0.1))
    four, parts, _ = learn(
        material, Train(steps=3, batch_size=4, gradient_accumulation=4, weight_decay=0.1)
    )
    torch.testing.assert_close(losses(one), losses(four), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(whole, parts, rtol=1e-3, atol=1e-4)


class Share(Processes):
    """One of several processes whose parts the test itself adds up."""

    def __init__(self, index, count):
        super().__init__()
        self.index, self.count = index, count


def test_the_shares_of_processes_add_up_to_the_whole_step(sd, material, configured, first_rows):
    ids = register(sd, WORD, 2).token_ids
    config = configured(Train(batch_size=5))

    def gradient(index, count):
        with training_rows(sd.text_encoder, ids, first_rows(0)) as word:
            share = Share(index, count)
            loss, _ = training.step_gradient(sd, word, material, config, 0, share)
            assert word.rows.grad is not None
            return word.rows.grad.clone(), loss

    whole, loss = gradient(0, 1)
    shares = [gradient(index, 3) for index in range(3)]
    torch.testing.assert_close(sum(g for g, _ in shares), whole, rtol=1e-4, atol=1e-7)
    assert sum(part for _, part in shares) == pytest.approx(loss, rel=1e-5)


def test_every_picture_comes_once_before_any_comes_twice():
    for lap in range(3):
        order = [picked(0, lap * 7 + k, 7) for k in range(7)]
        assert sorted(order) == list(range(7))
    assert [picked(0, k, 7) for k in range(7)] != list(range(7))


def test_a_batch_is_the_same_however_it_is_divided(sd, material):
    register(sd, WORD, 2)
    settings = Train(batch_size=6)
    whole = make_batch(sd, material, settings, 1, 9, range(6))
    odd = make_batch(sd, material, settings, 1, 9, range(1, 6, 2))
    for name in ("x_0", "timesteps", "eps", "token_ids"):
        assert torch.equal(getattr(whole, name)[1::2], getattr(odd, name)), name
    # one timestep in each sixth of the thousand
    assert sorted(int(t) * 6 // 1000 for t in whole.timesteps) == list(range(6))


def test_the_noise_of_two_steps_or_pictures_is_never_the_same(sd, material):
    settings = Train(batch_size=4)
    register(sd, WORD, 2)
    noises = torch.cat([make_batch(sd, material, settings, 1, s, range(4)).eps for s in (0, 1)])
    assert len({float(eps.sum()) for eps in noises}) == 8


def test_training_stops_with_a_sentence_when_the_word_gets_no_gradient(material, learn):
    lost = Material(material.examples, material.latents, ("a [filewords]",), WORD)
    with pytest.raises(UserError, match="no gradient"):
        learn(lost, Train(steps=2, batch_size=2))


def test_training_stops_with_a_sentence_when_the_loss_is_not_finite(material, learn):
    broken = [Latents(one.mean * torch.nan, one.std) for one in material.latents]
    bad = Material(material.examples, broken, material.templates, WORD)
    with pytest.raises(UserError, match="learning_rate"):
        learn(bad, Train(steps=2, batch_size=2))


def test_v_prediction_learns_the_velocity(sd, material, first_rows):
    ids = register(sd, WORD, 2).token_ids
    batch = make_batch(sd, material, Train(batch_size=2), 0, 0, range(2))
    alpha_bar = alpha_bars(sd.scheduler_config)

    class Perfect:
        """A U-Net that always answers with the velocity (Salimans & Ho 2022)."""

        def __call__(self, x_t, timesteps, encoder_hidden_states):
            a = alpha_bar[timesteps][:, None, None, None]
            v = a.sqrt() * batch.eps - (1 - a).sqrt() * batch.x_0
            return type("Output", (), {"sample": v})

    sd.unet = Perfect()
    sd.scheduler_config = sd.scheduler_config | {"prediction_type": "v_prediction"}
    with training_rows(sd.text_encoder, ids, first_rows(0)), torch.no_grad():
        assert loss_of(sd, batch).item() == pytest.approx(0, abs=1e-9)


def test_the_cosine_schedule_starts_at_the_rate_and_ends_at_zero():
    settings = Train(steps=100, learning_rate=0.01, schedule="cosine")
    found = [learning_rate(settings, step) for step in range(101)]
    assert found[0] == 0.01 and found[50] == pytest.approx(0.005) and found[100] < 1e-12
    assert found == sorted(found, reverse=True)
