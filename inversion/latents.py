"""Pictures as latents: of one or several shapes, encoded once for all runs, with what each cell
counts.

Encodings are kept under `outputs/.latents/`, one file for each picture, autoencoder and size, and
are the same bits as encoding anew. The folder may be deleted at any time.
"""

import hashlib
import json
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import PIL
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from diffusion.stable_diffusion import StableDiffusion, encode
from inversion.data import Example, upright_size
from inversion.shapes import box_for
from lab.errors import UserError
from lab.images import read_image
from lab.masks import mask_of, read_mask
from lab.processes import Processes
from lab.run import Progress, file_hash, write_atomically

FOLDER = ".latents"  # inside outputs/
VERSION = 1  # raised when the same picture would be encoded to other bits
A_DAY = 86_400.0  # seconds after which a half-written file belongs to nobody
STAGE = "encoding pictures"


@dataclass(frozen=True)
class Latents:
    """A picture's latent distribution, as it is and mirrored."""

    mean: Tensor
    """float32 [2, C, h, w]; the second is mirrored."""
    std: Tensor
    """float32 [2, C, h, w]."""
    weights: Tensor | None = None
    """What each cell counts in the loss, float32 [2, 1, h, w] with mean 1; None: all the same."""


def encode_pictures(
    sd: StableDiffusion,
    examples: Sequence[Example],
    shapes: Sequence[tuple[int, int]],
    weights: Sequence[Tensor | None] | None = None,
    cache: Path | None = None,
    processes: Processes | None = None,
) -> Generator[Progress, None, list[Latents]]:
    """The latents of every example, on the model's device, fitted to its shape (width, height).

    weights: what `read_weights` found for each; None: all cells of all pictures count the same.
    cache: the folder of encodings that were made before and are kept for later; None: neither. With
    several processes each encodes its share, and reads the others' from there.

    Raises:
        UserError: a picture cannot be read.
    """
    processes = processes or Processes(sd.device.type)
    weights = weights or [None] * len(examples)
    pictures = list(zip(examples, shapes, strict=True))
    sign = _signature(sd) if cache else {}
    if cache:
        _remove_leftovers(cache)
    if cache and processes.count > 1:
        mine = processes.share(pictures)
        for done, (example, shape) in enumerate(mine):
            yield Progress(STAGE, done, len(mine))
            _latents_of(sd, example, shape, cache, sign)
        processes.wait()
    found = []
    for done, ((example, shape), weight) in enumerate(zip(pictures, weights, strict=True)):
        yield Progress(STAGE, done, len(pictures))
        mean, std = _latents_of(sd, example, shape, cache, sign)
        found.append(Latents(mean.to(sd.device), std.to(sd.device), weight))
    yield Progress(STAGE, len(pictures), len(pictures))
    return found


def fitted(image: Image.Image, shape: tuple[int, int]) -> Image.Image:
    """The middle of a picture at `shape` (width, height): nothing is squashed, little is cut."""
    if image.size == shape:
        return image
    return image.resize(shape, Image.Resampling.LANCZOS, box=box_for(image.size, shape))


def read_weights(sd: StableDiffusion, example: Example, shape: tuple[int, int]) -> Tensor | None:
    """What each latent cell counts, float32 [2, 1, h, w] with mean 1; None without a mask.

    A cell counts as much as the mask's mean over its area; where that is nothing, the picture may
    hold anything.

    Raises:
        UserError: the mask cannot be read, or leaves nothing to learn from.
    """
    if not (example.mask or mask_of(example.path) or _has_alpha(example.path)):
        return None
    size = example.size or upright_size(example.path)
    mask = read_mask(example.path, size, example.mask)
    if mask is None:
        return None
    _, h, w = sd.latent_shape(shape[1], shape[0])
    image = Image.fromarray(mask)  # float32: mode F
    cells = image.resize((w, h), Image.Resampling.BOX, box=box_for(size, shape))
    weights = torch.from_numpy(np.array(cells)).clamp(0, 1)
    if weights.mean() <= 0:
        raise UserError(
            f"{example.path} is masked all over, nothing of it can be learned: remove the picture "
            "or its mask, or set inversion.masks to false"
        )
    if weights.min() == weights.max():
        return None
    weights = weights / weights.mean()
    return torch.stack([weights, weights.flip(-1)])[:, None].to(sd.device)


def _has_alpha(path: Path) -> bool:
    """Whether a picture's header promises transparency: most need not be read to know."""
    try:
        with Image.open(path) as image:
            return image.has_transparency_data
    except Exception:  # whatever is odd about it is said by those who read it
        return True


def _latents_of(
    sd: StableDiffusion,
    example: Example,
    shape: tuple[int, int],
    cache: Path | None,
    sign: dict[str, Any],
) -> tuple[Tensor, Tensor]:
    """Mean and deviation [2, C, h, w] of a picture and its mirror image, from the cache or new."""
    if cache is None:
        return _encoded(sd, example, shape)
    key = sign | {"picture": file_hash(example.path), "size": shape}
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
    path = cache / f"{name}.safetensors"
    kept = _read(path, (2, *sd.latent_shape(shape[1], shape[0])))
    if kept is None:
        kept = _encoded(sd, example, shape)
        _write(path, kept)
    return kept


def _encoded(
    sd: StableDiffusion, example: Example, shape: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    image = fitted(read_image(example.path), shape)
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 127.5 - 1
    mean, std = encode(sd, torch.stack([pixels, pixels.flip(-1)]))
    return mean, std


def _signature(sd: StableDiffusion) -> dict[str, Any]:
    """What an encoding depends on besides the picture and its size."""
    digest = hashlib.sha256()
    for name, weight in sorted(sd.vae.state_dict().items()):
        if name.startswith(("encoder.", "quant_conv.")):
            digest.update(name.encode())
            digest.update(_bytes_of(weight))
    on_gpu = sd.device.type == "cuda"
    return {
        "version": VERSION,
        "encoder": digest.hexdigest(),
        "scale": sd.vae.config["scaling_factor"],
        "dtype": str(sd.dtype),
        "device": torch.cuda.get_device_name(sd.device) if on_gpu else sd.device.type,
        "software": [torch.__version__, diffusers.__version__, PIL.__version__],
    }


def _bytes_of(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()


def _digest(kept: tuple[Tensor, Tensor]) -> str:
    return hashlib.sha256(_bytes_of(kept[0]) + _bytes_of(kept[1])).hexdigest()


def _read(path: Path, shape: tuple[int, ...]) -> tuple[Tensor, Tensor] | None:
    """What is kept in a file; None where it is missing, damaged or of another shape."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            kept = file.get_tensor("mean"), file.get_tensor("std")
            told = (file.metadata() or {}).get("sha256")
    except Exception:  # a damaged file may provoke any exception: it is made anew
        return None
    fits = all(part.shape == shape and part.dtype == torch.float32 for part in kept)
    return kept if fits and told == _digest(kept) else None


def _write(path: Path, kept: tuple[Tensor, Tensor]) -> None:
    tensors = {name: t.cpu().contiguous() for name, t in zip(("mean", "std"), kept, strict=True)}
    notes = {"sha256": _digest(kept)}
    write_atomically(path, lambda p: save_file(tensors, p, metadata=notes))


def _remove_leftovers(cache: Path) -> None:
    """Temporary files of processes that were killed."""
    for path in cache.glob(".tmp-*"):
        try:
            if time.time() - path.stat().st_mtime > A_DAY:
                path.unlink()
        except FileNotFoundError:  # another process was faster
            continue
