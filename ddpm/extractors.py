"""Feature extractors by name: the drawn one that comes along, and those of metrics/."""

from collections.abc import Callable

import numpy as np
import torch

from ddpm.pixels import to_tensor
from lab.errors import UserError
from lab.wording import suggest
from metrics.extractors import Extractor, clip, in_parts, inception, weights_hash
from storybook.drawn import load_drawnnet


def drawn(device: torch.device) -> Extractor:
    """DrawnNet: 64 features, and the families of drawn pictures as classes."""
    net = load_drawnnet().to(device)

    def features(part: np.ndarray) -> torch.Tensor:
        return net(to_tensor(part).to(device))

    return Extractor(
        f"drawn{net.num_features}",
        weights_hash(net),
        lambda pictures: in_parts(pictures, features),
        lambda pictures: in_parts(pictures, lambda part: net.head(features(part)).softmax(1)),
    )


EXTRACTORS: dict[str, Callable[[str, torch.device], Extractor]] = {
    "drawn": lambda source, device: drawn(device),
    "inception": lambda source, device: inception(device),
    "clip": clip,
}
"""Name -> what opens it, given what stands after the colon."""


def load_extractor(name: str, device: torch.device) -> Extractor:
    """`drawn`, `inception` or `clip:SOURCE`.

    Raises:
        UserError: an unknown name, or a network that is not there.
    """
    kind, _, source = name.partition(":")
    if kind not in EXTRACTORS:
        close = suggest(kind, list(EXTRACTORS))
        hint = f"did you mean {close}?" if close else "there are drawn, inception and clip:FOLDER"
        raise UserError(f"extractor {name} is unknown; {hint}")
    return EXTRACTORS[kind](source, device)
