"""Real processes that share the steps of a training."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from studio.cli import main

ROOT = Path(__file__).resolve().parents[2]
LAUNCH = ["accelerate.commands.launch", "--cpu", "--num_processes", "2", "--num_machines", "1"]
LAUNCH += ["--mixed_precision", "no", "--dynamo_backend", "no", "-m", "ddpm"]
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
def test_two_processes_train_the_model_that_one_trains(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text(SETTINGS)
    launched = subprocess.run(
        [sys.executable, "-m", *LAUNCH, str(file), "--outputs", str(tmp_path / "two")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert launched.returncode == 0, launched.stderr
    assert main(["ddpm", str(file), "--outputs", str(tmp_path / "one")]) == 0
    two, one = (
        load_file(tmp_path / n / "x/ddpm/model/unet/diffusion_pytorch_model.safetensors")
        for n in ("two", "one")
    )
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=0, atol=1e-4)
    curves = [
        json.loads((tmp_path / n / "x/ddpm/learned.json").read_text()) for n in ("two", "one")
    ]
    assert curves[0]["losses"] == pytest.approx(curves[1]["losses"], abs=1e-4)
    for (step, value), (same, expected) in zip(*(c["validation"] for c in curves), strict=True):
        assert step == same and value == pytest.approx(expected, abs=1e-4)
    lines = (tmp_path / "two/x/ddpm/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5]
