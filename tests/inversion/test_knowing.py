"""Laws of the objective, of the best word, of stopping, and of the ways to compute a step."""

import json

import pytest
import torch

from diffusion.pseudo_word import register, training_rows
from diffusion.schedule import alpha_bars
from inversion import training
from inversion.config import Config, Objective, Stop, Train
from inversion.initial import vocabulary_norms
from inversion.loss import timestep_weights
from inversion.objective import FIRST, fixed_items, split
from inversion.objective import Objective as Measuring
from inversion.optimizing import LossScale, make_optimizer, result, showing
from inversion.report import asks_for_more
from inversion.stopping import Measured
from inversion.training import TrainStep
from lab.errors import UserError
from lab.processes import Processes


def measured(items):
    found = [item if isinstance(item, Measured) else item.measured for item in items]
    return [one for one in found if one is not None]


def test_the_objective_is_the_same_number_for_the_same_rows(sd, material, configured, first_rows):
    ids = register(sd, material.word, 2).token_ids
    config = configured(Train(batch_size=2), objective=Objective(pictures=5, held_out=0.4))
    others = first_rows(1) * 30
    with training_rows(sd.text_encoder, ids, first_rows(0)) as word:
        objective = Measuring(sd, material, config, Processes())
        one, same = objective.measure(0), objective.measure(9)
        assert (one.objective, one.held_out) == (same.objective, same.held_out)
        with torch.no_grad():
            word.rows.copy_(others)
        other = objective.measure(0)
    assert other.objective != one.objective and other.held_out != one.held_out


class Share(Processes):
    def __init__(self, index, count):
        super().__init__()
        self.index, self.count = index, count


def test_processes_share_the_measuring(sd, material, configured, first_rows):
    ids = register(sd, material.word, 2).token_ids
    config = configured(Train(batch_size=4), objective=Objective(pictures=7))
    with training_rows(sd.text_encoder, ids, first_rows(0)):
        shares = [(0, 1), (0, 3), (1, 3), (2, 3)]
        whole, *parts = [
            Measuring(sd, material, config, Share(*share)).measure(0).objective for share in shares
        ]
    assert sum(parts) == pytest.approx(whole, rel=1e-5)


