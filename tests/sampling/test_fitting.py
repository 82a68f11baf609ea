"""An automatic batch size is one that fits, and a CPU without a budget keeps its own."""

import pytest

from diffusion.stable_diffusion import load
from lab.run import Run
from sampling.config import Config
from sampling.job import _batch_size


@pytest.fixture
def chosen(tiny_sd_folder, tmp_path):
    def chosen(**settings):
        sd = load(str(tiny_sd_folder), device="cpu")
        run = Run(tmp_path, "x", "sample")
        stages = _batch_size(Config(prompts=("a",), **settings), run, sd)
        told = []
        while True:
            try:
                told.append(next(stages).note)
            except StopIteration as ended:
                return ended.value, told, sd.resting

    return chosen


def test_nothing_is_chosen_by_memory_on_a_cpu(chosen):
    assert chosen() == (8, [], set())


def test_a_budget_limits_what_is_automatic_and_nothing_else(chosen):
    assert chosen(memory=8)[0] == 8
    size, told, resting = chosen(memory=0.1)
    assert size == 1
    assert "too little" in told[0]
    assert resting == {"text_encoder"}
    assert chosen(memory=0.1, batch_size=3)[0] == 3
