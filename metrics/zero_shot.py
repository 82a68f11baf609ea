"""CLIP as a judge: which of several sentences fits a picture best (Radford et al. 2021,
arXiv:2103.00020).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from metrics.features import Encoder, read


def class_vectors(encoder: Encoder, classes: Mapping[str, Sequence[str]]) -> np.ndarray:
    """A unit vector [K, d] for each class: the mean of those of its sentences (section 3.1.4).

    Classes should say the same sentences of themselves, `a photo of a woman, a portrait of a woman`
    and `a photo of a man, a portrait of a man`: what differs is then the attribute alone.

    Raises:
        UserError: for a network that knows no texts.
    """
    means = np.stack([read(encoder, sentences).mean(axis=0) for sentences in classes.values()])
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def zero_shot(
    encoder: Encoder, vectors: np.ndarray, classes: Mapping[str, Sequence[str]]
) -> np.ndarray:
    """Probabilities [N, K] of the classes for pictures whose unit vectors are [N, d].

    softmax over the classes of logit_scale times the cosine (section 2.3, figure 3).
    """
    scale = float(encoder.model.logit_scale.detach().exp())
    logits = scale * vectors.astype(np.float64) @ class_vectors(encoder, classes).T
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    return chances / chances.sum(axis=1, keepdims=True)
