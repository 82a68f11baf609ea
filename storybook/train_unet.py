"""Training of the U-Net on cached latents and cached text encodings."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from lab.run import Progress, write_atomically
from storybook.architecture import CONTEXT, build_scheduler
from storybook.dataset import Dataset
from storybook.train_autoencoder import encode
from storybook.train_clip import pixels, tokenize
from storybook.training import Plan, autocast, fit, step_rng

CAPTION_DROPOUT = 0.1  # Ho & Salimans 2022: the share that teaches the unconditional prediction
MIN_SNR = 5.0  # Hang et al. 2023, arXiv:2303.09556


@torch.no_grad()
def cache_latents(vae: AutoencoderKL, data: Dataset, path: Path, device) -> Iterator[Progress]:
    """Encode every picture once, to float16 [N, 4, 16, 16], unscaled posterior means."""
    if path.exists():
        return
    parts = []
    for start in range(0, len(data.captions), 200):
        with autocast(device, True):
            picture = pixels(data.pictures[start : start + 200], device)
            parts.append(encode(vae, picture).mean.half().cpu().numpy())
        yield Progress(
            "encoding pictures", min(start + 200, len(data.captions)), len(data.captions)
        )

    def write(target: Path) -> None:
        with target.open("wb") as file:
            np.save(file, np.concatenate(parts))

    write_atomically(path, write)


class TextCache:
    """Hidden states of captions, encoded when first asked for and kept as float16."""

    def __init__(self, encoder: CLIPTextModel, tokenizer: CLIPTokenizer, device):
        self.encoder, self.tokenizer, self.device = encoder.to(device).eval(), tokenizer, device
        self.known: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def __call__(self, captions: list[str]) -> torch.Tensor:
        """[B, 77, width], float32 on the device."""
        new = [c for c in dict.fromkeys(captions) if c not in self.known]
        if new:
            ids = tokenize(self.tokenizer, new, CONTEXT).to(self.device)
            states = self.encoder(ids).last_hidden_state.half()
            self.known.update(zip(new, states, strict=True))
        return torch.stack([self.known[c] for c in captions]).float()


def min_snr_weight(alpha_bar: torch.Tensor) -> torch.Tensor:
    """min(SNR, 5) / SNR, the weight of an epsilon prediction (Hang et al. 2023, section 3.4)."""
    snr = alpha_bar / (1 - alpha_bar)
    return snr.clamp(max=MIN_SNR) / snr


def train_unet(
    unet: UNet2DConditionModel,
    latents: torch.Tensor,
    captions: Sequence[str],
    text: TextCache,
    plan: Plan,
    folder: Path,
    device,
) -> Iterator[Progress]:
    """Epsilon prediction with caption dropout and min-SNR weights.

    latents: scaled to unit variance, [N, 4, 16, 16] float16, one for each of
    the N captions.
    """
    alpha_bar = build_scheduler().alphas_cumprod.to(device)

    def loss_of(step: int) -> torch.Tensor:
        rng = step_rng(plan, step)
        index = rng.choice(len(captions), plan.batch_size, replace=False)
        dropped = rng.random(plan.batch_size) < CAPTION_DROPOUT
        hidden = text(
            ["" if drop else captions[int(k)] for k, drop in zip(index, dropped, strict=True)]
        )
        x_0 = latents[index].to(device).float()
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        eps = torch.randn(x_0.shape, generator=generator).to(device)
        # one timestep from each slice of the range: the batch's loss varies less
        slices = (np.arange(plan.batch_size) + rng.random(plan.batch_size)) / plan.batch_size
        t = torch.as_tensor((slices * len(alpha_bar)).astype(np.int64)).to(device)
        a = alpha_bar[t][:, None, None, None]
        x_t = a.sqrt() * x_0 + (1 - a).sqrt() * eps
        with autocast(device, True):
            predicted = unet(x_t, t, encoder_hidden_states=hidden).sample
        error = (predicted.float() - eps).square().mean(dim=(1, 2, 3))
        return (error * min_snr_weight(alpha_bar[t])).mean()

    unet.to(device).train()
    with (folder / "unet-loss.csv").open("a", buffering=1) as log:

        def report(step: int, loss: float) -> None:
            if step % 20 == 0:
                log.write(f"{step},{loss:.5f}\n")

        yield from fit("U-Net", unet, plan, loss_of, folder / "unet.pt", report)
    unet.eval()
