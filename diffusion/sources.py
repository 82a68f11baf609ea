"""Where a model's files are, and which weights they hold.

A model is named by "storybook" (bundled), a diffusers folder, a single file, or a hub id.
"""

import hashlib
import importlib.resources
from pathlib import Path

from diffusers import StableDiffusionPipeline
from huggingface_hub import snapshot_download

from lab.errors import UserError, said_first

BUNDLED = "storybook"
PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
SINGLE_FILES = (".safetensors", ".ckpt")


def locate(model: str, revision: str = "") -> Path:
    """The folder or file that `model` names; a hub id is downloaded into the cache if it must
    be, at the branch, tag or commit `revision`."""
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
    return _download(model, revision)


def _download(hub_id: str, revision: str) -> Path:
    try:
        return Path(
            StableDiffusionPipeline.download(hub_id, revision=revision or None, safety_checker=None)
        )
    except Exception as error:
        # The hub's client has a dozen exceptions of its own, and its HTTP library as many more.
        at = f" (revision {revision})" if revision else ""
        raise UserError(
            f"the model {hub_id}{at} is neither a folder here nor in the Hugging Face cache, and "
            f"it could not be downloaded ({said_first(error)}): go online once, log in if it asks "
            f"for that, or set model to a local folder or to {BUNDLED}"
        ) from error


def locate_vae(vae: str) -> Path:
    """The file or folder of an autoencoder; a hub id is downloaded into the cache if it must be."""
    path = Path(vae).expanduser()
    if path.is_file() or (path / "config.json").is_file():
        return path
    if path.is_dir() or path.suffix in SINGLE_FILES or vae.count("/") != 1:
        raise UserError(
            f"the autoencoder {vae} is not there: give a .safetensors or .ckpt file, a folder with "
            "config.json, or a hub id such as stabilityai/sd-vae-ft-mse"
        )
    try:
        return Path(snapshot_download(vae, allow_patterns=["config.json", "*.safetensors"]))
    except Exception as error:  # as in _download
        raise UserError(
            f"the autoencoder {vae} is neither here nor in the Hugging Face cache, and it could "
            f"not be downloaded ({said_first(error)}): go online once, or name a local file"
        ) from error


def fingerprint(source: Path, *others: Path) -> str:
    """Twelve hexadecimal digits of a hash of the model's files: equal weights, equal fingerprint.

    `others` are files or folders that take the place of a part, such as an autoencoder.

    Files above 64 MiB are hashed by name, size and 64 evenly spaced blocks of 64 KiB: training
    moves every weight, so this sees it, and 4 GB of Stable Diffusion take milliseconds instead of
    seconds.
    """
    wanted = {".json", ".txt", ".safetensors", ".bin"}
    folders = [source / part for part in PARTS] + list(others)
    places = [source, *others] if source.is_file() else folders
    files = [
        file
        for place in places
        for file in ([place] if place.is_file() else sorted(place.glob("*")))
        if place.is_file() or file.suffix in wanted
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
