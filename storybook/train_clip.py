"""Contrastive training of the small CLIP (Radford et al. 2021, arXiv:2103.00020)."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from transformers import CLIPModel, CLIPTokenizer

from lab.run import Progress
from storybook.dataset import Dataset
from storybook.training import Plan, autocast, fit, step_rng


def pixels(pictures, device) -> torch.Tensor:
    """uint8 [B, side, side, 3] -> float [B, 3, side, side] in -1..1."""
    tensor = torch.as_tensor(pictures.copy()).to(device, non_blocking=True)
    return tensor.permute(0, 3, 1, 2).float() / 127.5 - 1


def tokenize(tokenizer: CLIPTokenizer, captions: list[str], length: int) -> torch.Tensor:
    """Token ids [B, length]; what follows the end token is invisible to the causal tower."""
    padded = tokenizer(captions, padding="max_length", truncation=True, max_length=length)
    return torch.tensor(padded.input_ids)


def embed(clip: CLIPModel, images: torch.Tensor, ids: torch.Tensor):
    """Unit vectors of pictures and captions, [B, 128] each."""
    seen: Any = clip.get_image_features(pixel_values=images)
    said: Any = clip.get_text_features(input_ids=ids)
    vectors = seen.pooler_output.float(), said.pooler_output.float()
    return F.normalize(vectors[0], dim=-1), F.normalize(vectors[1], dim=-1)


def train_clip(
    clip: CLIPModel,
    tokenizer: CLIPTokenizer,
    data: Dataset,
    plan: Plan,
    folder: Path,
    device,
    prepare: Callable[[torch.Tensor, np.random.Generator], torch.Tensor] = lambda x, rng: x,
) -> Iterator[Progress]:
    """Pull each picture and its own caption together; both directions of the batch count.

    `prepare` is what happens to a batch of pictures before they are seen.
    """
    ids = tokenize(tokenizer, data.captions, 32)

    def loss_of(step: int) -> torch.Tensor:
        rng = step_rng(plan, step)
        index = rng.choice(data.trained, plan.batch_size, replace=False)
        images = prepare(pixels(data.pictures[index], device), rng)
        with autocast(device, True):
            seen, said = embed(clip, images, ids[index].to(device))
        logits = clip.logit_scale.exp().clamp(max=100) * seen @ said.T
        target = torch.arange(len(index), device=device)
        return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2

    clip.to(device).train()
    yield from fit("text and picture encoders", clip, plan, loss_of, folder / "clip.pt")
    clip.eval()


@torch.no_grad()
def matching_accuracy(clip, tokenizer, data: Dataset, device, among: int = 100) -> float:
    """Share of unseen pictures whose own caption scores highest among `among` captions."""
    right = 0
    for start in range(data.trained, len(data.captions), among):
        batch = slice(start, start + among)
        ids = tokenize(tokenizer, data.captions[batch], 32).to(device)
        seen, said = embed(clip, pixels(data.pictures[batch], device), ids)
        best = (seen @ said.T).argmax(1).tolist()
        captions = data.captions[batch]
        right += sum(captions[k] == captions[b] for k, b in enumerate(best))
    return right / (len(data.captions) - data.trained)
