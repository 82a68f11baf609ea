"""The small drawn world at 32 px: families of pictures with captions, for unconditional models.

The storybook illustrator's sibling. A picture depends on (family, seed, index) alone, so a data set
is a family, a seed and a count, and nothing has to be stored.
"""

import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

from storybook.faces import faces
from storybook.flowers import flowers
from storybook.houses import houses
from storybook.manga import manga
from storybook.nouns import nouns
from storybook.prints import prints
from storybook.trees import trees

FAMILIES: dict[str, Callable[[np.random.Generator, int], tuple[Image.Image, str]]] = {
    "flowers": flowers,
    "faces": faces,
    "nouns": nouns,
    "trees": trees,
    "houses": houses,
    "prints": prints,
    "manga": manga,
}
OVERSIZE = 4  # pictures are painted this many times larger, then reduced


def draw(family: str, index: int, *, size: int = 32, seed: int = 0) -> tuple[np.ndarray, str]:
    """Picture number `index` of a family: uint8 [size, size, 3], and what it shows, in words.

    Raises:
        KeyError: for a family that is not in `FAMILIES`.
    """
    rng = np.random.default_rng([seed, index, zlib.crc32(family.encode())])
    image, caption = FAMILIES[family](rng, OVERSIZE * size)
    return np.asarray(image.resize((size, size), Image.Resampling.BOX)), caption
