"""Real processes that share the steps of a training."""

import json

import pytest
import torch

from ddpm.loading import load_unconditional
from studio.cli import main

SETTINGS = """\
ddpm:
  data: {source: "drawn:flowers", count: 24, size: 8}
  model: {channels: [4, 8]}
  schedule: {timesteps: 8}
  train: {steps: 5, batch_size: 5, validate_every: 2, validation_pictures: 3, weight_decay: 0.1}
  sample: {count: 2, batch_size: 2, steps: 4}
  device: cpu
"""


@pytest.mark.slow
def test_two_processes_train_the_model_that_one_trains(tmp_path, launch):
    file = tmp_path / "x.yaml"
    file.write_text(SETTINGS)
    launch("ddpm", file, tmp_path / "two")
    assert json.loads((tmp_path / "two/x/ddpm/manifest.json").read_text())["processes"] == 2
    assert main(["ddpm", str(file), "--outputs", str(tmp_path / "one")]) == 0
    two, one = (load_unconditional(tmp_path / n / "x")[0] for n in ("two", "one"))
    # Not the weights: those that change nothing, such as a bias that a norm takes away again, have
    # gradients of pure rounding, which Adam makes as large as all others.
    x, t = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(8)
    torch.testing.assert_close(two(x, t).sample, one(x, t).sample, rtol=0, atol=1e-4)
    curves = [
        json.loads((tmp_path / n / "x/ddpm/learned.json").read_text()) for n in ("two", "one")
    ]
    assert curves[0]["losses"] == pytest.approx(curves[1]["losses"], abs=1e-5)
    for (step, value), (same, expected) in zip(*(c["validation"] for c in curves), strict=True):
        assert step == same and value == pytest.approx(expected, abs=1e-5)
    lines = (tmp_path / "two/x/ddpm/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5]
