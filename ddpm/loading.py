"""An unconditional model from anywhere: a name, a folder or a hub id -> (unet, scheduler)."""

import importlib.resources
from pathlib import Path
from typing import Any

import torch
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel
from diffusers.utils import logging

from lab.errors import UserError, said_first
from lab.run import Run, file_hash

BUNDLED = {"drawn": "ddpm", "drawn:flowers": "flowers", "drawn:faces": "faces"}
"""Name -> folder in storybook/drawn."""
INDEX = "model_index.json"


def load_unconditional(
    source: str | Path, device: str | torch.device = "cpu"
) -> tuple[UNet2DModel, DDPMScheduler]:
    """The parts of a DDPMPipeline: a bundled one, its folder, or a hub id.

    The U-Net is in evaluation mode, float32 and frozen. Raises UserError, naming the model and a
    remedy, where it is not there or is no unconditional model of RGB pictures.
    """
    folder = locate_unconditional(source)
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        # also old repositories, which have their files beside model_index.json and not in unet/
        pipeline = DDPMPipeline.from_pretrained(
            str(folder), torch_dtype=torch.float32, local_files_only=True
        )
        unet: Any = pipeline.unet
        scheduler: Any = DDPMScheduler.from_config(pipeline.scheduler.config)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        raise UserError(
            f"the model {source} cannot be loaded from {folder} ({said_first(error)}): it must "
            "be a complete DDPMPipeline"
        ) from error
    finally:
        if bars:
            logging.enable_progress_bar()
    channels = (unet.config["in_channels"], unet.config["out_channels"])
    if channels != (3, 3):
        raise UserError(
            f"the model {source} is no unconditional model of RGB pictures ({type(unet).__name__}, "
            f"{channels[0]} channels): use a DDPMPipeline such as google/ddpm-celebahq-256"
        )
    return unet.to(device).eval().requires_grad_(False), scheduler


def locate_unconditional(source: str | Path) -> Path:
    """The folder of a DDPMPipeline; a hub id is downloaded into the cache if it must be.

    The folder of a run or of an experiment, outputs/NAME/ddpm or outputs/NAME, stands for the model
    that was trained there.
    """
    if str(source) in BUNDLED:
        name = BUNDLED[str(source)]
        folder = Path(str(importlib.resources.files("storybook") / "drawn" / name))
        if not (folder / INDEX).is_file():
            file = "drawn-base" if name == "ddpm" else f"drawn-{name}"
            raise UserError(
                f"the bundled unconditional model is not in {folder}: reinstall pseudoword, or "
                f"train it anew with pseudoword ddpm experiments/{file}.yaml"
            )
        return folder
    path = Path(source).expanduser()
    if path.is_dir():
        for folder in (path, path / "model", path / "ddpm" / "model"):
            if (folder / INDEX).is_file():
                return folder
        raise UserError(
            f"the folder {source} is not an unconditional model, it has no {INDEX}: give the "
            "folder of a DDPMPipeline, such as outputs/NAME/ddpm/model"
        )
    if str(source).startswith((".", "/", "~")) or str(source).count("/") != 1:
        raise UserError(
            f"the model {source} is not there: give {', '.join(BUNDLED)}, the folder of a "
            "DDPMPipeline, or a hub id such as google/ddpm-celebahq-256"
        )
    try:
        return Path(DDPMPipeline.download(str(source)))
    except Exception as error:  # the hub's client has a dozen exceptions of its own
        raise UserError(
            f"the model {source} is neither a folder here nor in the Hugging Face cache, and it "
            f"could not be downloaded ({said_first(error)}): go online once, or set "
            "ddpm.model.pretrained to a local folder or to drawn"
        ) from error


def fingerprint(source: str | Path) -> str:
    """Twelve hexadecimal digits of a hash of the model's files: equal weights, equal digits."""
    folder = locate_unconditional(source)
    wanted = {".json", ".safetensors", ".bin"}
    files = sorted(path for path in folder.rglob("*") if path.suffix in wanted)
    hashes = {path.relative_to(folder).as_posix(): file_hash(path) for path in files}
    return Run.fingerprint(hashes)[:12]
