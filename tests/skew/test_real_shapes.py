"""The file for Stable Diffusion 1.5 and CLIP, from pictures to the page, on random weights.

Every day with reduced widths. With `-m real_size` also with the published shapes: 1.07 billion
weights of Stable Diffusion 1.5 and 0.43 of CLIP ViT-L/14, 5 GB of disk, 10 GB of memory and some
minutes.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from diffusion.architecture import SD1
from lab.config import load_experiment
from studio.cli import JOBS, main, models

ROOT = Path(__file__).resolve().parents[2]
DOCTOR, CAT = (ROOT / f"experiments/debias-{name}.yaml" for name in ("doctor-sd15", "cat"))

LAYERS = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2
}  # fmt: skip
SMALL: dict[str, dict[str, Any]] = {
    "unet": {"block_out_channels": (32, 32, 64, 64), "cross_attention_dim": 32, "sample_size": 16},
    "vae": {"block_out_channels": (32, 32, 32, 32), "sample_size": 128},
    "text_encoder": {**LAYERS, "projection_dim": 32},
    "clip": {
        "projection_dim": 16, "text_config": {**LAYERS, "eos_token_id": 2},
        "vision_config": {**LAYERS, "patch_size": 14, "image_size": 224},
    },
}  # fmt: skip
REAL: dict[str, dict[str, Any]] = {
    "unet": {}, "vae": {}, "text_encoder": {},
    "clip": {  # openai/clip-vit-large-patch14, with the end of text that it was published with
        "projection_dim": 768,
        "text_config": {
            "hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12,
            "eos_token_id": 2,
        },
        "vision_config": {
            "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
            "num_attention_heads": 16, "patch_size": 14, "image_size": 224,
        },
    },
}  # fmt: skip


def save_networks(
    folder: Path, shapes: dict[str, dict[str, Any]], dtype: torch.dtype, tokenizer: Any
) -> None:
    """`model/`, a diffusers folder, and `clip/`, a CLIP in the form of the hub."""
    import diffusers
    from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPTextModel

    unet: Any = diffusers.UNet2DConditionModel.from_config(SD1.unet | shapes["unet"])
    vae: Any = diffusers.AutoencoderKL.from_config(SD1.vae | shapes["vae"])
    parts: dict[str, Any] = dict.fromkeys(("safety_checker", "feature_extractor"))
    parts |= {"unet": unet.to(dtype), "vae": vae.to(dtype)}
    text = CLIPTextConfig(**SD1.text_encoder | shapes["text_encoder"])
    parts |= {"text_encoder": CLIPTextModel(text).to(dtype)}
    parts |= {"scheduler": diffusers.PNDMScheduler.from_config(SD1.scheduler)}
    parts |= {"tokenizer": tokenizer}
    pipeline = diffusers.StableDiffusionPipeline(**parts, requires_safety_checker=False)
    pipeline.save_pretrained(folder / "model")
    CLIPModel(CLIPConfig(**shapes["clip"])).to(dtype).save_pretrained(folder / "clip")
    mean, std = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    said = {"crop_size": {"height": 224, "width": 224}, "image_mean": mean, "image_std": std}
    (folder / "clip" / "preprocessor_config.json").write_text(json.dumps(said))


@pytest.fixture
def doctors(tmp_path) -> Path:
    """Four pictures of noise that say that they show doctors."""
    folder, rng = tmp_path / "doctors", np.random.default_rng(0)
    folder.mkdir()
    lines = []
    for k in range(4):
        noise = rng.integers(0, 255, (128, 128, 3)).astype(np.uint8)
        Image.fromarray(noise).save(folder / f"{k}.png")
        gender = ("female", "male")[k % 2]
        lines.append({"file_name": f"{k}.png", "text": "a photo of a doctor", "gender": gender})
    (folder / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def keys_of(section: Any, prefix: str) -> set[str]:
    if not isinstance(section, dict) or prefix in ("skew.values", "skew.subjects"):
        return {prefix}
    return {key for name, value in section.items() for key in keys_of(value, f"{prefix}.{name}")}


def value_at(section: Any, key: str) -> Any:
    for name in key.split("."):
        section = section[name]
    return section


def test_the_two_files_differ_in_model_data_and_prompts_only():
    one, other = (load_experiment(path, (), models(JOBS)).resolved for path in (CAT, DOCTOR))
    about_the_world = {
        "inversion.word", "inversion.initial_words", "inversion.model", "inversion.data",
        "inversion.balance.attribute", "inversion.balance.values", "inversion.templates",
        "inversion.previews.prompts", "inversion.previews.guidance_scale",
        "skew.word", "skew.attribute", "skew.judge", "skew.values", "skew.subjects", "skew.prompts",
        "skew.explicit.prompts", "skew.explicit.count", "skew.bystanders.prompts",
        "skew.bystanders.count", "skew.sweep.explicit", "skew.compare.silent", "skew.model",
        "skew.guidance_scale", "skew.steps",
    }  # fmt: skip
    for section in ("inversion", "skew"):
        keys = keys_of(one[section], section)
        assert keys == keys_of(other[section], section)
        changed = {key for key in keys if value_at(one, key) != value_at(other, key)}
        assert changed <= about_the_world, changed - about_the_world


@pytest.mark.parametrize(
    "size",
    ["reduced", pytest.param("real", marks=[pytest.mark.real_size, pytest.mark.timeout(3600)])],
)
def test_from_pictures_to_the_page(tmp_path, doctors, size, save_clip_tokenizer, capsys):
    dtype = "bf16" if size == "real" else "fp32"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        real = size == "real"
        tokenizer = save_clip_tokenizer(tmp_path / "clip")
        shapes = (REAL, torch.bfloat16) if real else (SMALL, torch.float32)
        save_networks(tmp_path, *shapes, tokenizer)
    small = [
        *(f"{job}.{key}" for job in ("inversion", "skew") for key in (
            f"model={tmp_path / 'model'}", f"dtype={dtype}", "device=cpu")),
        f"inversion.data={doctors}", "inversion.resolution=128", "inversion.train.steps=2",
        "inversion.train.batch_size=2", "inversion.objective={pictures: 2, every: 1}",
        "inversion.previews.prompts=[]", f"skew.judge=clip:{tmp_path / 'clip'}",
        "skew.undecided=0", "skew.width=128", "skew.height=128", "skew.steps=1",
        "skew.batch_size=2", "skew.seeds.count=2", "skew.explicit.count=1",
        "skew.bystanders.count=1", "skew.sweep={strengths: [0.5], count: 2, explicit: 0}",
        "skew.compare.count=2",
    ]  # fmt: skip
    assert main(["run", str(DOCTOR), *small, "--outputs", str(tmp_path / "out")]) == 0
    folder = tmp_path / "out" / "debias-doctor-sd15"
    facts = json.loads((folder / "skew" / "skew.json").read_text())
    assert (folder / "inversion" / "doctor.safetensors").exists()
    assert list(facts["series"]) == [
        "neutral-0",
        "neutral-0.5",
        "neutral-1",
        "silent",
        "guidance-1",
    ]
    assert facts["series"]["neutral-1"]["distribution"]["undecided"] == 0
    assert len(facts["bystanders"]) == 4 and all(b["equal"] == 1 for b in facts["bystanders"])
    assert "skew: doctor, gender, 2 pictures" in capsys.readouterr().out
