"""Embedding files: what a pseudo-word looks like on disk.

Written: safetensors with one tensor, named as the token, fp32 [n, d], everything else in its
metadata. diffusers, AUTOMATIC1111, ComfyUI and kohya all read that. Read: the same, and the
`string_to_param` layout of AUTOMATIC1111 and the one-key files of diffusers, .safetensors or .pt.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from lab.errors import UserError
from lab.run import write_atomically

GIT_LFS = b"version https://git-lfs"
MOST_VECTORS = 77  # a prompt has no more tokens
METADATA = "pseudoword"  # the key in a file's metadata under which ours is kept


@dataclass(frozen=True)
class Embedding:
    """A pseudo-word as read from a file: `vectors` is float32 [n, d]."""

    token: str
    vectors: torch.Tensor
    metadata: dict[str, Any] = field(default_factory=dict)


def save_embedding(
    path: Path, token: str, vectors: torch.Tensor, metadata: Mapping[str, Any] | None = None
) -> None:
    """Write a pseudo-word as safetensors, whole or not at all.

    `vectors` [n, d] is stored as fp32, the metadata as one JSON string: safetensors writes several
    in an order that changes from run to run, and the same word shall be the same bytes.
    """
    tensors = {token: vectors.detach().float().cpu().contiguous()}
    notes = {METADATA: json.dumps(dict(metadata or {}), sort_keys=True)}
    write_atomically(path, lambda p: save_file(tensors, p, metadata=notes))


def _read_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    with safe_open(path, "pt") as file:
        names = file.keys()  # a safe_open is no dictionary: it cannot be iterated itself
        tensors = {name: file.get_tensor(name) for name in names}
        notes = file.metadata() or {}
    return tensors, json.loads(notes[METADATA]) if METADATA in notes else notes


def _read_pickle(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    # weights_only: torch's restricted unpickler, which runs no code from the file
    content = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(content, torch.Tensor):
        return {f"<{path.stem}>": content}, {}
    if "string_to_param" in content:
        name = content.get("name") or path.stem
        tensors = list(content["string_to_param"].values())
        return {name if k == 0 else f"{name}-{k}": t for k, t in enumerate(tensors)}, {}
    return {k: v for k, v in content.items() if isinstance(v, torch.Tensor)}, {}


def load_embedding(path: str | Path) -> Embedding:
    """Read a pseudo-word.

    Raises:
        UserError: the file is missing, damaged, a Git LFS pointer, holds several words or a whole
            vocabulary, or numbers that are not finite. Nothing in the file is ever executed.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: there is no such embedding file; check the path")
    with path.open("rb") as file:
        if file.read(len(GIT_LFS)) == GIT_LFS:
            raise UserError(
                f"{path}: this is a Git LFS pointer; fetch the file with `git lfs pull`"
            )
    try:
        read = _read_safetensors if path.suffix == ".safetensors" else _read_pickle
        tensors, metadata = read(path)
    except Exception as error:  # a damaged zip or pickle may provoke any exception at all
        raise UserError(
            f"{path}: this is not a readable embedding file; download or save it again"
        ) from error
    if len(tensors) != 1:
        raise UserError(
            f"{path}: expected one word but found {len(tensors)} tensors; "
            "give an embedding made for Stable Diffusion 1.x"
        )
    ((token, vectors),) = tensors.items()
    return _checked(path, token, vectors, metadata)


def _checked(path: Path, token: str, vectors: torch.Tensor, metadata: dict) -> Embedding:
    vectors = vectors.detach().float()
    if vectors.ndim == 1:  # old diffusers files hold (768,)
        vectors = vectors[None]
    if vectors.ndim != 2 or not 1 <= len(vectors) <= MOST_VECTORS:
        raise UserError(
            f"{path}: a word has 1 to {MOST_VECTORS} vectors, but this holds a tensor of shape "
            f"{tuple(vectors.shape)}; it may be a whole embedding table"
        )
    if not torch.isfinite(vectors).all():
        raise UserError(f"{path}: the vectors hold NaN or infinity; use an earlier checkpoint")
    return Embedding(token, vectors, metadata)
