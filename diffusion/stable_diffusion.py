"""A pretrained Stable Diffusion 1.x: loading it from anywhere, its autoencoder, its schedulers.

The parts stay diffusers' own classes. What is ours is one plain value that holds them
(`StableDiffusion`), a loader that never guesses silently, and encoding and decoding whose result
for one picture does not depend on the pictures beside it.
"""

import hashlib
import importlib.resources
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.utils import logging
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from diffusion.pseudo_word import Word
from lab.device import pick_device, pick_dtype, set_attention
from lab.errors import UserError

BUNDLED = "storybook"
PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
SINGLE_FILES = (".safetensors", ".ckpt")

# One decoder or encoder call works on at most this many pixels: all of a batch of small pictures,
# but one 512 px picture at a time (its decoder needs more memory than the U-Net does).
PIXELS_PER_CALL = 512 * 512

# name -> (diffusers class, settings that differ from the model's own, arguments of every step).
# Latents are not confined to -1..1, so nothing here may clip the predicted x_0.
SCHEDULERS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {"clip_sample": False}, {}),
    "ddim_eta1": ("DDIMScheduler", {"clip_sample": False}, {"eta": 1.0}),
    "ddpm": ("DDPMScheduler", {"clip_sample": False}, {}),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}, {}),
    "euler": ("EulerDiscreteScheduler", {}, {}),
    "euler_a": ("EulerAncestralDiscreteScheduler", {}, {}),
    "heun": ("HeunDiscreteScheduler", {}, {}),
    "dpm++": ("DPMSolverMultistepScheduler", {}, {}),
    "unipc": ("UniPCMultistepScheduler", {}, {}),
}
DRAWS_NOISE = frozenset({"ddim_eta1", "ddpm", "euler_a"})


@dataclass(eq=False)
class StableDiffusion:
    """The parts of a loaded model, frozen and in evaluation mode; `fingerprint` names its
    weights."""

    tokenizer: CLIPTokenizer
    text_encoder: CLIPTextModel
    vae: AutoencoderKL
    unet: UNet2DConditionModel
    scheduler_config: dict[str, Any]
    device: torch.device
    dtype: torch.dtype
    name: str
    fingerprint: str
    words: dict[str, Word] = field(default_factory=dict)
    """Learned words that prompts may use, by token: `diffusion.pseudo_word.register` adds them."""

    @property
    def vae_factor(self) -> int:
        """Pixels per latent cell, along one side."""
        return 2 ** (len(self.vae.config["block_out_channels"]) - 1)

    @property
    def resolution(self) -> int:
        """Side, in pixels, of the pictures that the model was trained on."""
        return self.unet.config["sample_size"] * self.vae_factor

    @property
    def side_multiple(self) -> int:
        """Pixels that the sides of its pictures are multiples of."""
        # The U-Net halves its input once per level but the last: the latents must divide as well.
        return self.vae_factor * 2 ** (len(self.unet.config["block_out_channels"]) - 1)

    def latent_shape(
        self, height: int | None = None, width: int | None = None
    ) -> tuple[int, int, int]:
        """(channels, h, w) of the latents of a picture; UserError where its sides do not divide."""
        height, width = height or self.resolution, width or self.resolution
        multiple = self.side_multiple
        if height % multiple or width % multiple:
            raise UserError(
                f"the model {self.name} draws pictures whose sides are multiples of {multiple} px, "
                f"not {width} x {height}: choose the nearest multiples"
            )
        return self.unet.config["in_channels"], height // self.vae_factor, width // self.vae_factor


def load(
    model: str = BUNDLED, device: str = "auto", dtype: str = "auto", attention: str = "auto"
) -> StableDiffusion:
    """Load `model`: "storybook", a diffusers folder, a .safetensors or .ckpt file, or a hub id.

    Raises UserError, naming the model and a remedy, where it is not there or cannot be read.
    The safety checker is never loaded: it costs more memory than it protects pictures of tents.
    """
    torch_device = pick_device(device)
    torch_dtype = pick_dtype(dtype, torch_device)
    source = locate(model)
    try:
        pipeline = _open_pipeline(source, torch_dtype)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        raise UserError(
            f"the model {model} cannot be loaded from {source} ({_first_line(error)}): "
            "it must be a complete Stable Diffusion 1.x, as a diffusers folder or a single file"
        ) from error
    for part in (pipeline.text_encoder, pipeline.vae, pipeline.unet):
        part.to(torch_device).eval().requires_grad_(False)
    set_attention(pipeline.unet, attention)
    return StableDiffusion(
        tokenizer=pipeline.tokenizer,
        text_encoder=pipeline.text_encoder,
        vae=pipeline.vae,
        unet=pipeline.unet,
        scheduler_config=dict(pipeline.scheduler.config),
        device=torch_device,
        dtype=torch_dtype,
        name=model,
        fingerprint=fingerprint(source),
    )


