"""A Stable Diffusion 1.x in one file, as AUTOMATIC1111's users share it: .safetensors or .ckpt.

Everything is read without a network and without running code from the file. What is in it is told
from the names and shapes of its tensors; whatever is no SD 1.x is refused by name.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors import safe_open
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from diffusion import ldm
from diffusion.architecture import SD1, Architecture
from lab.errors import UserError

FIRST = ldm.UNET + "input_blocks.0.0.weight"
CONTEXT = "attn2.to_k.weight"


@dataclass(frozen=True)
class Tensors:
    """The tensors of a file: their shapes at once, themselves one by one, as a file is large."""

    path: Path
    shapes: Mapping[str, tuple[int, ...]]
    get: Callable[[str], Tensor]
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class Parts:
    """The parts of a model that come from a checkpoint; the VAE is None where it has none."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL | None
    text_encoder: CLIPTextModel
    scheduler_config: dict[str, Any]


@contextmanager
def opened(path: Path) -> Iterator[Tensors]:
    """The tensors of a .safetensors or .ckpt file.

    Raises:
        UserError: the file is a Git LFS pointer, cut off, damaged, or holds code.
    """
    with path.open("rb") as file:
        head = file.read(32)
    if head.startswith(b"version https://git-lfs"):
        raise UserError(f"{path}: this is a Git LFS pointer; fetch the file with `git lfs pull`")
    if head[8:9] != b"{":
        yield _unpickled(path)
        return
    try:
        file = safe_open(path, "pt")
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except Exception as error:  # safetensors' own exceptions, and what a damaged header causes
        raise UserError(
            f"{path}: this model file is cut off or damaged; download it again"
        ) from error
    with file:
        yield Tensors(path, shapes, file.get_tensor, file.metadata() or {})


def _unpickled(path: Path) -> Tensors:
    """A .ckpt, through torch's weights-only loader, which runs no code."""
    try:
        with path.open("rb") as file:  # not a path: torch would believe the suffix
            values = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged zip or pickle may provoke any exception at all
        found = re.search(r"(?:GLOBAL|global) `?([\w.]+)`?", str(error))
        if found and "Unsupported" in str(error):
            raise UserError(
                f"{path}: this checkpoint holds {found[1]}, which is code, so it was not opened; "
                "get the model as .safetensors"
            ) from error
        raise UserError(
            f"{path}: this is not a readable checkpoint, it may be cut off; download it again"
        ) from error
    if isinstance(values, dict):
        values = values.get("state_dict", values)
    if not isinstance(values, dict):
        raise UserError(f"{path}: there is no model in this file; name a Stable Diffusion 1.x")
    tensors = {str(k): v for k, v in values.items() if isinstance(v, Tensor)}
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    return Tensors(path, shapes, tensors.__getitem__, {})


def read_checkpoint(path: Path, dtype: torch.dtype, architecture: Architecture = SD1) -> Parts:
    """The parts of the model in a single file, in evaluation mode, their weights as `dtype`.

    Of a file that has the U-Net twice, plain and averaged (EMA), the average is taken: it is what
    draws better, and nothing here trains a U-Net further.

    Raises:
        UserError: no Stable Diffusion 1.x, saying what it is instead; or parts of it are missing.
    """
    with opened(path) as file:
        require_sd1(file, architecture)
        unet = _made(UNet2DConditionModel.from_config, architecture.unet)
        keys = ldm.unet_keys(unet.state_dict(), architecture.unet["layers_per_block"])
        averaged = ldm.ema_key("input_blocks.0.0.weight") in file.shapes
        _fill(
            unet,
            file,
            {n: ldm.ema_key(k) if averaged else ldm.UNET + k for n, k in keys.items()},
            dtype,
        )
        encoder = _made(
            lambda numbers: CLIPTextModel(CLIPTextConfig(**numbers)), architecture.text_encoder
        )
        _fill(encoder, file, _text_keys(encoder, file), dtype)
        vae = None
        if any(name.startswith(ldm.VAE) for name in file.shapes):
            vae = _vae(file, ldm.VAE, dtype, architecture)
        return Parts(unet, vae, encoder, {**architecture.scheduler, **_prediction(file)})


def read_vae(path: Path, dtype: torch.dtype, architecture: Architecture = SD1) -> AutoencoderKL:
    """An autoencoder in a file of its own, in either layout, with or without LDM's prefix.

    Raises:
        UserError: there is none in it, or its shapes are another one's.
    """
    with opened(path) as file:
        if "encoder.down_blocks.0.resnets.0.norm1.weight" in file.shapes:
            vae = _made(AutoencoderKL.from_config, architecture.vae)
            _fill(vae, file, {name: name for name in vae.state_dict()}, dtype)
            return vae
        for prefix in ("", ldm.VAE):
            if prefix + "encoder.conv_in.weight" in file.shapes:
                return _vae(file, prefix, dtype, architecture)
    raise UserError(f"{path}: there is no autoencoder in this file; name a VAE of SD 1.x")


def _vae(file: Tensors, prefix: str, dtype: torch.dtype, architecture: Architecture):
    vae = _made(AutoencoderKL.from_config, architecture.vae)
    keys = ldm.vae_keys(vae.state_dict(), len(architecture.vae["block_out_channels"]))
    _fill(vae, file, {name: prefix + key for name, key in keys.items()}, dtype)
    return vae


