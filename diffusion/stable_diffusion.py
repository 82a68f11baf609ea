"""A pretrained Stable Diffusion 1.x: loading it from anywhere, its autoencoder, its schedulers.

The parts stay diffusers' own classes. What is ours is one plain value that holds them
(`StableDiffusion`), a loader that never guesses silently, and encoding and decoding whose result
for one picture does not depend on the pictures beside it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.utils import logging
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from diffusion.config import Draws, UsesModel
from diffusion.pseudo_word import Word
from diffusion.single_file import Parts, read_checkpoint, read_vae
from diffusion.sources import BUNDLED, fingerprint, locate, locate_vae
from diffusion.tokenizers import find_tokenizer
from lab.device import fetched_later, pick_device, pick_dtype, set_attention
from lab.errors import UserError, said_first

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
    resting: set[str] = field(default_factory=set)
    """The parts that wait in the computer's memory until they are needed: see `rest`."""
    prompt_weights: bool = False
    """Whether brackets in prompts weigh, as in AUTOMATIC1111: see diffusion/weights.py."""
    size: tuple[int, int] | None = None
    """(height, width) in px of what is drawn; None: what the model was trained on."""

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
        """(channels, h, w) of the latents of a picture, of `size` where nothing else is said;
        UserError where its sides do not divide."""
        own = self.size or (self.resolution, self.resolution)
        height, width = height or own[0], width or own[1]
        multiple = self.side_multiple
        if height % multiple or width % multiple:
            raise UserError(
                f"the model {self.name} draws pictures whose sides are multiples of {multiple} px, "
                f"not {width} x {height}: choose the nearest multiples"
            )
        return self.unet.config["in_channels"], height // self.vae_factor, width // self.vae_factor


def load(
    model: str = BUNDLED,
    device: str = "auto",
    dtype: str = "auto",
    attention: str = "auto",
    *,
    vae: str = "",
    tokenizer: str = "",
    revision: str = "",
) -> StableDiffusion:
    """Load `model`: "storybook", a diffusers folder, a .safetensors or .ckpt file, or a hub id.

    `vae` takes the place of the model's autoencoder: a file, a folder or a hub id. `tokenizer` is
    the folder of a single file's tokenizer (see diffusion/tokenizers.py), `revision` a hub id's
    branch, tag or commit.

    Raises UserError, naming the model and a remedy, where it is not there or cannot be read.
    The safety checker is never loaded: it costs more memory than it protects pictures of tents.
    """
    torch_device = pick_device(device)
    torch_dtype = pick_dtype(dtype, torch_device)
    source = locate(model, revision)
    try:
        parts, words = _open(source, torch_dtype, tokenizer)
        autoencoder = load_vae(vae, torch_dtype) if vae else parts.vae
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        raise UserError(
            f"the model {model} cannot be loaded from {source} ({said_first(error)}): "
            "it must be a complete Stable Diffusion 1.x, as a diffusers folder or a single file"
        ) from error
    if autoencoder is None:
        raise UserError(
            f"{source}: there is no autoencoder in this file; name one as vae, such as "
            "stabilityai/sd-vae-ft-mse or a file of it"
        )
    modules: list[nn.Module] = [parts.text_encoder, autoencoder, parts.unet]
    for module in modules:
        module.to(torch_device).eval().requires_grad_(False)
    set_attention(parts.unet, attention)
    return StableDiffusion(
        tokenizer=words,
        text_encoder=parts.text_encoder,
        vae=autoencoder,
        unet=parts.unet,
        scheduler_config=parts.scheduler_config,
        device=torch_device,
        dtype=torch_dtype,
        name=model,
        fingerprint=fingerprint(source, *([locate_vae(vae)] if vae else [])),
    )


def open_model(config: UsesModel, dtype: str | None = None) -> StableDiffusion:
    """Load what a job's settings name; `dtype` where the job chooses for itself.

    Raises:
        UserError: it is not there, or cannot be computed or drawn in that way.
    """
    sd = load(
        config.model,
        config.device,
        dtype or config.dtype,
        config.attention,
        vae=config.vae,
        tokenizer=config.tokenizer,
        revision=config.revision,
    )
    if isinstance(config, Draws):
        sd.prompt_weights = config.prompt_weights
        sd.size = config.height or sd.resolution, config.width or sd.resolution
        sd.latent_shape()
        if _channels_last(config, sd.device, sd.dtype):
            parts: list[Any] = [sd.unet, sd.vae]
            for part in parts:
                part.to(memory_format=torch.channels_last)
    return sd


def _channels_last(config: Draws, device: torch.device, dtype: torch.dtype) -> bool:
    if config.channels_last == "auto":
        return device.type == "cpu" and dtype == torch.bfloat16
    return config.channels_last


def weights_of(config: UsesModel) -> str:
    """The fingerprint of what a job's settings name, without loading it."""
    others = [locate_vae(config.vae)] if config.vae else []
    return fingerprint(locate(config.model, config.revision), *others)


