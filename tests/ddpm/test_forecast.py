"""What a run says beforehand is what it does."""

import json
from typing import Any

import pytest

from ddpm import denoising, job, learning, looks, samples
from ddpm.config import Config
from ddpm.forecast import drawings, trainings
from lab.run import Run

TIMESTEPS = {"counts": [25, 30], "scaled": [False, True], "pictures": 2, "measured": 3}
EVERYTHING = {
    "study": {
        "timesteps": TIMESTEPS,
        "randomness": {"scaled": [False, True], "pictures": 1, "measured": 0},
        "samplers": {"steps": [4, 40, 90], "pictures": 1, "measured": 3},
    },
    "guide": {
        "losses": [{"target": "red"}, {"target": "teal"}],
        "strengths": [0, 1],
        "pictures": 3,
        "measured": 5,
    },
    "film": {"pictures": 5, "formats": ["gif"], "guide": {"losses": [{"target": "red"}]}},
    "measure": {"count": 5, "baselines": []},
}
OTHERWISE = {
    "sample": {"count": 0, "batch_size": 3},
    "study": {"randomness": {"pictures": 2, "measured": 4}},
    "film": {"pictures": 5, "formats": ["gif"]},
}


def config_of(**settings: Any) -> Config:
    written = {
        "data": {"source": "drawn:flowers", "count": 40, "size": 8, "test": 0.3},
        "model": {"channels": [4, 8]},
        "schedule": {"name": "linear", "timesteps": 25},
        "train": {"steps": 2, "batch_size": 4, "validate_every": 1, "validation_pictures": 4},
        "sample": {"count": 3, "batch_size": 2, "steps": 3},
        **settings,
    }
    return Config.model_validate_json(json.dumps(written))


@pytest.fixture
def counted(monkeypatch):
    """The pictures of every evaluation while something is drawn, and the trainings."""
    calls: list[int] = []
    trained: list[str] = []
    train = learning._train

    def guessing(unet, x_t, *arguments):  # the network's answer does not matter here
        calls.append(len(x_t))
        return x_t / 2

    def training(*arguments):
        trained.append(arguments[7])
        return train(*arguments)

    for module in (looks, samples):
        monkeypatch.setattr(module, "save_figure", lambda *_: None)
    monkeypatch.setattr(denoising, "_guess", guessing)
    monkeypatch.setattr(learning, "_train", training)
    return calls, trained


@pytest.mark.parametrize("settings", [EVERYTHING, OTHERWISE], ids=["everything", "otherwise"])
def test_the_forecast_is_what_is_done(settings, counted, tmp_path):
    config = config_of(**settings)
    with Run(tmp_path, "x", "ddpm") as run:
        list(job.run(config, run))
    calls, trained = counted
    drawn = drawings(config, 25, 5)
    assert sorted(calls) == sorted(each.at_once for each in drawn for _ in range(each.calls))
    assert len(trained) == trainings(config)


def test_a_dry_run_says_it_and_writes_nothing(tmp_path):
    config = config_of(study={"timesteps": TIMESTEPS}, measure={"baselines": []})
    said = job.forecast(config, Run(tmp_path, "x", "ddpm"))
    assert said[0] == "40 pictures"
    assert said[1].startswith("4 trainings of at most 2 steps of 4 pictures, about ")
    # 2 batches of 3 samples; of 3 pictures for each timestep of 25, 25, 30, 30; of 6 measured
    assert "(samples, studies, measures): 235 evaluations" in said[2]
    assert list(tmp_path.iterdir()) == []
    alone = Config.model_validate_json('{"model": {"pretrained": "drawn"}, "sample": {"steps": 2}}')
    assert "(samples): 2 evaluations" in job.forecast(alone, Run(tmp_path, "x", "ddpm"))[0]
