"""A CLIP of the real architecture, with random weights and reduced widths."""

import shutil
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def tiny_clip_folder(tiny_sd_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As CLIPs are published: config, weights, tokenizer, in one folder. Do not write into it."""
    import torch
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

    folder = tmp_path_factory.mktemp("tiny-clip")
    shutil.copytree(tiny_sd_folder / "tokenizer", folder, dirs_exist_ok=True)
    words = len(CLIPTokenizer.from_pretrained(str(folder)))
    layers: dict[str, Any] = {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2
    }  # fmt: skip
    text = layers | {"vocab_size": words, "max_position_embeddings": 77, "eos_token_id": 2}
    config = CLIPConfig(
        text_config=text, vision_config=layers | {"image_size": 32, "patch_size": 8},
        projection_dim=16,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        CLIPModel(config).save_pretrained(folder)
    return folder