def what_computes(config: Draws) -> dict[str, Any]:
    """What of a model decides the pixels of a picture, as JSON for the key of a result."""
    device = pick_device(config.device)
    dtype = pick_dtype(config.dtype, device)
    return {
        "model": weights_of(config),
        "device": device.type,
        "dtype": str(dtype),
        "attention": "sdpa" if config.attention == "auto" else config.attention,
        "versions": {name: version(name) for name in ("torch", "diffusers", "transformers")},
        **config.model_dump(include={"width", "height", "prompt_weights"}, exclude_defaults=True),
        **({"channels_last": True} if _channels_last(config, device, dtype) else {}),
    }


def _open(source: Path, dtype: torch.dtype, tokenizer: str) -> tuple[Parts, CLIPTokenizer]:
    if source.is_file():
        parts = read_checkpoint(source, dtype)
        vocabulary = parts.text_encoder.config.vocab_size
        return parts, find_tokenizer(tokenizer, source, vocabulary)
    with _no_bars():
        pipeline = StableDiffusionPipeline.from_pretrained(
            str(source),
            torch_dtype=dtype,
            local_files_only=True,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    config = dict(pipeline.scheduler.config)
    return Parts(pipeline.unet, pipeline.vae, pipeline.text_encoder, config), pipeline.tokenizer


def load_vae(vae: str, dtype: torch.dtype) -> AutoencoderKL:
    """An autoencoder apart from a model; what a folder holds must be diffusers' own."""
    path = locate_vae(vae)
    if path.is_file():
        return read_vae(path, dtype)
    with _no_bars():
        return AutoencoderKL.from_pretrained(str(path), torch_dtype=dtype, local_files_only=True)


@contextmanager
def _no_bars() -> Iterator[None]:
    """Five parts in a second need no progress bar."""
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if bars:
            logging.enable_progress_bar()


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


def rest(sd: StableDiffusion, part: str) -> None:
    """Let "vae" or "text_encoder" wait in the computer's memory: `encode`, `decode` and
    `encode_prompts` fetch it and put it back, which changes no bit and costs some hundredths of a
    second."""
    sd.resting.add(part)
    _move(getattr(sd, part), torch.device("cpu"))


@contextmanager
def at_work(sd: StableDiffusion, part: str) -> Iterator[None]:
    """Within it a part that rests is on the device."""
    if part not in sd.resting:
        yield
        return
    _move(getattr(sd, part), sd.device)
    try:
        yield
    finally:
        _move(getattr(sd, part), torch.device("cpu"))


def _move(module: nn.Module, device: torch.device) -> None:
    module.to(device)


@torch.no_grad()
def encode(sd: StableDiffusion, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels [N, 3, H, W] in -1..1 to mean and standard deviation [N, 4, h, w] of their latents.

    Both are float32, on the model's device, and already multiplied by the VAE's scaling factor:
    `mean + std * noise` is what the U-Net was trained on.
    """
    means, deviations = [], []
    with at_work(sd, "vae"):
        for part, real in _constant_parts(pixels, pixels.shape[-2] * pixels.shape[-1]):
            latents = sd.vae.encode(part.to(sd.device, sd.dtype), return_dict=False)[0]
            means.append(latents.mean[:real].float())
            deviations.append(latents.std[:real].float())
    scale = sd.vae.config["scaling_factor"]
    return torch.cat(means) * scale, torch.cat(deviations) * scale


def decode(sd: StableDiffusion, latents: Tensor) -> np.ndarray:
    """Latents [N, 4, h, w], scaled as in `encode`, to pictures: uint8 [N, H, W, 3]."""
    return decode_later(sd, latents)()


@torch.no_grad()
def decode_later(sd: StableDiffusion, latents: Tensor) -> Callable[[], np.ndarray]:
    """`decode`, queued on a GPU: the function that is returned waits for the pictures."""
    pictures = []
    area = latents.shape[-2] * latents.shape[-1] * sd.vae_factor**2
    with at_work(sd, "vae"):
        for part, real in _constant_parts(latents, area):
            scaled = (part.to(sd.device) / sd.vae.config["scaling_factor"]).to(sd.dtype)
            pixels = sd.vae.decode(scaled, return_dict=False)[0][:real].float()
            pictures.append(((pixels / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8))
    fetch = fetched_later(torch.cat(pictures).permute(0, 2, 3, 1).contiguous())
    return lambda: fetch().numpy()


def _constant_parts(batch: Tensor, pixels_per_picture: int) -> Iterator[tuple[Tensor, int]]:
    """Split a batch into parts of one size, the last one padded with its last picture."""
    size = min(len(batch), max(1, PIXELS_PER_CALL // pixels_per_picture))
    for start in range(0, len(batch), size):
        part = batch[start : start + size]
        padding = part[-1:].expand(size - len(part), *part.shape[1:])
        yield torch.cat([part, padding]), len(part)
