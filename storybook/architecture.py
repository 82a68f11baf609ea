"""The miniature Stable Diffusion's parts, untrained: the classes of SD 1.x in small sizes.

| part | SD 1.x | storybook |
|---|---|---|
| picture, latents | 512 px, 64 x 64 x 4 | 64 px, 16 x 16 x 4 |
| autoencoder | (128, 256, 512, 512) | (32, 64, 128) |
| text encoder | CLIP ViT-L/14: 12 layers of 768 | 4 layers of 192, trained here with a ViT |
| U-Net | (320, 640, 1280, 1280) | (64, 128, 192) |
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import nn
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPTextModel, CLIPTokenizer

SIDE = 64  # px
FACTOR = 4  # px of the picture a latent cell stands for, in each direction
CONTEXT = 77  # tokens of a prompt
GROUPS = 8  # of the autoencoder's norms
BIAS_CARRIER = 8.0  # see `_carry`

START, END = "<|startoftext|>", "<|endoftext|>"


def train_tokenizer(captions: Iterable[str], folder: Path, merges: int = 1100) -> CLIPTokenizer:
    """Learn byte-pair merges from captions and save them as CLIP's vocab.json and merges.txt.

    The vocabulary starts, as CLIP's does, with all 256 bytes inside and at the end of a word, so
    that any text can be encoded.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=len(letters) * 2 + merges, end_of_word_suffix="</w>", show_progress=False
    )
    tokenizer.train_from_iterator((c.lower() for c in captions), trainer)
    learned = json.loads(tokenizer.to_str())["model"]["merges"]
    pairs = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in learned]
    tokens = letters + [letter + "</w>" for letter in letters] + ["".join(p) for p in pairs]
    vocab = {token: k for k, token in enumerate(dict.fromkeys([*tokens, START, END]))}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), encoding="utf-8")
    text = "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in pairs)
    (folder / "merges.txt").write_text(text, encoding="utf-8")
    return load_tokenizer(folder)


def load_tokenizer(folder: Path) -> CLIPTokenizer:
    """The tokenizer of a folder with vocab.json and merges.txt."""
    return CLIPTokenizer.from_pretrained(folder, model_max_length=CONTEXT, pad_token=END)


EYE = {"hidden_size": 128, "num_hidden_layers": 4, "image_size": SIDE, "patch_size": 8}


def build_clip(
    tokenizer: CLIPTokenizer, width: int = 192, layers: int = 4, eye: Any = EYE, shared: int = 128
) -> CLIPModel:
    """CLIP in small: the text tower becomes the text encoder of the diffusion model.

    `eye` is the picture tower's size, `shared` the width of the space in which both meet.
    """
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "max_position_embeddings": CONTEXT,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.eos_token_id,
        "projection_dim": shared,
    }
    vision = {
        "intermediate_size": 4 * eye["hidden_size"],
        "num_attention_heads": 4,
        "projection_dim": shared,
    }
    config = CLIPConfig(text_config=text, vision_config=vision | eye, projection_dim=shared)
    return CLIPModel(config)


def text_encoder_of(clip: CLIPModel) -> CLIPTextModel:
    """The text tower of a CLIP as the CLIPTextModel that Stable Diffusion uses."""
    config = clip.config.text_config
    assert isinstance(config, CLIPTextConfig)
    encoder = CLIPTextModel(config)
    tower = clip.text_model.state_dict()
    wanted = encoder.state_dict()
    prefix = "text_model." if any(key.startswith("text_model.") for key in wanted) else ""
    encoder.load_state_dict({prefix + key: value for key, value in tower.items()})
    return encoder.eval()


def build_unet() -> UNet2DConditionModel:
    """The U-Net, 11 million parameters; every residual branch starts at zero."""
    unet = UNet2DConditionModel(
        sample_size=SIDE // FACTOR,
        in_channels=4,
        out_channels=4,
        block_out_channels=(64, 128, 192),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D",) * 3,
        up_block_types=("CrossAttnUpBlock2D",) * 3,
        cross_attention_dim=192,
        attention_head_dim=4,
        norm_num_groups=16,
    )
    unet.set_attn_processor(AttnProcessor())  # 1.3 times faster than SDPA in training on a CPU
    for name, module in unet.named_modules():
        if name.endswith((".conv2", ".proj_out")) or name == "conv_out":
            zero(module)
    return unet


def zero(module: nn.Module) -> None:
    """Set all weights of a layer to zero."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)


def build_scheduler() -> DDIMScheduler:
    """Stable Diffusion's noise schedule (scaled-linear betas, 1,000 timesteps, epsilon)."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="epsilon",
    )


