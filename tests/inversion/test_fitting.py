"""Memory decides how a step is computed, and never which step it is."""

import pytest
import torch

from diffusion.fitting import Plan
from diffusion.footprint import Footprint
from inversion import job
from inversion.config import Config, Train
from inversion.speed import fitted, plan_for
from lab.run import Run

GB = 10**9


def planned(at_once, checkpointing=False, resting=""):
    return Plan(Footprint(GB, GB), 3 * GB, at_once, checkpointing, resting)


def test_training_ends_with_the_same_rows_whatever_plan_is_chosen(material, learn, configured):
    config = configured(Train(steps=3, batch_size=4))
    _, whole, _ = learn(material, config)
    _, twice, _ = learn(material, fitted(config, planned(4, checkpointing=True), 1))
    assert torch.equal(twice, whole)
    for at_once in (3, 2, 1):
        parts = fitted(config, planned(at_once, checkpointing=True), 1)
        _, rows, state = learn(material, parts)
        assert state.part_size <= at_once
        torch.testing.assert_close(rows, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_a_part_is_never_larger_than_planned(processes):
    for batch_size in range(1, 12):
        mine = -(-batch_size // processes)
        for at_once in range(1, mine + 1):
            config = fitted(Config(train=Train(batch_size=batch_size)), planned(at_once), processes)
            parts = config.train.gradient_accumulation
            assert -(-mine // parts) <= at_once
            assert parts == 1 or -(-mine // (parts - 1)) > at_once  # no part too many


def test_a_budget_is_planned_for(sd, configured):
    config = configured(Train(batch_size=4), memory=8)
    plan = plan_for(sd, config, [(64, 64), (64, 32)], 1)
    assert plan.fits
    assert (plan.at_once, plan.checkpointing, plan.budget) == (4, False, 8 * GB)
    tight = plan_for(sd, config.model_copy(update={"memory": 0.1}), [(64, 64)], 1)
    assert (tight.at_once, tight.checkpointing, tight.resting) == (1, True, "vae")
    said = tight.sentence("pictures")
    assert "gradient checkpointing" in said
    assert "too little" in said
    assert plan_for(sd, config, [(64, 64)], 2).at_once == 2


def test_memory_is_no_part_of_the_result():
    def key(**changes):
        return Run.fingerprint(job._inputs(Config(**changes), [], []))

    assert key() == key(memory=8) == key(train=Train(gradient_checkpointing=True))
    assert key() != key(train=Train(batch_size=4))


def test_a_cpu_has_nothing_chosen(sd, configured, tmp_path):
    config = configured(Train(batch_size=4))
    run = Run(tmp_path, "x", "inversion")
    stages = job._fitted(config, run, sd, [(64, 64)])
    with pytest.raises(StopIteration) as ended:
        next(stages)
    assert ended.value.value is config
    assert run.notes == []
    assert not sd.resting
    assert "memory" not in run.manifest


def test_a_tight_budget_is_told_before_the_long_part(sd, configured, tmp_path):
    config = configured(Train(batch_size=4), memory=0.1)
    run = Run(tmp_path, "x", "inversion")
    stages = job._fitted(config, run, sd, [(64, 64)])
    assert "0.1 GB to be had" in next(stages).note
    with pytest.raises(StopIteration) as ended:
        next(stages)
    chosen = ended.value.value.train
    assert (chosen.gradient_checkpointing, chosen.gradient_accumulation) == (True, 4)
    assert sd.resting == {"vae"}
    assert run.manifest["memory"]["off_the_device"] == "vae"


def test_a_dry_run_says_the_memory_and_writes_nothing(tiny_sd_folder, tmp_path):
    config = Config(model=str(tiny_sd_folder), memory=8, device="cpu", num_vectors=(1, 2))
    said = " ".join(job.forecast(config, Run(tmp_path, "x", "inversion")))
    assert "at most 600 steps of 8 pictures, about" in said  # 300 for each of two words
    assert "8 pictures at once" in said
    assert "counted, 8.0 GB to be had" in said
    assert "as it stands" in said
    assert list(tmp_path.iterdir()) == []
