"""The names of a Stable Diffusion's tensors in CompVis' layout (LDM), which single files have.

A name here is what diffusers calls a tensor within its part (`down_blocks.0.resnets.0.norm1.weight`
of the U-Net); there it has a prefix for the part, and the blocks are numbered in one row
(`model.diffusion_model.input_blocks.1.0.in_layers.0.weight`). The maps are functions of the number
of levels and of residual blocks a level, so that a miniature is named like the real one.

Source: ldm/modules/diffusionmodules/{openaimodel,model}.py of CompVis/stable-diffusion.
"""

import re
from collections.abc import Iterable

UNET, EMA, VAE = "model.diffusion_model.", "model_ema.diffusion_model", "first_stage_model."
TEXT = "cond_stage_model.transformer.text_model."

_UNET_ENDS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_UNET_RESIDUAL = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_VAE_ATTENTION = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
}


def unet_keys(names: Iterable[str], layers: int) -> dict[str, str]:
    """diffusers' names of a U-Net's tensors -> LDM's, without the part's prefix.

    `layers` is diffusers' layers_per_block. Raises KeyError for a name that no U-Net of SD 1.x has.
    """
    names = list(names)
    with_attention = {
        int(found[1]) for name in names if (found := re.match(r"up_blocks\.(\d+)\.att", name))
    }
    return {name: _unet_key(name, layers, with_attention) for name in names}


def _unet_key(name: str, layers: int, with_attention: set[int]) -> str:
    if found := re.match(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\.(.+)", name):
        way, block, kind, index = found[1], int(found[2]), found[3], int(found[4])
        # a level's blocks stand in one row; going down, what changes the size has its own number
        row = block * (layers + 1) + index + (way == "down")
        if kind == "downsamplers":
            return f"input_blocks.{(block + 1) * (layers + 1)}.0.op.{found[5].split('.', 1)[1]}"
        if kind == "upsamplers":
            # going up it stands behind the last block of its level
            place = 2 if block in with_attention else 1
            return f"output_blocks.{block * (layers + 1) + layers}.{place}.{found[5]}"
        side = "input" if way == "down" else "output"
        place = {"resnets": 0, "attentions": 1}[kind]
        inner = _renamed(found[5], _UNET_RESIDUAL) if kind == "resnets" else found[5]
        return f"{side}_blocks.{row}.{place}.{inner}"
    start, rest = _split(name, _UNET_ENDS)
    inner = _renamed(rest, _UNET_RESIDUAL) if ".resnets." in name else rest
    return f"{_UNET_ENDS[start]}.{inner}"


def vae_keys(names: Iterable[str], levels: int) -> dict[str, str]:
    """diffusers' names of an autoencoder's tensors -> LDM's, without the part's prefix.

    `levels` is the number of its block_out_channels. Raises KeyError for a name that it cannot
    have.
    """
    return {name: _vae_key(name, levels) for name in names}


def _vae_key(name: str, levels: int) -> str:
    half, _, rest = name.partition(".")
    if half in ("quant_conv", "post_quant_conv"):
        return name
    if found := re.match(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\.(.+)", rest):
        way, block, kind = found[1], int(found[2]), found[3]
        level = block if way == "down" else levels - 1 - block
        if kind == "resnets":
            inner = found[5].replace("conv_shortcut", "nin_shortcut")
            return f"{half}.{way}.{level}.block.{found[4]}.{inner}"
        return f"{half}.{way}.{level}.{way}sample.{found[5]}"
    if found := re.match(r"mid_block\.resnets\.(\d)\.(.+)", rest):
        return f"{half}.mid.block_{int(found[1]) + 1}.{found[2]}"
    if found := re.match(r"mid_block\.attentions\.0\.(.+)", rest):
        return f"{half}.mid.attn_1.{_renamed(found[1], _VAE_ATTENTION)}"
    start, rest = _split(rest, {"conv_in": "", "conv_norm_out": "", "conv_out": ""})
    return f"{half}.{start.replace('conv_norm_out', 'norm_out')}.{rest}"


def is_projection(name: str) -> bool:
    """Whether an autoencoder's tensor is a linear layer in diffusers and a 1 x 1 convolution in
    LDM: the same numbers, [out, in] here and [out, in, 1, 1] there."""
    return bool(re.search(r"attentions\.0\.to_(q|k|v|out\.0)\.weight$", name))


def ema_key(key: str) -> str:
    """Where a full checkpoint keeps the moving average of the U-Net's tensor `key` (without
    prefix): LitEma drops the dots."""
    return EMA + key.replace(".", "")


def text_key(name: str) -> str:
    """transformers' name of a text encoder's tensor -> LDM's. Up to transformers 5.5 it begins with
    text_model, later it does not."""
    return TEXT + name.removeprefix("text_model.")


def _split(name: str, starts: Iterable[str]) -> tuple[str, str]:
    for start in starts:
        if name.startswith(f"{start}."):
            return start, name[len(start) + 1 :]
    raise KeyError(name)


def _renamed(name: str, renamed: dict[str, str]) -> str:
    start, rest = _split(name, renamed)
    return f"{renamed[start]}.{rest}"