def _text_keys(encoder: nn.Module, file: Tensors) -> dict[str, str]:
    keys = {name: ldm.text_key(name) for name in encoder.state_dict()}
    # some merging tools lost a level of the name
    short = {name: key.replace(".text_model.", ".") for name, key in keys.items()}
    return short if any(key in file.shapes for key in short.values()) else keys


def _made(make: Callable[[dict[str, Any]], Any], numbers: dict[str, Any]) -> Any:
    with torch.device("meta"):  # no memory and no random numbers for what is overwritten at once
        return make(dict(numbers))


def _fill(module: nn.Module, file: Tensors, keys: Mapping[str, str], dtype: torch.dtype) -> None:
    """Give the module the file's tensors, each under its own name."""
    wanted = module.state_dict()
    absent = [key for key in keys.values() if key not in file.shapes]
    if absent:
        raise UserError(
            f"{file.path}: the model in this file is not complete, {len(absent)} of its tensors "
            f"are missing, the first is {absent[0]}; get the whole checkpoint"
        )
    state: dict[str, Tensor] = {}
    for name, key in keys.items():
        tensor, shape = file.get(key), wanted[name].shape
        if tensor.dim() == 4 and len(shape) == 2 and ldm.is_projection(name):
            tensor = tensor[:, :, 0, 0]
        if tensor.shape != shape:
            raise UserError(
                f"{file.path}: {key} has the shape {tuple(tensor.shape)}, but a Stable Diffusion "
                f"1.x has {tuple(shape)} there; this is another model"
            )
        state[name] = tensor.to(dtype).contiguous()
    module.load_state_dict(state, strict=True, assign=True)
    for name, buffer in module.named_buffers():
        if buffer.is_meta:  # what is not kept in files: the numbers of positions
            owner, _, last = name.rpartition(".")
            fresh = torch.arange(buffer.shape[-1]).expand(buffer.shape)
            module.get_submodule(owner).register_buffer(last, fresh, persistent=False)
    module.eval().requires_grad_(False)


def _prediction(file: Tensors) -> dict[str, Any]:
    """What the U-Net predicts, as far as the file says: a marker among its tensors, the metadata of
    the Stability AI model specification, or AUTOMATIC1111's NAME.yaml beside it."""
    said = file.metadata.get("modelspec.prediction_type", "")
    beside = file.path.with_suffix(".yaml")
    text = beside.read_text(encoding="utf-8", errors="replace") if beside.is_file() else ""
    in_text = re.search(r"""parameterization:\s*["']?v["']?\s*$""", text, re.MULTILINE)
    found: dict[str, Any] = {}
    if "v_pred" in file.shapes or said.startswith("v") or in_text:
        found["prediction_type"] = "v_prediction"
    if "ztsnr" in file.shapes:
        found["rescale_betas_zero_snr"] = True
    return found


# what a file is, told by the beginning of a tensor's name; the first that fits
_OTHERS = (
    ("conditioner.embedders.", "a Stable Diffusion XL"),
    ("cond_stage_model.model.", "a Stable Diffusion 2"),
    ("model.diffusion_model.joint_blocks.", "a Stable Diffusion 3"),
    ("model.diffusion_model.double_blocks.", "a Flux model"),
    ("double_blocks.", "a Flux model"),
    ("control_model.", "a ControlNet"),
    ("lora_", "a LoRA"),
)


def require_sd1(file: Tensors, architecture: Architecture = SD1) -> None:
    """Refuse, by its name, whatever is no text-to-image Stable Diffusion 1.x."""
    for start, what in _OTHERS:
        if any(name.startswith(start) for name in file.shapes):
            raise _refused(file.path, f"{what}, and pseudoword works with Stable Diffusion 1.x")
    if FIRST not in file.shapes:
        raise _refused(file.path, _without_unet(file.shapes))
    channels = file.shapes[FIRST][1]
    if channels == 9:
        raise _refused(file.path, "an inpainting model; take the plain one it was made from")
    if channels != architecture.unet["in_channels"]:
        raise _refused(file.path, f"a model whose U-Net takes {channels} channels, SD 1.x takes 4")
    widths = {shape[1] for name, shape in file.shapes.items() if name.endswith(CONTEXT)}
    if (wanted := architecture.unet["cross_attention_dim"]) not in widths:
        width = max(widths, default=0)
        kind = {1024: "a Stable Diffusion 2", 2048: "a Stable Diffusion XL"}.get(width, "a model")
        raise _refused(file.path, f"{kind} for text of width {width}, SD 1.x has {wanted}")
    if not any(name.startswith("cond_stage_model.") for name in file.shapes):
        raise _refused(
            file.path, "a U-Net without its text encoder; get the whole checkpoint of about 2 GB"
        )


def _without_unet(names: Mapping[str, Any]) -> str:
    if any(name.startswith((ldm.VAE, "encoder.", "decoder.")) for name in names):
        return "an autoencoder; name it as vae, beside the model"
    if any(name.startswith("down_blocks.") for name in names):
        return "one part of a diffusers folder; name the folder that holds model_index.json"
    if any(name.startswith("text_model.") for name in names):
        return "a text encoder; name the whole model"
    if len(names) < 8:
        return "an embedding, or something else that is small; name it as a word, and a model here"
    return f"no Stable Diffusion: its first tensor is {next(iter(names), 'absent')}"


def _refused(path: Path, what: str) -> UserError:
    return UserError(f"{path}: this is {what}")
