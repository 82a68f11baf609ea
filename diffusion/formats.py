"""Embedding files: what a pseudo-word looks like on disk, in every program's own manner.

The default is safetensors with one tensor, named as the token, fp32 [n, d], everything else in its
metadata: diffusers, AUTOMATIC1111, ComfyUI and kohya all read that. `WRITERS` has the
programs' own layouts. All of them are read, whatever the file is called; `diffusion.containers`
gets the contents out of a file, this module knows what they mean.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from diffusion import containers, embedding_picture
from diffusion.containers import Contents, Parameters
from lab.errors import UserError
from lab.run import write_atomically

MOST_VECTORS = 77  # a prompt has no more tokens
METADATA = "pseudoword"  # the key in a file's metadata under which ours is kept
NAMELESS = ("emb_params", "emp_params", "*")
"""Keys that say which program wrote a file, and not what the word is called."""


@dataclass(frozen=True)
class Embedding:
    """A pseudo-word as read from a file: `vectors` is float32 [n, d]."""

    token: str
    vectors: Tensor
    metadata: dict[str, Any] = field(default_factory=dict)
    clip_g: Tensor | None = None
    """Stable Diffusion XL's second text encoder's vectors, [n, 1280]; `vectors` are its first's."""
    layout: str = "one tensor"
    """How the file says it, as `pseudoword embedding inspect` shows it."""
    stored: str = "fp32"
    """The numbers in the file."""

    @property
    def name(self) -> str:
        """The token without its brackets: what other programs call the word."""
        return self.token.strip("<>")


def save_embedding(
    path: Path, token: str, vectors: Tensor, metadata: Mapping[str, Any] | None = None
) -> None:
    """Write a pseudo-word as safetensors, whole or not at all.

    `vectors` [n, d] is stored as fp32, the metadata as one JSON string: safetensors writes several
    in an order that changes from run to run, and the same word shall be the same bytes.
    """
    _save_tensors(path, {token: vectors}, metadata or {})


def load_embedding(path: str | Path) -> Embedding:
    """Read a pseudo-word for a Stable Diffusion 1.x or 2.x, from any program's file.

    Raises:
        UserError: the file is missing, damaged, a Git LFS pointer, holds several words or a whole
            vocabulary, is another kind of file altogether, or holds numbers that are not finite.
            Nothing in the file is ever executed.
    """
    embedding = read_embedding(path)
    if embedding.clip_g is not None:
        raise UserError(
            f"{path}: this word is for Stable Diffusion XL, it has vectors for two text encoders; "
            "use one that was learned on Stable Diffusion 1.x"
        )
    return embedding


def read_embedding(path: str | Path) -> Embedding:
    """As `load_embedding`, for every model family: to look at, and to convert."""
    return meaning_of(containers.read(path))


def meaning_of(contents: Contents) -> Embedding:
    """The word in a file's contents; UserError where there is none, or not exactly one."""
    path, values = contents.path, contents.values
    if isinstance(values, Tensor):
        return _checked(path, f"<{path.stem}>", values, {}, "a bare tensor")
    if not isinstance(values, dict) or not values:
        raise UserError(f"{path}: this holds no vectors; name an embedding file")
    values = {str(key): value for key, value in values.items()}
    if "string_to_param" in values:
        return _from_automatic1111(contents, values)
    if mistaken := mistaken_for(values):
        raise UserError(f"{path}: this is {mistaken}")
    return _from_tensors(contents, {k: v for k, v in values.items() if isinstance(v, Tensor)})


def mistaken_for(values: Mapping[str, Any]) -> str | None:
    """What kind of file has these keys, and what to do with it, where it is no embedding."""
    for marks, what in _MISTAKEN:
        if any(mark in key for key in values for mark in marks):
            return what
    return None


# marks inside of keys -> what such a file is, the first that fits
_MISTAKEN: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("lora_", "hada_w1", "lokr_w1", "oft_blocks"),
        "a LoRA and no embedding: it belongs into the LoRA folder of the program that draws",
    ),
    (
        ("model.diffusion_model.", "first_stage_model.", "cond_stage_model.", "state_dict"),
        "a whole checkpoint and no embedding: name it as the model",
    ),
    (
        ("down_blocks.", "mid_block.", "encoder.conv_in"),
        "a U-Net or VAE and no embedding: name the folder of its model as the model",
    ),
    (
        ("encoder.layers.", "token_embedding.weight"),
        "a whole text encoder and no embedding: its learned word was to be saved alone",
    ),
    (
        ("optimizer_state_dict", "optimizer"),
        "the state of a training that can go on, and not its result: name the embedding beside it",
    ),
)


