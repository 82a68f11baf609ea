"""What a picture should become, as losses: towards a colour, towards a text.

A Guide says of each picture how far it is from what is wanted. It looks at one picture at a time:
a mean over the batch would make its pull depend on how many pictures are drawn together.
"""

from collections.abc import Callable
from typing import Any

import torch
from PIL import ImageColor
from torch import Tensor
from torch.nn import functional as F

from ddpm.guide_config import Loss
from lab.errors import UserError
from metrics.features import Encoder, load_encoder, pooled, read
from storybook import drawn

Guide = Callable[[Tensor], Tensor]
"""Pictures [n, 3, h, w] in -1..1 -> losses [n], differentiable; loss k depends on picture k."""
BUNDLED = "drawn"
SHIFTS = ((0, 0), (1, 2), (-2, 1), (-1, -2), (2, -1), (3, 1), (-1, 3), (-3, -1))
"""Of the views of a picture: none fits the patches of another."""


def colour(target: str) -> Guide:
    """Mean absolute difference of all pixels from a colour such as #c03020 or teal, 0 to 2: the
    colour loss of Hugging Face's diffusion course, unit 2."""
    wanted = torch.tensor(ImageColor.getrgb(target)[:3]) / 127.5 - 1

    def loss(pictures: Tensor) -> Tensor:
        return (pictures - wanted.to(pictures).view(3, 1, 1)).abs().flatten(1).mean(1)

    return loss


def text(target: str, encoder: Encoder, views: int = 1) -> Guide:
    """How far a picture is from a text in the space of a CLIP: half the squared angle, as in
    Crowson's CLIP-guided diffusion (2021); 0 to pi^2 / 2.

    With several views it is the mean over the picture and slightly shifted ones. What a CLIP likes
    in one of them only, a pattern that fits its grid of patches, then counts for little.
    """
    encoder.model.requires_grad_(False)
    device = next(encoder.model.parameters()).device
    said = torch.from_numpy(read(encoder, [target])).to(device)

    def loss(pictures: Tensor) -> Tensor:
        angles = []
        for across, down in SHIFTS[:views]:
            seen = pooled(encoder, for_encoder(shifted(pictures, across, down), encoder).to(device))
            angles.append(2 * ((seen - said).norm(dim=-1) / 2).arcsin())
        return torch.stack(angles).square().mean(0) / 2

    return loss


def shifted(pictures: Tensor, across: int, down: int) -> Tensor:
    """Pictures moved by so many 32nds of their width and height; their border is continued."""
    height, width = pictures.shape[-2:]
    x, y = round(across * width / 32), round(down * height / 32)
    if not (x or y):
        return pictures
    most = max(abs(x), abs(y))
    wide = F.pad(pictures, (most,) * 4, mode="replicate")
    return wide[..., most - y : most - y + height, most - x : most - x + width]


def for_encoder(pictures: Tensor, encoder: Encoder) -> Tensor:
    """Pictures in -1..1 as the encoder wants them: its size, its mean and deviation."""
    if pictures.shape[-2:] != (encoder.side, encoder.side):
        pictures = F.interpolate(
            pictures, (encoder.side, encoder.side), mode="bicubic", antialias=True
        )
    mean, std = (torch.tensor(v).to(pictures).view(3, 1, 1) for v in (encoder.mean, encoder.std))
    return ((pictures + 1) / 2 - mean) / std


def open_clip(source: str, device: str | torch.device = "cpu") -> Encoder:
    """A CLIP by name: `drawn`, which comes with this program, a folder, or a hub id.

    Raises:
        UserError: where there is none, or it knows no texts.
    """
    encoder = load_encoder(drawn.CLIP if source == BUNDLED else source, device)
    if encoder.tokenizer is None:
        raise UserError(
            f"{source} knows no texts: a text guides through a CLIP, such as {BUNDLED} or "
            "openai/clip-vit-base-patch32"
        )
    return encoder


def _colour(loss: Loss, device: Any) -> Guide:
    return colour(loss.target)


def _text(loss: Loss, device: Any) -> Guide:
    return text(loss.target, open_clip(loss.clip, device), loss.views)


LOSSES: dict[str, Callable[[Loss, Any], Guide]] = {"colour": _colour, "text": _text}
"""Name -> (settings, device) -> Guide. A further loss is a function, a line here and its name in
guide_config.py."""
