"""A checkpoint as people share it, from pictures to a film: one .safetensors, its tokenizer beside
it, an autoencoder apart.

Every day with reduced widths. With `-m real_size` also with those of Stable Diffusion 1.x: 4 GB of
disk, 8 GB of memory and some minutes.
"""

import functools
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

from diffusion import ldm, stable_diffusion
from diffusion.architecture import SD1
from diffusion.formats import load_embedding
from lab.video import count_frames
from studio.cli import main

REDUCED = replace(
    SD1,
    unet=SD1.unet | {
        "sample_size": 8, "block_out_channels": (32, 32, 64, 64), "cross_attention_dim": 32
    },
    vae=SD1.vae | {"block_out_channels": (32, 32, 32, 32)},
    text_encoder=SD1.text_encoder | {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "projection_dim": 32,
    },
)  # fmt: skip
EXPERIMENT = """
name: shared
cropping: {{source: {pictures}, size: 64}}
inversion:
  word: <w>
  num_vectors: 2
  {model}
  resolution: 64
  train: {{steps: 2, batch_size: 2}}
  objective: {{pictures: 2, every: 1}}
  previews: {{every: 2, prompts: ["a [name]"], steps: 1}}
cfg:
  prompt: a (big:1.2) <w>
  {model}
  prompt_weights: true
  guidance_scales: [0, 1, 7.5]
  steps: 2
  batch_size: 2
  video: {{size: 64}}
sample: {{prompts: ["a [name]"], {model}, seeds: [1], steps: 1, width: 64, height: 64}}
"""


@pytest.fixture(params=["reduced", pytest.param(
    "real", marks=[pytest.mark.real_size, pytest.mark.timeout(3600)]
)])  # fmt: skip
def shared(request, tmp_path, monkeypatch, in_ldm_layout, save_clip_tokenizer):
    """The file and the settings that name it; its weights are random."""
    shapes = SD1 if request.param == "real" else REDUCED
    for name in ("read_checkpoint", "read_vae"):
        reader = functools.partial(getattr(stable_diffusion, name), architecture=shapes)
        monkeypatch.setattr(stable_diffusion, name, reader)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = SimpleNamespace(
            unet=UNet2DConditionModel.from_config(shapes.unet).half(),
            vae=AutoencoderKL.from_config(shapes.vae).half(),
            text_encoder=CLIPTextModel(CLIPTextConfig(**shapes.text_encoder)).half(),
        )
    save_clip_tokenizer(tmp_path / "tokenizer")
    state = in_ldm_layout(model)
    save_file(state, tmp_path / "model.safetensors")
    vae = {key.removeprefix(ldm.VAE): t * 1.1 for key, t in state.items() if ldm.VAE in key}
    save_file(vae, tmp_path / "model.vae.safetensors")
    files = f"model: {tmp_path / 'model.safetensors'}, vae: {tmp_path / 'model.vae.safetensors'}"
    return f"{files}, device: cpu, dtype: bf16, memory: 8", shapes


def test_from_pictures_to_a_film(tmp_path, shared, draw_noise):
    settings, shapes = shared
    pictures, file = draw_noise(3, (80, 64)), tmp_path / "shared.yaml"
    lines = settings.replace(", ", "\n  ")
    inner = EXPERIMENT.replace("\n  {model}", f"\n  {lines}").replace("{model}", settings)
    file.write_text(inner.format(pictures=pictures))
    assert main(["run", str(file), "--outputs", str(tmp_path / "out")]) == 0
    folder = tmp_path / "out" / "shared"
    word = load_embedding(folder / "inversion" / "w.safetensors")
    assert word.vectors.shape == (2, shapes.text_encoder["hidden_size"])
    assert word.vectors.isfinite().all()
    manifests = [
        json.loads((folder / job / "manifest.json").read_text())
        for job in ("inversion", "cfg", "sample")
    ]
    assert len({manifest["model_fingerprint"] for manifest in manifests}) == 1
    assert all("memory" in manifest for manifest in manifests)
    assert count_frames(folder / "cfg" / "guidance.mp4") == 3
    frames = json.loads((folder / "cfg" / "sweep.json").read_text())["frames"]
    assert [frame["guidance_scale"] for frame in frames] == [0, 1, 7.5]
    (drawn,) = (folder / "sample" / "pictures").glob("*.png")
    with Image.open(drawn) as image:
        assert image.size == (64, 64)
        assert image.info["parameters"].startswith("a w\n")