def _from_automatic1111(contents: Contents, values: dict[str, Any]) -> Embedding:
    """`string_to_param` with one entry; the original textual inversion pickled a ParameterDict."""
    path, found = contents.path, values["string_to_param"]
    found = found.values if isinstance(found, Parameters) else found
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()):
        raise UserError(f"{path}: its string_to_param holds no vectors; save or download it again")
    if len(found) != 1:
        raise _several(path, list(found))
    known = ("name", "step", "sd_checkpoint", "sd_checkpoint_name")
    metadata = {k: v for k in known if isinstance(v := values.get(k), str | int)}
    token = str(values.get("name") or path.stem)
    (vectors,) = found.values()
    layout = "AUTOMATIC1111's string_to_param"
    if contents.kind == "picture":
        layout = "AUTOMATIC1111's picture"
    return _checked(path, token, vectors, metadata, layout)


def _from_tensors(contents: Contents, tensors: dict[str, Tensor]) -> Embedding:
    path, metadata = contents.path, _own_metadata(contents.metadata)
    nameless = str(metadata.get("token") or f"<{path.stem}>")
    if {"clip_l", "clip_g"} <= set(tensors):
        layout = "Stable Diffusion XL's clip_l and clip_g"
        both = _checked(path, nameless, tensors["clip_l"], metadata, layout)
        clip_g = _checked(path, nameless, tensors["clip_g"], metadata, layout).vectors
        if len(clip_g) != len(both.vectors):
            raise UserError(
                f"{path}: clip_l has {len(both.vectors)} vectors but clip_g {len(clip_g)}; "
                "save or download it again"
            )
        return Embedding(nameless, both.vectors, metadata, clip_g, layout, both.stored)
    if "emp_params" in tensors:  # beside it OneTrainer may keep emp_params_out
        return _checked(path, nameless, tensors["emp_params"], metadata, "OneTrainer's emp_params")
    if any(key.endswith("_out") for key in tensors):
        raise UserError(
            f"{path}: these are OneTrainer's output vectors, which stand behind the text encoder "
            "and fit no other program; train with `output embedding` switched off"
        )
    if len(tensors) != 1:
        raise _several(path, list(tensors))
    ((key, vectors),) = tensors.items()
    if key in NAMELESS:
        writer = "kohya's and InvokeAI's emb_params" if key == "emb_params" else f"the key {key}"
        return _checked(path, nameless, vectors, metadata, writer)
    return _checked(path, key, vectors, metadata, "one tensor, as diffusers")


def _own_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    if METADATA not in metadata:
        return dict(metadata)
    try:
        own = json.loads(metadata[METADATA])
    except ValueError:
        return dict(metadata)
    return own if isinstance(own, dict) else dict(metadata)


def _several(path: Path, names: list[str]) -> UserError:
    if not names:
        return UserError(f"{path}: this holds no vectors; name an embedding file")
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return UserError(
        f"{path}: expected one word but found {len(names)} tensors ({shown}); "
        "name a file with one word in it"
    )


def _checked(
    path: Path, token: str, vectors: Tensor, metadata: dict[str, Any], layout: str
) -> Embedding:
    stored = str(vectors.dtype).removeprefix("torch.")
    if not vectors.dtype.is_floating_point:
        raise UserError(f"{path}: its vectors are {stored} and no real numbers; save it again")
    vectors = vectors.detach().float().cpu()
    if vectors.ndim == 1:  # old diffusers files hold (768,)
        vectors, layout = vectors[None], f"{layout}, one-dimensional"
    if vectors.ndim != 2 or not 1 <= len(vectors) <= MOST_VECTORS or not vectors.shape[1]:
        raise UserError(
            f"{path}: a word has 1 to {MOST_VECTORS} vectors, but this holds a tensor of shape "
            f"{tuple(vectors.shape)}; it may be a whole embedding table, of which the learned rows "
            "were to be saved"
        )
    if not torch.isfinite(vectors).all():
        raise UserError(f"{path}: the vectors hold NaN or infinity; use an earlier checkpoint")
    short = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "float64": "fp64"}
    return Embedding(token, vectors, metadata, None, layout, short.get(stored, stored))


# --- writing


@dataclass(frozen=True)
class Target:
    """A program's files: how they are written, and the suffixes by which it knows them."""

    write: Callable[[Path, Embedding, Path | None], None]
    suffixes: tuple[str, ...]
    use: str
    """How a prompt names the word there; {stem} is the file's, {name} and {token} the word's."""


def convert(embedding: Embedding, path: Path, to: str, picture: Path | None = None) -> None:
    """Write an embedding as the program `to`, one of `WRITERS`, keeps it.

    Raises:
        UserError: the file's suffix is none that the program reads, or the layout has no place for
            Stable Diffusion XL's second encoder.
    """
    target = WRITERS[to]
    if path.suffix.lower() not in target.suffixes:
        raise UserError(
            f"{path}: {to} files end in {' or '.join(target.suffixes)}; name it "
            f"{path.with_suffix(target.suffixes[0])}"
        )
    target.write(path, embedding, picture)


