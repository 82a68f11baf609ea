"""Real processes that share the pictures."""

import pytest
import torch

from diffusion.formats import save_embedding
from lab.config import load_experiment
from lab.run import Run
from sampling import job
from sampling.config import Config

SETTINGS = """\
sample:
  prompts: ["a cat, [name] style"]
  words: [{word}]
  seeds: [1, 2, 3, 4, 5, 6, 7]
  guidance_scales: [2]
  steps: 2
  batch_size: 2
  cell: 32
  device: cpu
  model: {model}
"""


@pytest.mark.slow
def test_two_processes_make_what_one_makes(tmp_path, tiny_sd_folder, launch):
    word, file = tmp_path / "w.safetensors", tmp_path / "x.yaml"
    save_embedding(word, "<w>", torch.ones(2, 32))
    file.write_text(SETTINGS.format(word=word, model=tiny_sd_folder))
    launch("sampling", file, tmp_path / "two")
    config = load_experiment(file, [], {"sample": Config}).sections["sample"]
    assert isinstance(config, Config)
    with Run(tmp_path / "one", "x", "sample") as run:
        list(job.run(config, run))

    def results(outputs):
        folder = tmp_path / outputs / "x" / "sample"
        files = [f for f in folder.rglob("*") if f.is_file() and f.name != "manifest.json"]
        return {f.relative_to(folder): f.read_bytes() for f in files}

    assert len(results("two")) > 7
    assert results("two") == results("one")
