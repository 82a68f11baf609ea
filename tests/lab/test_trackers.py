"""What a tracker is told: the numbers of metrics.jsonl, once each, under settings it can take."""

import importlib
import importlib.util

import pytest
from accelerate import tracking

from inversion.config import Config, Train
from lab import trackers
from lab.errors import UserError
from lab.run import Run
from lab.trackers import flat, require_tracker, tracked, within


class Heard(tracking.GeneralTracker):
    """A tracker that remembers; made as accelerate's own are."""

    name = "tensorboard"
    requires_logging_directory = True
    made: list["Heard"] = []

    def __init__(self, run_name, logging_dir=None, **kwargs):
        super().__init__()
        self.about = {"run_name": run_name, "logging_dir": logging_dir, **kwargs}
        self.config, self.lines, self.finished = {}, [], False
        Heard.made.append(self)

    @property
    def tracker(self):
        return self

    def start(self):
        pass

    def store_init_configuration(self, values):
        self.config = values

    def log(self, values, step=None, **kwargs):
        assert not self.finished
        self.lines.append((step, values))

    def finish(self):
        self.finished = True


@pytest.fixture
def made(monkeypatch):
    monkeypatch.setattr(Heard, "made", [])
    for name in ("tensorboard", "wandb", "trackio"):
        monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, name, Heard)
    return Heard.made


def learn(run, name, *, steps=3, continued=False):
    for step in within(tracked(name, run, "<w>", Train(), continued=continued), range(steps)):
        run.metric(word="<w>", step=step, loss=0.5 * step)


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "trackio"])
def test_the_numbers_of_every_line_are_told_at_their_step(made, tmp_path, name):
    with Run(tmp_path, "test", "inversion") as run:
        assert not run.is_complete("key")
        learn(run, name)
        run.metric(step=9, loss=9.0)  # after the curve: nobody listens any more
    (heard,) = made
    assert heard.lines == [(step, {"loss": 0.5 * step}) for step in range(3)]
    assert heard.finished and not run.listeners
    assert len(run.metrics()) == 4


def test_a_tracker_is_left_also_when_learning_fails(made, tmp_path):
    run = Run(tmp_path, "test", "inversion")
    with pytest.raises(ZeroDivisionError), run, tracked("trackio", run, "<w>", {}):
        run.metric(step=0, loss=1.0)
        raise ZeroDivisionError
    assert made[0].finished


def test_nothing_is_told_by_default_and_by_other_processes(made, tmp_path, monkeypatch):
    assert Config(word="<w>").track == "none"
    with Run(tmp_path, "test", "inversion") as run:
        learn(run, "none")
        monkeypatch.setattr(run, "is_main", False)
        learn(run, "wandb")
    assert not made


def test_a_continued_curve_keeps_its_name_and_a_new_one_gets_another(made, tmp_path):
    with Run(tmp_path, "test", "inversion") as run:
        for continued in (False, True, False):
            learn(run, "wandb", continued=continued)
    first, second, third = (heard.about["id"] for heard in made)
    assert first == second != third


def test_settings_are_flat_and_hold_no_lists(made):
    settings = flat(Config(word="<w>", num_vectors=(1, 16)))
    assert settings["train.batch_size"] == Config(word="<w>").train.batch_size
    assert settings["num_vectors"] == "[1, 16]" and settings["balance"] == "null"
    assert all(isinstance(value, str | int | float) for value in settings.values())


def test_a_tracker_that_is_not_installed_is_a_mistake(monkeypatch):
    monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda name: None)
    require_tracker("none")
    with pytest.raises(UserError, match="pip install trackio"):
        require_tracker("trackio")


def test_a_tracker_that_cannot_begin_is_a_mistake(made, tmp_path, monkeypatch):
    def refuse(self):
        raise ValueError("no login")

    monkeypatch.setattr(Heard, "start", refuse)
    with Run(tmp_path, "test", "inversion") as run, pytest.raises(UserError, match="no login"):
        learn(run, "wandb")


@pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None, reason="tensorboard is an optional package"
)
def test_tensorboard_reads_what_was_told(tmp_path):
    reading = "tensorboard.backend.event_processing.event_accumulator"
    EventAccumulator = importlib.import_module(reading).EventAccumulator
    with Run(tmp_path, "test", "inversion") as run:
        learn(run, "tensorboard")
    events = EventAccumulator(str(run.folder / trackers.FOLDER / "w")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [
        (0, 0.0),
        (1, 0.5),
        (2, 1.0),
    ]
