"""The frames of a sweep: which there are, which are there already, and rendering the others.

A frame carries, in its PNG text, a key of everything that decides its pixels. So a sweep that was
stopped continues, one that was widened or refined renders only what is new, and a frame of other
settings is never taken for one of these.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from cfg.config import Config
from cfg.sampling import denoise
from diffusion.prompts import encode_prompts
from diffusion.stable_diffusion import StableDiffusion, decode
from lab.device import noise
from lab.images import save_png
from lab.run import Run

KEY = "pseudoword-key"
_MOVING = ".tmp-moving-"


@dataclass(frozen=True)
class Frame:
    """One scale of a sweep and the file of its picture."""

    index: int
    scale: Decimal
    path: Path
    key: str
    """A hash of everything that decides the pixels, the scale included."""


def frames_of(
    scales: Sequence[Decimal], folder: Path, settings: Mapping[str, Any]
) -> tuple[Frame, ...]:
    """The frames folder/000000.png, ... of a sweep; `settings` decide their pixels."""
    return tuple(
        Frame(
            index,
            scale,
            folder / f"{index:06}.png",
            Run.fingerprint({**settings, "guidance_scale": plain(scale)}),
        )
        for index, scale in enumerate(scales)
    )


def plain(scale: Decimal) -> str:
    """A scale as one writes it: 7.5, 20, 0.02."""
    return format(scale.normalize(), "f")


def key_of(path: Path) -> str | None:
    """The key in a frame's file; None where it is missing, damaged, or no frame of ours."""
    try:
        with Image.open(path) as image:
            key = image.info.get(KEY)
            image.verify()  # reads to the end and checks every checksum
    except (OSError, SyntaxError, ValueError):
        return None
    return str(key) if key else None


def keep_what_fits(frames: Sequence[Frame]) -> None:
    """Bring the pictures that are there to their places in this sweep, and remove all others.

    A range that now begins elsewhere or has another step shifts the indices: the pictures are moved
    with them. First all copies are made, then each takes its place in one step, so that a process
    killed in between has lost pictures at worst, never mixed them up.
    """
    if not frames:
        return
    folder = frames[0].path.parent
    folder.mkdir(parents=True, exist_ok=True)
    there: dict[str, Path] = {}
    right: set[Path] = set()
    wanted = {frame.path: frame.key for frame in frames}
    for path in sorted(folder.glob("*.png")):
        if path.name.startswith("."):
            continue
        if key := key_of(path):
            there.setdefault(key, path)
            if wanted.get(path) == key:
                right.add(path)
    copies: list[tuple[Path, Path]] = []
    for frame in frames:
        if frame.path not in right and frame.key in there:
            copy = folder / f"{_MOVING}{frame.path.name}"
            shutil.copyfile(there[frame.key], copy)
            copies.append((copy, frame.path))
    for copy, place in copies:
        copy.replace(place)
        right.add(place)
    for path in folder.glob("*.png"):
        if path not in right:
            path.unlink()


def missing(frames: Sequence[Frame]) -> list[Frame]:
    """The frames whose picture is not there, or is not theirs."""
    return [frame for frame in frames if key_of(frame.path) != frame.key]


def batch_size_for(
    latent_shape: tuple[int, int, int], device: torch.device, chosen: int | str
) -> int:
    """The number of scales computed at once: the chosen one, or for "auto" what suits the device.

    On CPU cores batching pays for small latents only (measured: 2.1 times faster for eight of 8x8,
    1.6 for eight of 16x16, slower for eight of 32x32). It depends on nothing but shape and device,
    because frames are comparable to the last bit at one batch size only.
    """
    if isinstance(chosen, int):
        return chosen
    cells, most = (2048, 8) if device.type == "cpu" else (65536, 64)
    return max(1, min(most, cells // (latent_shape[1] * latent_shape[2])))


Chunk = tuple[Frame | None, ...]
"""Frames to compute at once, always the same number; None stands for padding."""


def chunks_of(frames: Sequence[Frame], batch_size: int) -> list[Chunk]:
    """Frames in chunks of exactly `batch_size`, each frame once, in its place in the batch.

    That place is its index modulo the batch size. A CPU may round the last bit of a picture
    differently at another place: PyTorch computes SiLU by vectors, and by single numbers where its
    threads' shares of a batch end, which may be inside of a picture. So a sweep that was stopped
    anywhere ends with the same bytes. Only where most of that would be padding, as when a step was
    halved, are the frames packed regardless of their places.
    """
    places: list[list[Frame]] = [[] for _ in range(batch_size)]
    for frame in frames:
        places[frame.index % batch_size].append(frame)
    chunks = list(zip_longest(*places))
    fewest = -(-len(frames) // batch_size)
    if len(chunks) > fewest + 4:
        padded: list[Frame | None] = [*frames, *[None] * (fewest * batch_size - len(frames))]
        return [tuple(padded[i * batch_size : (i + 1) * batch_size]) for i in range(fewest)]
    return chunks


@dataclass(frozen=True)
class Rendered:
    """How far `render` is: `done` frames are written; `step` of `steps` of the chunk in work."""

    done: int
    step: int
    steps: int


def render(sd: StableDiffusion, chunks: Sequence[Chunk], config: Config) -> Iterator[Rendered]:
    """Draw frames, a chunk of scales at once, and write each to its file.

    All scales share the starting noise of the seed, and what an ancestral scheduler draws later.
    The text is encoded once. No bit of a frame depends on which other scales are drawn with it.
    """
    if not chunks:
        return
    batch_size = len(chunks[0])
    encoded = encode_prompts(sd, [config.prompt, config.negative_prompt])
    cond, uncond = (part.repeat(batch_size, 1, 1) for part in encoded.split(1))
    x_T = noise(sd.latent_shape(), config.seed, 0).repeat(batch_size, 1, 1, 1)
    seeds = [config.seed] * batch_size
    done = 0
    for chunk in chunks:
        padding = next(float(frame.scale) for frame in chunk if frame)
        scale = torch.tensor([float(frame.scale) if frame else padding for frame in chunk])
        latents = x_T
        for step in denoise(sd, x_T, cond, uncond, scale, config.scheduler, config.steps, seeds):
            latents = step.latents
            yield Rendered(done, step.index + 1, step.total)
        for frame, pixels in zip(chunk, decode(sd, latents), strict=True):
            if frame:
                save_png(Image.fromarray(pixels), frame.path, _text(frame, config))
                done += 1
        yield Rendered(done, 0, 0)


def _text(frame: Frame, config: Config) -> dict[str, str]:
    """What a frame says of itself to whoever finds it alone."""
    about = config.model_dump(
        include={"prompt", "negative_prompt", "seed", "steps", "scheduler", "model"}
    )
    return {
        KEY: frame.key,
        "guidance_scale": plain(frame.scale),
        "parameters": json.dumps(about, ensure_ascii=False),
    }
