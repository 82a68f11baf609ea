"""What inversion is told about its model."""

import json

import pytest
import torch
from diffusers import AutoencoderKL

from inversion import job
from inversion.config import Config
from lab.errors import UserError
from lab.run import Run


@pytest.fixture
def learned(tmp_path, tiny_sd_folder, draw_noise):
    """Learn for two steps with some settings; the run's manifest and the word's bytes."""
    data = draw_noise(2, (32, 32))

    def learn(name, **settings):
        config = Config.model_validate_json(json.dumps({
            "model": str(tiny_sd_folder), "data": str(data), "device": "cpu", "word": "<w>",
            "train": {"steps": 2, "batch_size": 2}, "previews": {"prompts": []}, **settings,
        }))  # fmt: skip
        with Run(tmp_path / "outputs", name, "inversion") as run:
            list(job.run(config, run))
        return run.read_manifest(), (run.folder / "w.safetensors").read_bytes()

    return learn


def test_another_autoencoder_is_another_model_and_another_word(tmp_path, tiny_sd_folder, learned):
    vae = AutoencoderKL.from_pretrained(tiny_sd_folder / "vae")
    with torch.no_grad():
        for weight in vae.parameters():
            weight.mul_(1.1)
    vae.save_pretrained(tmp_path / "vae")
    own, word = learned("own")
    other, moved = learned("other", vae=str(tmp_path / "vae"))
    assert own["key"] != other["key"]
    assert own["model_fingerprint"] != other["model_fingerprint"]
    assert word != moved


def test_an_autoencoder_that_is_not_there_is_named(learned, tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        learned("x", vae=str(tmp_path / "nowhere"))
    assert not (tmp_path / "outputs").exists()