def test_what_is_measured_is_never_trained_on(material, configured):
    config = configured(Train(batch_size=4))
    items = fixed_items(material, config, range(20), FIRST, 1000)
    assert [item.noise for item in items] == list(range(FIRST, FIRST - 20, -1))
    assert {item.picture for item in items} == set(range(5))
    tenths = [item.timestep // 100 for item in items]  # evenly spread: two in each, give or take
    assert all(1 <= tenths.count(k) <= 3 for k in range(10))


def test_pictures_held_out_are_not_trained_on(material):
    trained, unseen = split(material, 0.4, 3)
    assert unseen is not None and len(unseen.examples) == 2
    names = {example.caption for example in [*trained.examples, *unseen.examples]}
    assert len(names) == 5 and len(trained.examples) == len(trained.latents) == 3
    assert split(material, 0.4, 3)[1].examples == unseen.examples  # type: ignore[union-attr]
    assert split(material, 0.0, 3) == (material, None)
    assert len(split(material, 0.01, 3)[1].examples) == 1  # type: ignore[union-attr]


def test_the_best_rows_are_kept_and_not_the_last(material, learn, configured):
    config = configured(Train(steps=8, batch_size=2, learning_rate=0.3), seed=1)
    items, rows, state = learn(material, config)
    values = {one.step: one.objective for one in measured(items)}
    assert list(values) == [0, 2, 4, 6, 8]
    best = min(list(values)[1:], key=lambda step: values[step])
    assert state.best_measured.step == best
    assert torch.equal(rows, state.best)
    _, _, then = learn(material, config, stop=best)
    assert torch.equal(then.result, state.best)


def test_training_ends_when_the_rule_speaks(monkeypatch, material, learn, configured):
    monkeypatch.setattr(training, "is_enough", lambda history, stop: history[-1].step >= 4)
    stop = Stop(rule="plateau", cooldown=0.5)
    items, _, _ = learn(material, configured(Train(steps=50, batch_size=2), stop=stop))
    steps = [item for item in items if isinstance(item, TrainStep)]
    assert [step.step for step in steps] == [1, 2, 3, 4, 5, 6]
    assert [step.learning_rate for step in steps[4:]] == pytest.approx([5e-3 * 2 / 3, 5e-3 / 3])
    assert measured(items)[-1].step == 6  # the end is measured whatever its number


@pytest.mark.parametrize("at", [1, 3, 5])
def test_schedule_free_resumes_to_the_same_bits(material, learn, configured, at):
    config = configured(Train(steps=6, batch_size=2, optimizer="schedule_free"))
    _, whole, end = learn(material, config)
    _, _, state = learn(material, config, stop=at)
    _, again, resumed = learn(material, config, state=state)
    assert torch.equal(again, whole) and torch.equal(end.rows, resumed.rows)
    assert not torch.equal(end.rows, end.result)


def test_schedule_free_shows_its_average():
    """Without noise in the gradient, x_n is the mean of z_1 ... z_n (Defazio et al. 2024)."""
    rows = torch.nn.Parameter(torch.tensor([[1.0, 2.0]]))
    optimizer = make_optimizer(rows, Train(optimizer="schedule_free"))
    path = []
    for _ in range(5):
        for group in optimizer.param_groups:
            group["lr"] = 0.1
        rows.grad = torch.tensor([[0.3, -0.2]])
        optimizer.step()
        path.append(optimizer.state[rows]["z"].clone())
    torch.testing.assert_close(result(optimizer, rows), torch.stack(path).mean(0))
    before = rows.detach().clone()
    with showing(rows, result(optimizer, rows)):
        assert not torch.equal(rows, before)
    assert torch.equal(rows, before)


def test_where_memory_runs_out_the_step_stays_the_same_step(
    monkeypatch, material, learn, configured
):
    config = configured(Train(steps=3, batch_size=4))
    _, whole, _ = learn(material, config)
    real, sizes = training.loss_of, []

    def poor(sd, batch, weights=None):
        sizes.append(len(batch.x_0))
        if len(batch.x_0) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")
        return real(sd, batch, weights)

    monkeypatch.setattr(training, "loss_of", poor)
    _, rows, state = learn(material, config)
    assert sizes == [4, 2, 2, 2, 2, 2, 2]  # it is tried once, not in every step
    assert state.part_size == 2
    torch.testing.assert_close(rows, whole, rtol=1e-3, atol=1e-4)


def test_gradient_checkpointing_changes_no_bit(sd, material, learn, configured):
    calls = []
    sd.unet.mid_block.register_forward_hook(lambda *_: calls.append(torch.is_grad_enabled()))
    _, plain, _ = learn(material, configured(Train(steps=2, batch_size=2)))
    once = len(calls)
    calls.clear()
    config = configured(Train(steps=2, batch_size=2, gradient_checkpointing=True))
    _, rows, _ = learn(material, config)
    assert torch.equal(rows, plain)
    assert sd.unet.is_gradient_checkpointing and len(calls) >= once


def test_min_snr_weights_are_the_papers(sd):
    """Hang et al. 2023, arXiv:2303.09556, section 3.4."""
    alpha_bar = alpha_bars(sd.scheduler_config)
    snr = alpha_bar / (1 - alpha_bar)
    settings = Train(min_snr_gamma=5.0)
    expected = torch.minimum(snr, torch.tensor(5.0)) / snr
    torch.testing.assert_close(timestep_weights(sd, settings), expected)
    sd.scheduler_config = sd.scheduler_config | {"prediction_type": "v_prediction"}
    expected = torch.minimum(snr, torch.tensor(5.0)) / (snr + 1)
    torch.testing.assert_close(timestep_weights(sd, settings), expected)
    assert timestep_weights(sd, Train()) is None


def test_min_snr_changes_what_is_learned(material, learn, configured):
    _, plain, _ = learn(material, configured(Train(steps=2, batch_size=2)))
    _, other, _ = learn(material, configured(Train(steps=2, batch_size=2, min_snr_gamma=0.5)))
    assert not torch.equal(plain, other)


def test_the_loss_scale_undoes_itself_and_shrinks_where_it_overflows():
    scale = LossScale(torch.float16, 8.0, 0)
    gradient = torch.tensor([16.0, -8.0])
    assert scale.unscale(gradient) and gradient.tolist() == [2.0, -1.0]
    assert not scale.unscale(torch.tensor([torch.inf]))
    assert scale.value == 4.0
    for _ in range(200):
        assert scale.unscale(torch.ones(1))
    assert scale.value == 8.0
    last = LossScale(torch.float16, 1.0, 0)
    assert last.unscale(torch.tensor([torch.nan]))  # for the caller to refuse: no factor helps
    assert LossScale(torch.float32).value == 1.0


@pytest.mark.parametrize("how", ["clip", "project"])
def test_the_best_rows_keep_the_length_that_is_asked_for(sd, material, learn, configured, how):
    train = Train(steps=4, batch_size=2, learning_rate=0.5, optimizer="schedule_free")
    _, rows, _ = learn(material, configured(train, norm=how))
    norms = vocabulary_norms(sd)
    lengths = rows.norm(dim=1)
    if how == "clip":
        assert (lengths <= norms.long * 1.0001).all()
    else:
        torch.testing.assert_close(lengths, torch.full((2,), norms.mean))


def test_a_gradient_that_is_no_number_ends_the_training(monkeypatch, material, learn):
    real = training.step_gradient

    def broken(sd, word, *rest):
        loss, size = real(sd, word, *rest)
        word.rows.grad[0, 0] = torch.inf
        return loss, size

    monkeypatch.setattr(training, "step_gradient", broken)
    with pytest.raises(UserError, match=r"step 1 .* not a number.*learning_rate"):
        learn(material, Config(train=Train(steps=2, batch_size=2)))


@pytest.mark.parametrize(
    ("prompt", "more"),
    [
        ("a rabbit, [name] style", True),
        ("a cat, [name] style", False),
        ("a painting of a dog by [name]", False),
        ("A Cat", False),
    ],
)
def test_a_preview_of_what_is_not_in_the_data_is_marked(prompt, more):
    captions = ["a cat on a wall", "a dog"]
    assert asks_for_more(prompt, Config(), captions, Config().templates) == more


def test_values_that_are_shown_and_not_said_are_in_the_data():
    balance = {"attribute": "colour", "values": ["red", "blue"], "from": "metadata"}
    settings = {"word": "cat", "overwrite": True, "balance": balance}
    config = Config.model_validate_json(json.dumps(settings))
    assert not asks_for_more("a blue cat", config, ["a cat"], ["a [name]"])
    assert asks_for_more("a green cat", config, ["a cat"], ["a [name]"])
