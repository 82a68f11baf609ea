"""Real processes that share the steps of a training."""

import json

import pytest
import torch
from PIL import Image

from diffusion.formats import load_embedding
from studio.cli import main

SETTINGS = """\
inversion:
  word: <w>
  model: {model}
  data: {data}
  device: cpu
  buckets: true
  train: {{steps: 5, batch_size: 4, learning_rate: 1e-3}}
  previews: {{every: 5, prompts: ["ab [name]"], steps: 2}}
"""


@pytest.mark.slow
def test_two_processes_learn_the_rows_that_one_learns(
    tmp_path, tiny_sd_folder, draw_noise, accelerate_launch
):
    data = draw_noise(5, (32, 32))
    for name in ("wide", "long"):  # another shape, with a mask
        Image.effect_noise((40, 24), 50).convert("RGB").save(data / f"{name}.png")
        Image.linear_gradient("L").resize((40, 24)).save(data / f"{name}.mask.png")
    file = tmp_path / "x.yaml"
    file.write_text(SETTINGS.format(model=tiny_sd_folder, data=data))
    accelerate_launch("inversion", file, tmp_path / "two")
    assert main(["inversion", str(file), "--outputs", str(tmp_path / "one")]) == 0
    two, one = (
        load_embedding(tmp_path / n / "x/inversion/w.safetensors").vectors for n in ("two", "one")
    )
    torch.testing.assert_close(two, one, rtol=0, atol=1e-5)
    lines = (tmp_path / "two/x/inversion/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(6))  # 0: before training
    kept = [{path.name for path in (tmp_path / n / ".latents").iterdir()} for n in ("two", "one")]
    assert kept[0] == kept[1] and len(kept[0]) == 7