def _save_tensors(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
    plain = {key: value.detach().float().cpu().contiguous() for key, value in tensors.items()}
    metadata = {METADATA: json.dumps(dict(notes), sort_keys=True)}
    if path.suffix.lower() == ".safetensors":
        write_atomically(path, lambda p: save_file(plain, p, metadata=metadata))
    else:
        _save_pickle(path, plain)


def _save_pickle(path: Path, values: Mapping[str, Any]) -> None:
    # Not a zip: AUTOMATIC1111's unpickler (modules/safe.py) refuses the entries that a newer
    # torch adds to it, .format_version, .storage_alignment and byteorder.
    write_atomically(
        path, lambda p: torch.save(dict(values), p, _use_new_zipfile_serialization=False)
    )


def automatic1111_values(embedding: Embedding) -> dict[str, Any]:
    """What AUTOMATIC1111 saves (modules/textual_inversion/textual_inversion.py, Embedding.save)."""
    about = embedding.metadata
    steps = about.get("step", about.get("steps"))
    return {
        "string_to_token": {"*": 265},
        "string_to_param": {"*": embedding.vectors.detach().float().cpu().contiguous()},
        "name": embedding.name,
        "step": steps if isinstance(steps, int) else None,
        "sd_checkpoint": about.get("sd_checkpoint", about.get("model_fingerprint")),
        "sd_checkpoint_name": about.get("sd_checkpoint_name", about.get("model")),
    }


def _write_automatic1111(path: Path, embedding: Embedding, picture: Path | None) -> None:
    if path.suffix.lower() == ".safetensors":
        _save_tensors(path, _parts(embedding, embedding.token), _notes(embedding))
    elif embedding.clip_g is not None:
        _save_pickle(path, _parts(embedding, ""))
    else:
        _save_pickle(path, automatic1111_values(embedding))


def _write_picture(path: Path, embedding: Embedding, picture: Path | None) -> None:
    if embedding.clip_g is not None:
        raise UserError(
            f"{path}: a picture has no place for Stable Diffusion XL's two encoders; "
            "convert it to a1111 as .safetensors"
        )
    values = automatic1111_values(embedding)
    model = Path(str(values["sd_checkpoint_name"] or "")).stem
    checkpoint = str(values["sd_checkpoint"] or "")[:10]
    facts = f"{len(embedding.vectors)}v" + (f" {values['step']}s" if values["step"] else "")
    footers = (model, f"[{checkpoint}]" if checkpoint else "", facts)
    card: Image.Image = embedding_picture.card(
        f"<{embedding.name}>", footers, embedding.vectors, picture
    )
    embedding_picture.save(path, values, card)


def _keyed(key: str | None) -> Callable[[Path, Embedding, Path | None], None]:
    """A writer of one tensor under `key`, or under the token."""

    def write(path: Path, embedding: Embedding, picture: Path | None) -> None:
        _save_tensors(path, _parts(embedding, key or embedding.token), _notes(embedding))

    return write


def _parts(embedding: Embedding, key: str) -> dict[str, Tensor]:
    """The vectors under `key`, or, for Stable Diffusion XL, under the names that all agree on."""
    if embedding.clip_g is None:
        return {key: embedding.vectors}
    return {"clip_l": embedding.vectors, "clip_g": embedding.clip_g}


def _notes(embedding: Embedding) -> dict[str, Any]:
    return {"token": embedding.token, **embedding.metadata}


WRITERS: dict[str, Target] = {
    "a1111": Target(_write_automatic1111, (".pt", ".bin", ".safetensors"), "{stem}"),
    "a1111-png": Target(_write_picture, (".png", ".webp"), "{name}"),
    "diffusers": Target(_keyed(None), (".safetensors", ".bin"), "{token}"),
    # kohya-ss/sd-scripts, train_textual_inversion.py, save_weights
    "kohya": Target(_keyed("emb_params"), (".safetensors", ".pt", ".bin"), "{stem}"),
    # Nerogar/OneTrainer, modules/modelSaver/stableDiffusion/StableDiffusionEmbeddingSaver.py
    "onetrainer": Target(_keyed("emp_params"), (".safetensors",), "{token}"),
    # invoke-ai/InvokeAI, backend/textual_inversion.py. Of one tensor under another name its probe
    # takes the number of vectors for their width, and does not know the model family.
    "invokeai": Target(_keyed("emb_params"), (".safetensors", ".pt", ".bin"), "<{stem}>"),
}
"""Program -> how its files are written."""
