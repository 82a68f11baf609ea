"""Real processes that share the pictures of a word's skew."""

import json

import pytest
import torch

from diffusion.formats import save_embedding
from lab.run import Run
from skew import job
from skew.config import Config


@pytest.mark.slow
def test_two_processes_make_what_one_makes(tmp_path, tiny_sd_folder, tiny_clip_folder, launch):
    word = tmp_path / "doc.safetensors"
    save_embedding(word, "doc", torch.randn(3, 32, generator=torch.Generator().manual_seed(0)))
    settings = {
        "word": "doc", "embedding": str(word), "attribute": "gender", "undecided": 0,
        "judge": f"clip:{tiny_clip_folder}", "model": str(tiny_sd_folder), "device": "cpu",
        "values": {"female": ["a woman", "she"], "male": ["a man", "he"]},
        "subjects": ["doc", "cook"], "prompts": ["a doc"], "seeds": {"start": 5, "count": 5},
        "explicit": {"prompts": ["a [value] doc"], "count": 2},
        "bystanders": {"prompts": ["a cook"], "count": 2},
        "sweep": {"strengths": [0.5], "count": 3, "explicit": 1},
        "compare": {"count": 2, "guidance_scales": [1]}, "steps": 2, "batch_size": 2,
    }  # fmt: skip
    file = tmp_path / "x.yaml"
    file.write_text(json.dumps({"skew": settings}))  # JSON is YAML
    launch("skew", file, tmp_path / "two")
    with Run(tmp_path / "one", "x", "skew") as run:
        list(job.run(Config.model_validate_json(json.dumps(settings)), run))
    two, one = results(tmp_path / "two"), results(tmp_path / "one")
    assert sum(name.endswith(".png") for name in one) > 15
    assert two == one


def results(outputs):
    """Everything that was made, but for what tells of time and place."""
    files = [path for path in outputs.rglob("*") if path.is_file()]
    return {
        path.relative_to(outputs).as_posix(): path.read_bytes()
        for path in files
        if path.name != "manifest.json"
    }
