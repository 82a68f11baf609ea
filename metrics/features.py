"""Pictures as vectors: what CLIP, DINO and their kind see, whether a prompt fits, how much a set
varies.

Any folder or hub id that transformers opens will do. Nothing here needs torchvision.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from lab.errors import UserError, said_first

PICTURES_AT_ONCE = 32
HALVES = (0.5, 0.5, 0.5)


@dataclass(eq=False)
class Encoder:
    """A network that turns pictures into vectors and, if it is a CLIP, texts as well."""

    model: Any
    tokenizer: Any | None
    """None where the network knows pictures only."""
    side: int
    """Pixels to which the shorter side of a picture is brought; the middle square is seen."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    name: str


def load_encoder(source: str | Path, device: str | torch.device = "cpu") -> Encoder:
    """Open a CLIP, DINO, ViT ... from a folder or the Hugging Face cache, else from the hub.

    A CLIP's folder without a tokenizer, such as `clip/` in the folder of a diffusers model, takes
    the one of the model. Raises UserError where there is none or it cannot be read.
    """
    from transformers import AutoModel, CLIPTokenizer
    from transformers.utils import logging

    bars, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()  # what it misses of torchvision is of no use here
    try:
        model = AutoModel.from_pretrained(str(source)).to(device).float().eval()
        folder = _folder(source)
        tokenizer = None
        if hasattr(model, "get_text_features"):
            own = any((folder / name).exists() for name in ("vocab.json", "tokenizer.json"))
            home = folder if own else folder.parent / "tokenizer"
            tokenizer = CLIPTokenizer.from_pretrained(str(home))
            # published configurations name another end of text than their tokenizers write, and
            # the pooled vector would be taken from the wrong place
            model.text_model.eos_token_id = tokenizer.eos_token_id
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise UserError(
            f"the feature extractor {source} cannot be loaded ({said_first(error)}): name a folder "
            "or a hub id such as openai/clip-vit-base-patch32, or none"
        ) from error
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
    vision = getattr(model.config, "vision_config", model.config)
    side, mean, std = _preparation(folder, int(getattr(vision, "image_size", 224)))
    return Encoder(model, tokenizer, side, mean, std, str(source))


def _folder(source: str | Path) -> Path:
    """The folder of the files; a hub id's is in the cache, where loading has just put them."""
    if Path(source).is_dir():
        return Path(source)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(str(source), allow_patterns=["*.json", "*.txt"]))


def _preparation(folder: Path, side: int) -> tuple[int, tuple[float, ...], tuple[float, ...]]:
    """Size, mean and deviation of the network's input; of -1..1 where nothing is said."""
    path = folder / "preprocessor_config.json"
    said = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    crop = said.get("crop_size") or said.get("size") or side
    if isinstance(crop, dict):
        crop = crop.get("height") or crop.get("shortest_edge") or side
    return int(crop), tuple(said.get("image_mean", HALVES)), tuple(said.get("image_std", HALVES))


def prepared(picture: np.ndarray, side: int) -> np.ndarray:
    """The middle square of a picture, uint8 [H, W, 3], brought to `side` pixels (bicubic)."""
    height, width = picture.shape[:2]
    if (height, width) == (side, side):
        return picture
    least = min(height, width)
    x, y = (width - least) / 2, (height - least) / 2
    image = Image.fromarray(picture)
    box = (x, y, x + least, y + least)
    return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC, box=box))


@torch.no_grad()
def see(encoder: Encoder, pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Unit vectors [N, d] of N pictures, uint8 [H, W, 3]; one does not depend on the others."""
    device = next(encoder.model.parameters()).device
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (encoder.mean, encoder.std))
    vectors = []
    for start in range(0, len(pictures), PICTURES_AT_ONCE):
        chunk = [prepared(p, encoder.side) for p in pictures[start : start + PICTURES_AT_ONCE]]
        values = torch.from_numpy(np.stack(chunk)).permute(0, 3, 1, 2).float() / 255
        vectors.append(pooled(encoder, ((values - mean) / std).to(device)))
    return torch.cat(vectors).cpu().numpy() if vectors else np.zeros((0, 1), np.float32)


def pooled(encoder: Encoder, values: torch.Tensor) -> torch.Tensor:
    """Unit vectors [N, d] of prepared pictures, [N, 3, side, side]; differentiable."""
    model = encoder.model
    if hasattr(model, "get_image_features"):
        seen = model.get_image_features(pixel_values=values)
    else:
        seen = model(pixel_values=values)
    pooled = getattr(seen, "pooler_output", seen)
    if pooled is None:  # a transformer without a pooler says it in its first token
        pooled = seen.last_hidden_state[:, 0]
    return F.normalize(pooled.flatten(1).float(), dim=-1)


@torch.no_grad()
def read(encoder: Encoder, texts: Sequence[str]) -> np.ndarray:
    """Unit vectors [N, d] of N texts, in the space of the pictures.

    Raises:
        UserError: for a network that knows no texts.
    """
    if encoder.tokenizer is None:
        raise UserError(f"{encoder.name} knows no texts: to match prompts it must be a CLIP")
    device = next(encoder.model.parameters()).device
    length = encoder.model.config.text_config.max_position_embeddings
    ids = encoder.tokenizer(
        list(texts), padding="max_length", truncation=True, max_length=length, return_tensors="pt"
    ).input_ids
    said = encoder.model.get_text_features(input_ids=ids.to(device))
    return F.normalize(getattr(said, "pooler_output", said).float(), dim=-1).cpu().numpy()


def diversity(vectors: np.ndarray) -> float:
    """How much unit vectors [N, d] vary: mean cosine distance over all pairs, 0 for equal ones.

    Raises:
        ValueError: for fewer than two.
    """
    count = len(vectors)
    if count < 2:
        raise ValueError("diversity needs at least two pictures")
    total = vectors.astype(np.float64).sum(axis=0)
    # sum over pairs of v_i . v_j = (|sum v|^2 - sum |v|^2) / 2
    own = (vectors.astype(np.float64) ** 2).sum()
    return float(1 - (total @ total - own) / (count * (count - 1)))