def build_autoencoder() -> AutoencoderKL:
    """An AutoencoderKL that starts as a block mean and its nearest enlargement, up to a scale.

    From an ordinary initialisation the first quarter of an hour goes into finding out that a
    picture looks like itself. Here the residual branches begin at zero and a few channels carry
    red, green and blue straight through, so training starts with the details.
    """
    settings: dict[str, Any] = {  # diffusers declares these tuples with one element
        "block_out_channels": (32, 64, 128),
        "down_block_types": ("DownEncoderBlock2D",) * 3,
        "up_block_types": ("UpDecoderBlock2D",) * 3,
    }
    vae = AutoencoderKL(
        **settings, layers_per_block=1, latent_channels=4, norm_num_groups=GROUPS, sample_size=SIDE
    )
    with torch.no_grad():
        for name, module in vae.named_modules():
            if name.endswith(".conv2") or name.endswith("to_out.0"):
                zero(module)
        _arrange_encoder(vae)
        _arrange_decoder(vae)
    return vae


def _carriers(channels: int, colour: int) -> tuple[int, int, int, int]:
    """The four channels of one norm group that carry a colour: +x, -x and two constants."""
    first = colour * (channels // GROUPS)
    return first, first + 1, first + 2, first + 3


def _straight(conv: nn.Conv2d, tap: torch.Tensor) -> None:
    """Let a convolution pass every carrier on to its successor, through the kernel `tap`."""
    for colour in range(3):
        into = _carriers(conv.out_channels, colour)
        outof = _carriers(conv.in_channels, colour)
        for a, b in zip(into, outof, strict=True):
            conv.weight[a] = 0
            conv.weight[a, b] = tap
            conv.bias[a] = 0  # type: ignore[index]


def _carry(conv: nn.Conv2d, colours: list[int]) -> None:
    """Feed the carriers from input channels: silu(x) - silu(-x) = x undoes the activation.

    The two large constants in the same norm group keep its variance, and so the scale of x, from
    depending on the picture.
    """
    for colour, source in enumerate(colours):
        plus, minus, high, low = _carriers(conv.out_channels, colour)
        for channel, sign in ((plus, 1.0), (minus, -1.0), (high, 0.0), (low, 0.0)):
            conv.weight[channel] = 0
            conv.weight[channel, source, 1, 1] = sign
            conv.bias[channel] = 0  # type: ignore[index]
        conv.bias[high], conv.bias[low] = BIAS_CARRIER, -BIAS_CARRIER  # type: ignore[index]


def _collect(norm: nn.GroupNorm, conv: nn.Conv2d, targets: list[int]) -> None:
    """Read the carriers back after the last norm and activation, at their old scale."""
    per_group = norm.num_channels // GROUPS
    deviation = BIAS_CARRIER * (2 / per_group) ** 0.5
    conv.weight.mul_(0.1)
    for colour, target in enumerate(targets):
        plus, minus, high, low = _carriers(norm.num_channels, colour)
        conv.weight[target] = 0
        conv.weight[:, [plus, minus, high, low]] = 0
        conv.bias[target] = 0  # type: ignore[index]
        norm.weight[[plus, minus]] = deviation
        conv.weight[target, plus, 1, 1], conv.weight[target, minus, 1, 1] = 1.0, -1.0


def _taps() -> tuple[torch.Tensor, torch.Tensor]:
    centre, mean = torch.zeros(3, 3), torch.zeros(3, 3)
    centre[1, 1] = 1.0
    mean[:2, :2] = 0.25  # a stride-2 convolution padded right and below sees 2 x 2 blocks there
    return centre, mean


def _arrange_encoder(vae: AutoencoderKL) -> None:
    _, mean = _taps()
    _carry(vae.encoder.conv_in, [0, 1, 2])
    for name, module in vae.encoder.named_modules():
        if name.endswith("conv_shortcut"):
            _straight(module, torch.ones(1, 1))  # type: ignore[arg-type]
        if name.endswith("downsamplers.0.conv"):
            _straight(module, mean)  # type: ignore[arg-type]
    _collect(vae.encoder.conv_norm_out, vae.encoder.conv_out, [0, 1, 2])
    vae.encoder.conv_out.bias[4:] = -6.0  # type: ignore[index]  # begin with hardly any noise
    vae.encoder.conv_out.weight[4:] *= 0.1
    for conv in (vae.quant_conv, vae.post_quant_conv):
        assert conv is not None and conv.bias is not None
        conv.weight.copy_(torch.eye(len(conv.weight))[..., None, None])
        conv.bias.zero_()


def _arrange_decoder(vae: AutoencoderKL) -> None:
    centre, _ = _taps()
    _carry(vae.decoder.conv_in, [0, 1, 2])
    for name, module in vae.decoder.named_modules():
        if name.endswith("conv_shortcut"):
            _straight(module, torch.ones(1, 1))  # type: ignore[arg-type]
        if name.endswith("upsamplers.0.conv"):
            _straight(module, centre)  # type: ignore[arg-type]
    assert isinstance(vae.decoder.conv_norm_out, nn.GroupNorm)
    _collect(vae.decoder.conv_norm_out, vae.decoder.conv_out, [0, 1, 2])
