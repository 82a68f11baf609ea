"""The networks whose features sets of pictures are compared by, by name."""

import hashlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lab.errors import UserError
from metrics.features import load_encoder, see

PICTURES_AT_ONCE = 64


@dataclass(frozen=True)
class Extractor:
    """What a network says of pictures, uint8 [n, h, w, 3]."""

    name: str
    """Of its features, as in FD-drawn64: the network and the number of features."""
    identity: str
    """Differs where the weights differ: figures of two networks are not comparable."""
    features: Callable[[np.ndarray], np.ndarray]
    """Pictures -> [n, d]."""
    probabilities: Callable[[np.ndarray], np.ndarray] | None = None
    """Pictures -> [n, classes], where the network knows classes."""


def weights_hash(network: torch.nn.Module) -> str:
    """A short name for the weights: equal for equal ones, wherever they were loaded from."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def in_parts(pictures: np.ndarray, see_some: Callable[[np.ndarray], torch.Tensor]) -> np.ndarray:
    """What a network says of many pictures, a few at a time."""
    starts = range(0, len(pictures), PICTURES_AT_ONCE)
    with torch.no_grad():
        said = [see_some(pictures[k : k + PICTURES_AT_ONCE]).float().cpu() for k in starts]
    return torch.cat(said).numpy()


def clip(source: str, device: torch.device) -> Extractor:
    """The image features of a CLIP, or of any network that transformers opens."""
    if not source:
        example = "clip:openai/clip-vit-base-patch32"
        raise UserError(f"extractor clip: name a folder or hub id after it, such as {example}")
    encoder = load_encoder(source, device)

    def features(pictures: np.ndarray) -> np.ndarray:
        return see(encoder, list(pictures))

    width = features(np.zeros((1, encoder.side, encoder.side, 3), np.uint8)).shape[1]
    return Extractor(f"clip{width}", weights_hash(encoder.model), features)


def inception(device: torch.device) -> Extractor:
    """The Inception v3 that FID and Inception score are defined by, in torch-fidelity's port.

    Raises:
        UserError: torch-fidelity is not there, or it cannot get its weights.
    """
    if importlib.util.find_spec("torch_fidelity") is None:
        raise UserError(
            "extractor inception needs torch-fidelity (and with it torchvision), which is not "
            "installed: `pip install torch-fidelity`, or take extractor: drawn or clip:FOLDER"
        )
    from torch_fidelity.feature_extractor_inceptionv3 import (  # pyright: ignore[reportMissingImports]
        FeatureExtractorInceptionV3,
    )

    try:
        network: Any = FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"])
    except OSError as error:  # urllib's, where there is no network
        raise UserError(f"the weights of Inception cannot be had: {error}") from error
    network.to(device).eval()

    def seen(part: np.ndarray) -> Any:
        return network(torch.from_numpy(part).permute(0, 3, 1, 2).contiguous().to(device))

    return Extractor(
        "inception2048",
        weights_hash(network),
        lambda pictures: in_parts(pictures, lambda part: seen(part)[0]),
        lambda pictures: in_parts(pictures, lambda part: seen(part)[1].softmax(1)),
    )
