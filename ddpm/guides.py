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

from lab.errors import UserError
from metrics.features import Encoder, load_encoder, pooled, read
from storybook import drawn

Guide = Callable[[Tensor], Tensor]
"""Pictures [n, 3, h, w] in -1..1 -> losses [n], differentiable; loss k depends on picture k."""
BUNDLED = "drawn"


def colour(target: str) -> Guide:
    """Mean absolute difference of all pixels from a colour such as #c03020 or teal, 0 to 2: the
    colour loss of Hugging Face's diffusion course, unit 2."""
    wanted = torch.tensor(ImageColor.getrgb(target)[:3]) / 127.5 - 1

    def loss(pictures: Tensor) -> Tensor:
        return (pictures - wanted.to(pictures).view(3, 1, 1)).abs().flatten(1).mean(1)

    return loss


def text(target: str, encoder: Encoder) -> Guide:
    """How far a picture is from a text in the space of a CLIP: half the squared angle, as in
    Crowson's CLIP-guided diffusion (2021); 0 to pi^2 / 2."""
    encoder.model.requires_grad_(False)
    device = next(encoder.model.parameters()).device
    said = torch.from_numpy(read(encoder, [target])).to(device)

    def loss(pictures: Tensor) -> Tensor:
        seen = pooled(encoder, for_encoder(pictures, encoder).to(device))
        return 2 * ((seen - said).norm(dim=-1) / 2).arcsin().square()

    return loss


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


def _colour(target: str, clip: str, device: Any) -> Guide:
    return colour(target)


def _text(target: str, clip: str, device: Any) -> Guide:
    return text(target, open_clip(clip, device))


LOSSES: dict[str, Callable[[str, str, Any], Guide]] = {"colour": _colour, "text": _text}
"""Name -> (target, name of a CLIP, device) -> Guide. A further loss is a function, a line here and
its name in guide_config.py."""
