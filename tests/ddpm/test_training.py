"""A step is a step, however it is divided, and a curve is one of the model alone."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from ddpm import training
from ddpm.batches import FIRST, assemble, draw_items, fixed_items
from ddpm.config import Config, Data, Model, Schedule, Train
from ddpm.data import Pictures, Scan
from ddpm.learning import open_model
from ddpm.training import Measured, State, Trainer, is_enough, learning_rate, train
from lab import device
from lab.device import pick_autocast
from lab.errors import UserError
from lab.processes import Processes

CPU = torch.device("cpu")
TRAIN = Train(steps=4, batch_size=6, learning_rate=1e-2, validate_every=2, validation_pictures=3)


def pictures_of(count: int = 12) -> Pictures:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)
    parts = tuple(range(count - 4)), tuple(range(count - 4, count - 1)), (count - 1,)
    scan = Scan(count, (8, 8), (8, 8), 8, 0, 0)
    return Pictures(pixels, ("",) * count, *parts, scan=scan)


def config_of(train: Train = TRAIN, **settings: Any) -> Config:
    return Config(
        data=Data(size=8),
        model=Model(channels=(4, 8)),
        schedule=Schedule(timesteps=10),
        train=train,
        **settings,
    )


def trainer_of(config: Config, processes: Processes | None = None) -> Trainer:
    unet, scheduler = open_model(config, CPU)
    unet.requires_grad_(True)
    alone = processes or Processes.alone()
    return Trainer(unet, scheduler, pictures_of(), config, torch.float32, alone)


def gradient_of(trainer: Trainer) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in trainer.parameters])


@pytest.fixture(scope="module")
def whole():
    """The gradient of step 3, computed by the book: the mean of the loss over its pictures."""
    trainer = trainer_of(config_of())
    batch = assemble(trainer.pictures.pixels, 0, trainer.items(3, 6), CPU)
    a = trainer.alpha_bars[batch.timesteps].view(-1, 1, 1, 1)
    output = trainer.unet(a.sqrt() * batch.x_0 + (1 - a).sqrt() * batch.eps, batch.timesteps).sample
    ((output - batch.eps) ** 2).mean().backward()
    return gradient_of(trainer)


@pytest.mark.parametrize("part_size", [1, 4, 6])
def test_accumulation_is_divided_rightly(whole, part_size):
    trainer = trainer_of(config_of())
    _, fitting = trainer.gradient(3, 6, part_size)
    assert fitting == part_size
    torch.testing.assert_close(gradient_of(trainer), whole, rtol=1e-4, atol=1e-6)


def test_processes_add_up_to_one(whole):
    total = torch.zeros_like(whole)
    for index in range(2):
        processes = Processes.alone()
        processes.index, processes.count = index, 2
        trainer = trainer_of(config_of(), processes)
        trainer.gradient(3, 6)  # with no others to ask, `sum` is this process's part alone
        total += gradient_of(trainer)
    torch.testing.assert_close(total, whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("loss", "power"), [("mse", 2), ("l1", 1)])
def test_the_loss_is_the_one_that_was_asked_for(loss, power):
    trainer = trainer_of(config_of(TRAIN.model_copy(update={"loss": loss})))
    batch = assemble(trainer.pictures.pixels, 0, trainer.items(0, 6), CPU)
    a = trainer.alpha_bars[batch.timesteps].view(-1, 1, 1, 1)
    output = trainer.unet(a.sqrt() * batch.x_0 + (1 - a).sqrt() * batch.eps, batch.timesteps).sample
    expected = ((output - batch.eps).abs() ** power).mean(dim=(1, 2, 3))
    torch.testing.assert_close(trainer.loss_of(batch, "none"), expected)


def test_a_model_learns_what_its_scheduler_says_it_predicts():
    config = config_of()
    config = config.model_copy(update={"model": Model(channels=(4, 8), prediction="v_prediction")})
    trainer = trainer_of(config)
    batch = assemble(trainer.pictures.pixels, 0, trainer.items(0, 6), CPU)
    a = trainer.alpha_bars[batch.timesteps].view(-1, 1, 1, 1)
    output = trainer.unet(a.sqrt() * batch.x_0 + (1 - a).sqrt() * batch.eps, batch.timesteps).sample
    v = a.sqrt() * batch.eps - (1 - a).sqrt() * batch.x_0
    expected = ((output - v) ** 2).mean(dim=(1, 2, 3))
    torch.testing.assert_close(trainer.loss_of(batch, "none"), expected)


def test_steps_follow_from_their_numbers():
    everything = draw_items(range(5), 6, True, 1, 7, range(6), 100)
    part = draw_items(range(5), 6, True, 1, 7, [1, 4], 100)
    assert part == [everything[1], everything[4]]
    assert draw_items(range(5), 6, True, 1, 8, range(6), 100) != everything
    slices = [item.timestep * 6 // 100 for item in everything]
    assert slices == list(range(6))  # one timestep of every sixth
    seen = [
        i.picture for step in range(5) for i in draw_items(range(5), 6, False, 1, step, range(6), 9)
    ]
    assert all(seen.count(k) == 6 for k in range(5))  # each once before any twice


def test_what_is_measured_is_fixed_and_no_training_step_has_its_noise():
    items = fixed_items([7, 8, 9], 2, 10)
    assert [item.picture for item in items] == [7, 8]
    assert all(item.noise <= FIRST < 0 and not item.mirrored for item in items)
    trainer = trainer_of(config_of())
    average = training.EMAModel(trainer.unet.parameters(), decay=0.5)
    before = [p.detach().clone() for p in trainer.parameters]
    values = [trainer.measure(average, size) for size in (3, 1)]
    assert values[0] == pytest.approx(values[1], rel=1e-5)
    assert all(torch.equal(p, b) for p, b in zip(trainer.parameters, before, strict=True))


def run_all(trainer: Trainer, state: State | None = None) -> list[State]:
    return [replace(state) for _, state in train(trainer, state)]


def test_the_average_is_the_recurrence_and_the_best_is_kept():
    trainer = trainer_of(config_of())
    average = [p.detach().clone() for p in trainer.parameters]
    for step, state in train(trainer):
        decay = 0.0 if step.step == 1 else min(TRAIN.ema, step.step / (9 + step.step))
        for kept, p in zip(average, trainer.parameters, strict=True):
            kept.lerp_(p.detach(), 1 - decay)
        if state.best_measured == step.measured and step.measured:
            best = [kept.clone() for kept in average]
    for p, kept in zip(trainer.parameters, best, strict=True):
        torch.testing.assert_close(p.detach(), kept, rtol=1e-5, atol=1e-6)
    assert [m.step for m in state.history] == [2, 4]


def test_learning_lowers_the_validation_loss():
    settings = TRAIN.model_copy(update={"steps": 30, "validate_every": 10, "ema": 0.0})
    trainer = trainer_of(config_of(settings))
    (*_, last) = run_all(trainer)
    values = [m.validation for m in last.history]
    assert values[-1] < 0.9 * values[0]


def test_pictures_by_heart_end_early():
    def state(*values: float) -> State:
        history = tuple(Measured(10 * k, v) for k, v in enumerate(values, 1))
        return State(0, {}, {}, {}, history, [], 1, 1)

    patient = TRAIN.model_copy(update={"patience": 2})
    assert not is_enough(state(), patient)
    assert not is_enough(state(3, 2, 2.5), patient)
    assert is_enough(state(3, 2, 2.5, 2), patient)  # equal is not better
    assert not is_enough(state(3, 2, 2.5, 2), TRAIN)  # patience 0: never


def test_the_rate_rises_stays_and_falls():
    settings = Train(steps=100, learning_rate=1.0, warmup=10, decay=0.5)
    rates = [learning_rate(settings, step) for step in range(100)]
    assert rates[:10] == pytest.approx([(k + 1) / 10 for k in range(10)])
    assert set(rates[10:50]) == {1.0}
    assert rates[75] == pytest.approx(0.5) and 0 < rates[99] < 0.01
    assert rates[50:] == sorted(rates[50:], reverse=True)


def test_a_step_that_is_no_number_ends_the_training():
    trainer = trainer_of(config_of(TRAIN.model_copy(update={"learning_rate": 1e30})))
    with pytest.raises(UserError, match=r"is not a number .* lower ddpm.train.learning_rate"):
        run_all(trainer)


def test_where_memory_runs_out_the_step_stays_the_same(monkeypatch, whole):
    def scarce(pixels, seed, items, where):
        if len(items) > 4:
            raise MemoryError
        return assemble(pixels, seed, items, where)

    monkeypatch.setattr(training, "assemble", scarce)
    trainer = trainer_of(config_of())
    _, fitting = trainer.gradient(3, 6)
    assert fitting == 3
    torch.testing.assert_close(gradient_of(trainer), whole, rtol=1e-4, atol=1e-6)
    found = training.batch_size_of(
        trainer_of(config_of(TRAIN.model_copy(update={"batch_size": "auto"})))
    )
    assert found == (4, 4)


def test_bf16_is_refused_where_it_would_be_fp32(monkeypatch):
    monkeypatch.setattr(device, "has_bf16", lambda where: False)
    with pytest.raises(UserError, match=r"ddpm.dtype bf16: cpu has no bf16"):
        pick_autocast("bf16", CPU, "ddpm.dtype")
    assert pick_autocast("auto", CPU, "ddpm.dtype") == torch.float32
    monkeypatch.setattr(device, "has_bf16", lambda where: True)
    assert pick_autocast("bf16", CPU, "ddpm.dtype") == torch.bfloat16


def test_in_bf16_the_weights_stay_fp32_and_the_gradient_is_close(whole):
    if not device.has_bf16(CPU):
        pytest.skip("this CPU has no bf16")
    trainer = trainer_of(config_of())
    trainer.dtype = torch.bfloat16
    trainer.gradient(3, 6)
    found = gradient_of(trainer)
    assert found.dtype == torch.float32 and not torch.equal(found, whole)
    assert float((found - whole).norm() / whole.norm()) < 0.05
    assert math.isfinite(float(found.norm()))