def locate(model: str) -> Path:
    """The folder or file that `model` names; a hub id is downloaded into the cache if it must
    be."""
    if model == BUNDLED:
        folder = Path(str(importlib.resources.files(BUNDLED) / "model"))
        if not (folder / "model_index.json").is_file():
            raise UserError(
                f"the bundled model is not in {folder}: reinstall pseudoword, "
                "or draw it anew with python -m storybook.pretrain"
            )
        return folder
    path = Path(model).expanduser()
    if path.is_dir():
        if not (path / "model_index.json").is_file():
            raise UserError(
                f"the folder {model} is not a diffusers model, it has no model_index.json: "
                "give the folder that holds unet/, vae/ and text_encoder/"
            )
        return path
    if path.is_file():
        if path.suffix not in SINGLE_FILES:
            raise UserError(f"the model file {model} must end in {' or '.join(SINGLE_FILES)}")
        return path
    looks_like_a_path = model.startswith((".", "/", "~")) or model.count("/") != 1
    if looks_like_a_path or path.suffix in SINGLE_FILES:
        raise UserError(
            f"the model {model} is not there: give {BUNDLED!r}, a diffusers folder, "
            "a .safetensors or .ckpt file, or a hub id such as CompVis/stable-diffusion-v1-4"
        )
    return _download(model)


def _download(hub_id: str) -> Path:
    try:
        return Path(StableDiffusionPipeline.download(hub_id, safety_checker=None))
    except Exception as error:
        # The hub's client has a dozen exceptions of its own, and its HTTP library as many more.
        raise UserError(
            f"the model {hub_id} is neither a folder here nor in the Hugging Face cache, and it "
            f"could not be downloaded ({_first_line(error)}): go online once, log in if it asks "
            f"for that, or set model to a local folder or to {BUNDLED}"
        ) from error


def _open_pipeline(source: Path, dtype: torch.dtype) -> StableDiffusionPipeline:
    settings = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # five parts in a second need no bar
    try:
        if source.is_file():
            return StableDiffusionPipeline.from_single_file(
                str(source), torch_dtype=dtype, **settings
            )
        return StableDiffusionPipeline.from_pretrained(
            str(source), torch_dtype=dtype, local_files_only=True, **settings
        )
    finally:
        if bars:
            logging.enable_progress_bar()


def fingerprint(source: Path) -> str:
    """Twelve hexadecimal digits of a hash of the model's files: equal weights, equal fingerprint.

    Files above 64 MiB are hashed by name, size and 64 evenly spaced blocks of 64 KiB: training
    moves every weight, so this sees it, and 4 GB of Stable Diffusion take milliseconds instead of
    seconds.
    """
    if source.is_file():
        files = [source]
    else:
        wanted = {".json", ".txt", ".safetensors", ".bin"}
        files = [
            f for part in PARTS for f in sorted((source / part).glob("*")) if f.suffix in wanted
        ]
    digest = hashlib.sha256()
    for file in files:
        size = file.stat().st_size
        digest.update(f"{file.parent.name}/{file.name}:{size}\n".encode())
        with file.open("rb") as stream:
            if size <= 64 * 2**20:
                digest.update(stream.read())
                continue
            for block in range(64):
                stream.seek(block * (size - 2**16) // 63)
                digest.update(stream.read(2**16))
    return digest.hexdigest()[:12]


def make_scheduler(sd: StableDiffusion, name: str, steps: int):
    """A new diffusers scheduler with its timesteps set (schedulers hold state: one per
    trajectory)."""
    if name not in SCHEDULERS:
        raise UserError(f"{name} is not a scheduler: choose one of {', '.join(SCHEDULERS)}")
    trained_steps = sd.scheduler_config.get("num_train_timesteps", 1000)
    if not 1 <= steps <= trained_steps:
        raise UserError(f"steps must be between 1 and {trained_steps}, not {steps}")
    class_name, settings, _ = SCHEDULERS[name]
    scheduler = getattr(diffusers, class_name).from_config(sd.scheduler_config, **settings)
    scheduler.set_timesteps(steps, device=sd.device)
    return scheduler


@torch.no_grad()
def encode(sd: StableDiffusion, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels [N, 3, H, W] in -1..1 to mean and standard deviation [N, 4, h, w] of their latents.

    Both are float32, on the model's device, and already multiplied by the VAE's scaling factor:
    `mean + std * noise` is what the U-Net was trained on.
    """
    means, deviations = [], []
    for part, real in _constant_parts(pixels, pixels.shape[-2] * pixels.shape[-1]):
        latents = sd.vae.encode(part.to(sd.device, sd.dtype), return_dict=False)[0]
        means.append(latents.mean[:real].float())
        deviations.append(latents.std[:real].float())
    scale = sd.vae.config["scaling_factor"]
    return torch.cat(means) * scale, torch.cat(deviations) * scale


@torch.no_grad()
def decode(sd: StableDiffusion, latents: Tensor) -> np.ndarray:
    """Latents [N, 4, h, w], scaled as in `encode`, to pictures: uint8 [N, H, W, 3]."""
    pictures = []
    area = latents.shape[-2] * latents.shape[-1] * sd.vae_factor**2
    for part, real in _constant_parts(latents, area):
        scaled = (part.to(sd.device) / sd.vae.config["scaling_factor"]).to(sd.dtype)
        pixels = sd.vae.decode(scaled, return_dict=False)[0][:real].float()
        pictures.append(((pixels / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).cpu())
    return torch.cat(pictures).permute(0, 2, 3, 1).contiguous().numpy()


def _constant_parts(batch: Tensor, pixels_per_picture: int) -> Iterator[tuple[Tensor, int]]:
    """Split a batch into parts of one size, the last one padded with its last picture."""
    size = min(len(batch), max(1, PIXELS_PER_CALL // pixels_per_picture))
    for start in range(0, len(batch), size):
        part = batch[start : start + size]
        padding = part[-1:].expand(size - len(part), *part.shape[1:])
        yield torch.cat([part, padding]), len(part)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return textwrap.shorten(lines[0], 160, placeholder=" ...").rstrip(".")
