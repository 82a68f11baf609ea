"""The user's way: one experiment file, `pseudoword run`, results that other programs read."""

import json
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline

from cfg.sampling import denoise
from diffusion.formats import load_embedding
from diffusion.prompts import encode_prompts
from diffusion.pseudo_word import add_word
from diffusion.stable_diffusion import load, make_scheduler
from lab.device import noise
from studio.cli import main

EXPERIMENT = """
name: tiny
cropping: {{source: {pictures}, size: 32}}
inversion:
  word: <w>
  num_vectors: 2
  model: {model}
  train: {{steps: {steps}, batch_size: 2, checkpoint_every: 2}}
  previews: {{every: 4, prompts: ["ab [name]"], steps: 2}}
cfg:
  prompt: ab <w>
  model: {model}
  guidance_scales: {{from: 0, to: 3, step: 0.5}}
  steps: 3
  batch_size: 2
  video: {{size: 64}}
"""


@pytest.fixture
def experiment(tmp_path, tiny_sd_folder, draw_noise):
    pictures = draw_noise(3, (60, 40))
    path = tmp_path / "tiny.yaml"
    path.write_text(EXPERIMENT.format(pictures=pictures, model=tiny_sd_folder, steps=4))
    return path


def results(outputs: Path) -> dict[str, bytes]:
    """What a run leaves for people, without the manifests, which hold times."""
    kept = ("crops.jsonl", "w.safetensors", "metrics.jsonl", "sweep.json", "guidance.mp4")
    return {
        str(path.relative_to(outputs)): path.read_bytes()
        for path in sorted(outputs.rglob("*"))
        if path.name in kept or path.suffix in (".png", ".jpg", ".txt")
    }


def test_one_command_leads_from_pictures_to_a_film(experiment, tmp_path, capsys):
    outputs = tmp_path / "out"
    assert main(["run", str(experiment), "--outputs", str(outputs)]) == 0
    said = capsys.readouterr().out
    for name in ("w.safetensors", "guidance.mp4", "contact-sheet"):
        assert name in said
    scales = [f["guidance_scale"] for f in _json(outputs / "tiny/cfg/sweep.json")["frames"]]
    assert scales == [0, 0.5, 1, 1.5, 2, 2.5, 3]
    for job in ("cropping", "inversion", "cfg"):
        assert _json(outputs / "tiny" / job / "manifest.json")["status"] == "complete"
    before = results(outputs)
    assert main(["run", str(experiment), "--outputs", str(outputs)]) == 0
    assert results(outputs) == before
    assert "already done" in capsys.readouterr().err


def test_the_exported_word_draws_the_same_latents_in_the_pipeline(
    experiment, tmp_path, tiny_sd_folder
):
    assert main(["run", str(experiment), "--outputs", str(tmp_path / "out")]) == 0
    path = tmp_path / "out/tiny/inversion/w.safetensors"

    sd = load(str(tiny_sd_folder), device="cpu")
    word = load_embedding(path)
    add_word(sd, word.token, word.vectors)
    cond, uncond = encode_prompts(sd, ["ab <w>", ""]).split(1)
    x_T = noise(sd.latent_shape(), 5, 0)[None]
    *_, last = denoise(sd, x_T, cond, uncond, torch.tensor([4.0]), "ddim", 6)

    pipeline = StableDiffusionPipeline.from_pretrained(tiny_sd_folder, safety_checker=None)
    pipeline.load_textual_inversion(str(path.parent), weight_name=path.name, local_files_only=True)
    pipeline.scheduler = make_scheduler(sd, "ddim", 6)
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        "ab <w>", num_inference_steps=6, guidance_scale=4.0, latents=x_T, output_type="latent"
    ).images  # type: ignore[union-attr]
    torch.testing.assert_close(last.latents, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_killed_anywhere_it_continues_to_the_same_result(experiment, tmp_path, kill):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert main(["run", str(experiment), "--outputs", str(whole)]) == 0
    # as soon as these exist, the process is in the middle of that job
    for sign in ("cropping/manifest.json", "inversion/checkpoints", "cfg/frames"):
        kill("studio run", experiment, killed, f"tiny/{sign}")
        manifest = _json(killed / "tiny" / sign.split("/")[0] / "manifest.json")
        assert manifest["status"] == "running"
    assert main(["run", str(experiment), "--outputs", str(killed)]) == 0
    assert results(killed) == results(whole)


BAD = {
    "cropping.source=nowhere": "nowhere does not exist",
    "inversion.model=nowhere/at-all": "nowhere/at-all",
    'inversion.templates=["a picture of [filewords]"]': "[name]",
    "cfg.sed=1": "did you mean seed",
    "cfg.guidance_scales=[]": "at least one scale",
    "inversion.num_vectors=many": "num_vectors",
}


@pytest.mark.parametrize("override", BAD)
def test_a_mistake_is_one_sentence_with_exit_code_2(experiment, tmp_path, capsys, override):
    outputs = tmp_path / "out"
    code = main(["run", str(experiment), override, "--outputs", str(outputs)])
    said = capsys.readouterr().err
    assert code == 2
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and BAD[override] in errors[0], said
    assert "Traceback" not in said
    assert not list(outputs.rglob("*.tmp*")) and not list(outputs.rglob(".tmp*"))


def test_a_file_that_is_no_picture_is_named_and_the_rest_goes_on(experiment, tmp_path, capsys):
    (tmp_path / "pictures" / "09 broken.png").write_text("not a picture")
    outputs = tmp_path / "out"
    command = ["cropping", str(experiment), "--outputs", str(outputs)]
    assert main([*command, "cropping.strict=true"]) == 2
    assert "09 broken.png" in capsys.readouterr().err
    assert not outputs.exists() or not list(outputs.rglob("*.*"))
    assert main(command) == 0
    assert "09 broken.png" in capsys.readouterr().out
    lines = (outputs / "tiny/cropping/crops.jsonl").read_text(encoding="utf-8").splitlines()
    assert lines and not any("broken" in line for line in lines)


def _json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))
