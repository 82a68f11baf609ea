"""Pictures as latents: encoded once, of one or several shapes, with what each cell counts."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Latents:
    """A picture's latent distribution, as it is and mirrored."""

    mean: Tensor
    """float32 [2, C, h, w]; the second is mirrored."""
    std: Tensor
    """float32 [2, C, h, w]."""
    weights: Tensor | None = None
    """What each cell counts in the loss, float32 [2, 1, h, w] with mean 1; None: all the same."""
