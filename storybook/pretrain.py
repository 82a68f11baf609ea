"""Rebuild the miniature Stable Diffusion from nothing: `python -m storybook.pretrain`.

Draws the pictures, then trains a small CLIP, the autoencoder and the U-Net, and saves them as an
ordinary diffusers folder. Every stage can be killed and resumed, and is skipped when it is done.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from tqdm import tqdm

from lab.device import pick_device
from lab.run import Progress, write_atomically, write_json
from storybook import architecture as parts
from storybook.classifier import PACKAGED as PACKAGED_JUDGE
from storybook.classifier import Classifier, accuracy, save_classifier, train_classifier
from storybook.dataset import draw_dataset, load_dataset
from storybook.train_autoencoder import psnr, train_autoencoder, train_decoder
from storybook.train_clip import matching_accuracy, train_clip
from storybook.train_unet import TextCache, cache_latents, train_unet
from storybook.training import Plan

PACKAGED = Path(__file__).parent / "model"
FIGURES = "training.json"  # in the model's folder: what its card says of the training


def _final(path: Path, model: torch.nn.Module, train: Iterator[Progress], device):
    """Run a stage unless its final weights are there; the model ends on the device, loaded."""
    if path.exists():
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        model.to(device).eval()
        return
    yield from train
    write_atomically(path, lambda p: torch.save(model.state_dict(), p))


@dataclass(frozen=True)
class Plans:
    """How long each stage learns; `BUNDLED` made the bundled model."""

    clip: Plan
    judge: Plan
    autoencoder: Plan
    decoder: Plan
    unet: Plan


BUNDLED = Plans(
    clip=Plan(700, 192, 1e-3, ema=0.99),
    judge=Plan(2000, 48, 2e-3, decay=0.5, ema=0.99),
    autoencoder=Plan(1600, 16, 1e-3, decay=0.5, betas=(0.9, 0.99), weight_decay=0.0),
    decoder=Plan(2400, 16, 6e-4, decay=0.7, betas=(0.9, 0.99), weight_decay=0.0),
    unet=Plan(8400, 32, 8e-4),
)


def pretrain(work: Path, device, pictures: int, plans: Plans) -> Iterator[Progress]:
    """All stages in order; yields progress; leaves `work/model`, a diffusers folder."""
    yield from draw_dataset(work / "pictures", pictures, parts.SIDE)
    data = load_dataset(work / "pictures")
    figures: dict[str, Any] = {}

    if not (work / "tokenizer" / "merges.txt").exists():
        parts.train_tokenizer(data.captions, work / "tokenizer")
    tokenizer = parts.load_tokenizer(work / "tokenizer")
    torch.manual_seed(0)
    clip = parts.build_clip(tokenizer)
    train = train_clip(clip, tokenizer, data, plans.clip, work, device)
    yield from _final(work / "clip-final.pt", clip, train, device)
    figures["clip_matching_among_100"] = matching_accuracy(clip, tokenizer, data, device)

    torch.manual_seed(3)
    judge = Classifier()
    train = train_classifier(judge, data, plans.judge, work, device)
    yield from _final(work / "classifier-final.pt", judge, train, device)
    figures["classifier"] = accuracy(judge, data)
    save_classifier(judge.cpu(), work / PACKAGED_JUDGE.name)

    torch.manual_seed(1)
    vae = parts.build_autoencoder()
    train = train_autoencoder(vae, data, plans.autoencoder, work, device)
    yield from _final(work / "autoencoder-final.pt", vae, train, device)
    yield from cache_latents(vae, data, work / "latents.npy", device)
    latents = torch.from_numpy(np.load(work / "latents.npy"))
    scale = 1 / latents.float().std().item()
    vae.register_to_config(scaling_factor=scale)
    train = train_decoder(vae, data, plans.decoder, work, device)
    yield from _final(work / "decoder-final.pt", vae, train, device)
    figures["autoencoder_psnr_db"] = psnr(vae, data, device)
    write_json(work / "figures.json", figures)

    torch.manual_seed(2)
    unet = parts.build_unet()
    text = TextCache(parts.text_encoder_of(clip), tokenizer, device)
    scaled = (latents[: data.trained].float() * scale).half()
    captions = data.captions[: data.trained]
    train = train_unet(unet, scaled, captions, text, plans.unet, work, device)
    yield from _final(work / "unet-final.pt", unet, train, device)
    save(work / "model", tokenizer, clip, vae, unet)
    write_json(work / "model" / FIGURES, figures | {"unet_samples": plans.unet.samples})


def save(folder: Path, tokenizer, clip, vae, unet) -> None:
    """Write the diffusers folder in float16, and the CLIP beside it for scores."""
    pipeline = StableDiffusionPipeline(
        vae=vae.cpu(),
        text_encoder=parts.text_encoder_of(clip.cpu()),
        tokenizer=tokenizer,
        unet=unet.cpu(),
        scheduler=parts.build_scheduler(),  # type: ignore[arg-type]
        safety_checker=None,  # type: ignore[arg-type]
        feature_extractor=None,  # type: ignore[arg-type]
        requires_safety_checker=False,
    )
    pipeline.to(dtype=torch.float16).save_pretrained(folder)
    clip.half().save_pretrained(folder / "clip")
    # transformers loads a text encoder in the dtype of its weights, diffusers all else in float32:
    # without a word about it the pipeline would open with parts that do not fit
    config = folder / "text_encoder" / "config.json"
    write_json(config, json.loads(config.read_text(encoding="utf-8")) | {"dtype": "float32"})
    # transformers 5 writes tokenizer.json alone; other programs want the two files of CLIP
    source = Path(tokenizer.name_or_path)
    for name in ("vocab.json", "merges.txt"):
        (folder / "tokenizer" / name).write_bytes((source / name).read_bytes())


def save_now(work: Path) -> None:
    """Write `work/model` from the U-Net's checkpoint as it stands, finished or not."""
    tokenizer = parts.load_tokenizer(work / "tokenizer")
    clip, vae, unet = parts.build_clip(tokenizer), parts.build_autoencoder(), parts.build_unet()
    clip.load_state_dict(torch.load(work / "clip-final.pt", weights_only=True))
    vae.load_state_dict(torch.load(work / "decoder-final.pt", weights_only=True))
    unet.load_state_dict(torch.load(work / "unet.pt", weights_only=True)["average"])
    latents = torch.from_numpy(np.load(work / "latents.npy"))
    vae.register_to_config(scaling_factor=1 / latents.float().std().item())
    save(work / "model", tokenizer, clip, vae, unet)


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m storybook.pretrain",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add, unet = parser.add_argument, BUNDLED.unet
    add("--work", type=Path, default=Path("outputs/storybook-pretrain"), help="where all is kept")
    add("--device", default="auto", help="cpu, cuda or auto")
    add("--pictures", type=int, default=60_000, help="how many pictures are drawn")
    add("--unet-steps", type=int, default=unet.steps, help="a longer run may resume a shorter one")
    add("--batch-size", type=int, default=unet.batch_size, help="pictures a step of the U-Net")
    add("--save-now", action="store_true", help="only write work/model from the last checkpoint")
    return parser.parse_args(argv)


def show(steps: Iterator[Progress]) -> None:
    """One progress bar a stage."""
    bar: tqdm | None = None
    for progress in steps:
        if bar is None or bar.desc != progress.stage:
            bar = tqdm(total=progress.total, desc=progress.stage, mininterval=5)
        bar.set_postfix_str(progress.note, refresh=False)
        bar.update(progress.done - bar.n)
        if progress.done == progress.total:
            bar.close()


def main(argv: list[str] | None = None) -> None:
    """The command."""
    options = parse_arguments(argv)
    options.work.mkdir(parents=True, exist_ok=True)
    if options.save_now:
        save_now(options.work)
    else:
        unet = replace(BUNDLED.unet, steps=options.unet_steps, batch_size=options.batch_size)
        device = pick_device(options.device)
        show(pretrain(options.work, device, options.pictures, replace(BUNDLED, unet=unet)))
    print(
        f"The model is in {options.work / 'model'}; copy it over {PACKAGED} to make it the default."
    )


if __name__ == "__main__":
    main()
