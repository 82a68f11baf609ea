"""Textual inversion as diffusers' examples/textual_inversion does it, to be compared with ours.

Written from a description of that method: the tokenizer and the whole embedding table are enlarged,
AdamW trains the table, weight decay included, and after each step all rows but the word's are put
back. Each step reads its picture files and resizes them (the data loader works in the same
process), tokenizes its prompts and encodes its pixels with the VAE. Parts of that can be left out,
to see what they cost; logging and checkpoints always are, which favours it here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler
from PIL import Image
from torch import Tensor

from diffusion.pseudo_word import register, tokens_of
from diffusion.stable_diffusion import StableDiffusion
from inversion.latents import Latents
from inversion.templates import fill

WEIGHT_DECAY = 1e-2  # the example's default


@dataclass(frozen=True)
class Pictures:
    """What is learned from: pixels [N, 3, H, W] in -1..1, and for each its caption. `paths`: the
    files, to be read anew in each step."""

    pixels: Tensor
    captions: Sequence[str]
    templates: Sequence[str]
    batch_size: int
    paths: Sequence[Path] = ()


def full_table_steps(
    sd: StableDiffusion,
    pictures: Pictures,
    word: str,
    rows: Tensor,
    learning_rate: float,
    latents: Sequence[Latents] | None = None,
) -> Iterator[float]:
    """Train for ever, yielding each step's loss; changes the tokenizer and text encoder of `sd`.

    rows: the initial vectors [n, d]. latents: the pictures' encodings, which the example does not
    keep; given, they stand in for the VAE in every step.
    """
    ids = list(register(sd, word, len(rows)).token_ids)
    before = len(sd.text_encoder.get_input_embeddings().weight)
    enlarged = max(
        len(sd.tokenizer), before + len(rows)
    )  # a table may be longer than its tokenizer
    sd.text_encoder.resize_token_embeddings(enlarged, mean_resizing=False)
    table = sd.text_encoder.get_input_embeddings().weight
    with torch.no_grad():
        table[ids] = rows.to(table)
    table.requires_grad_(True)
    optimizer = torch.optim.AdamW([table], lr=learning_rate, weight_decay=WEIGHT_DECAY)
    scheduler = DDPMScheduler.from_config(sd.scheduler_config)
    original = table.detach().clone()
    written = " ".join(tokens_of(word, len(rows)))
    generator = torch.Generator().manual_seed(0)
    while True:
        order = torch.randperm(len(pictures.pixels), generator=generator)
        for chosen in order.split(pictures.batch_size):
            if len(chosen) < pictures.batch_size:
                continue  # all steps cost the same
            loss = _loss(sd, pictures, chosen, written, scheduler, latents)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            restore(table, original, ids)
            yield loss.item()


def restore(table: Tensor, original: Tensor, ids: Sequence[int]) -> None:
    """Put back every row but those from the first to the last of `ids`."""
    others = torch.ones(len(table), dtype=torch.bool, device=table.device)
    others[min(ids) : max(ids) + 1] = False
    with torch.no_grad():
        table[others] = original[others]


def _loss(
    sd: StableDiffusion,
    pictures: Pictures,
    chosen: Tensor,
    written: str,
    scheduler: DDPMScheduler,
    latents: Sequence[Latents] | None,
) -> Tensor:
    if latents is not None:
        x_0 = _kept(latents, chosen)
    elif pictures.paths:
        side = pictures.pixels.shape[-1]
        x_0 = _encoded(sd, torch.stack([read(pictures.paths[k], side) for k in chosen.tolist()]))
    else:
        x_0 = _encoded(sd, pictures.pixels[chosen])
    eps = torch.randn_like(x_0)
    steps = scheduler.config["num_train_timesteps"]
    timesteps = torch.randint(0, steps, (len(x_0),), device=x_0.device)
    x_t = scheduler.add_noise(x_0, eps, timesteps)  # type: ignore[arg-type]
    templates = torch.randint(0, len(pictures.templates), (len(x_0),)).tolist()
    token_ids = [
        sd.tokenizer(
            fill(pictures.templates[template], written, pictures.captions[index]),
            padding="max_length",
            truncation=True,
            max_length=sd.tokenizer.model_max_length,
            return_tensors="pt",
        ).input_ids
        for index, template in zip(chosen.tolist(), templates, strict=True)
    ]
    hidden_states = sd.text_encoder(torch.cat(token_ids).to(sd.device))[0]
    predicted = sd.unet(x_t, timesteps, hidden_states).sample
    return F.mse_loss(predicted.float(), eps.float())


def _encoded(sd: StableDiffusion, pixels: Tensor) -> Tensor:
    mirrored = torch.rand(len(pixels)) < 0.5
    pixels = torch.where(mirrored[:, None, None, None], pixels.flip(-1), pixels)
    # with gradients on, as in the example: the VAE is frozen, so none are kept
    latents = sd.vae.encode(pixels.to(sd.device, sd.dtype)).latent_dist.sample()
    return latents.detach() * sd.vae.config["scaling_factor"]


def read(path: Path, side: int) -> Tensor:
    """A picture file as the example reads it, [3, side, side] in -1..1."""
    with Image.open(path) as image:
        pixels = image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float() / 127.5 - 1


def _kept(latents: Sequence[Latents], chosen: Tensor) -> Tensor:
    mirrored = torch.randint(0, 2, (len(chosen),)).tolist()
    sides = list(zip(chosen.tolist(), mirrored, strict=True))
    mean = torch.stack([latents[k].mean[side] for k, side in sides])
    std = torch.stack([latents[k].std[side] for k, side in sides])
    return mean + std * torch.randn_like(std)
