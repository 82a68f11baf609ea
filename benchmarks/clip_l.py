"""What a word costs in Stable Diffusion 1.x: its text encoder at real size, with random weights.

storybook knows some hundred tokens, Stable Diffusion 1.x 49,408 of 768 numbers each: only there
does the price of training the whole table show.
"""

from collections.abc import Iterator

import torch
from full_table import WEIGHT_DECAY, restore
from measuring import clock
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from diffusion.architecture import SD1
from diffusion.pseudo_word import training_rows

TOKENS = SD1.text_encoder["vocab_size"]
WIDTH = SD1.text_encoder["hidden_size"]
LENGTH = SD1.text_encoder["max_position_embeddings"]
ENCODER, OPTIMIZER, RESTORE = "text encoder, forward and backward", "AdamW", "restoring the rows"


def build(device: torch.device) -> CLIPTextModel:
    """CLIP ViT-L/14's text tower, frozen, float32, 123 million random weights."""
    config = CLIPTextConfig(**SD1.text_encoder)
    return CLIPTextModel(config).to(device).eval().requires_grad_(False)


def prompt(count: int, device: torch.device) -> Tensor:
    """Token ids [1, 77] with the `count` tokens of a new word among them."""
    ids = torch.full((1, LENGTH), TOKENS - 1)
    ids[0, 0] = TOKENS - 2
    ids[0, 1:6] = torch.arange(1000, 1005)
    ids[0, 6 : 6 + count] = torch.arange(TOKENS, TOKENS + count)
    return ids.to(device)


def rows_only(encoder: CLIPTextModel, count: int) -> Iterator[dict[str, float]]:
    """Seconds of the parts of a step that trains `count` rows beside the frozen table, for ever."""
    device = encoder.device
    rows = torch.randn(count, WIDTH, device=device) * 0.02
    with training_rows(encoder, range(TOKENS, TOKENS + count), rows) as word:
        optimizer = torch.optim.AdamW([word.rows], weight_decay=0.0)
        while True:
            yield _timed(encoder, optimizer, prompt(count, device))


def full_table(encoder: CLIPTextModel, count: int) -> Iterator[dict[str, float]]:
    """Seconds of the same parts where the enlarged table is trained, and restored afterwards."""
    device, ids = encoder.device, range(TOKENS, TOKENS + count)
    encoder.resize_token_embeddings(TOKENS + count, mean_resizing=False)
    table = encoder.get_input_embeddings().weight.requires_grad_(True)
    optimizer = torch.optim.AdamW([table], weight_decay=WEIGHT_DECAY)
    original = table.detach().clone()
    while True:
        parts = _timed(encoder, optimizer, prompt(count, device))
        start = clock(device)
        restore(table, original, ids)
        yield {**parts, RESTORE: clock(device) - start}


def _timed(
    encoder: CLIPTextModel, optimizer: torch.optim.Optimizer, ids: Tensor
) -> dict[str, float]:
    start = clock(encoder.device)
    encoder(ids)[0].square().mean().backward()
    between = clock(encoder.device)
    optimizer.step()
    optimizer.zero_grad()
    return {ENCODER: between - start, OPTIMIZER: clock(encoder.device) - between}
