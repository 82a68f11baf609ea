"""The cropper with one idea taken away."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from unittest.mock import patch

import numpy as np

from cropping import subject, window


def _without_cue(name: str) -> AbstractContextManager:
    kept = {key: cue for key, cue in subject.CUES.items() if key != name}
    return patch.object(subject, "CUES", kept)


ABLATIONS: dict[str, Callable[[], AbstractContextManager]] = {
    "everything": nullcontext,
    **{f"without {name}": partial(_without_cue, name) for name in subject.CUES},
    "all cues alike": partial(patch.object, subject, "WEIGHTS", {}),
    "without the step against gutters": partial(
        patch.object, subject, "without_gutters", lambda cue: cue
    ),
    "cues scaled by their maximum": partial(
        patch.object, subject, "normalised", lambda cue: cue / max(float(cue.max()), 1e-12)
    ),
    "text as important as pictures": partial(
        patch.object, subject, "text_weight", lambda rgb, shape: np.float32(1)
    ),
    "without the centre prior": partial(
        patch.object, subject, "centre_prior", lambda height, width: np.float32(1)
    ),
    "without spreading by colour": partial(patch.object, subject, "SAME_COLOUR", 0.0),
    "edges may cut": partial(patch.multiple, window, EDGE_WEIGHT=0.0, UPPER_WEIGHT=0.0),
    "upper edges like lower ones": partial(
        patch.object, window, "UPPER_WEIGHT", window.EDGE_WEIGHT
    ),
    "what lies on an edge, summed": partial(
        patch.object,
        window,
        "ridge",
        lambda lines: lines.sum(axis=1) / max(float(lines.sum(axis=1).max()), 1e-12),
    ),
    "no pull to the middle": partial(patch.object, window, "CENTRE_WEIGHT", 0.0),
    "what lies about counts like a part": partial(
        patch.object, window, "gathered", lambda importance: importance
    ),
    "no pull to the top": partial(patch.object, window, "TOP_WEIGHT", 0.0),
}
