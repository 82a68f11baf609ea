"""Real plates, where they lie beside the repository: heads stay whole."""

from pathlib import Path

import pytest

from cropping.window import best_square
from lab.images import read_image

PLATES = Path(__file__).parents[3] / "shared" / "illustrations" / "peter-rabbit"

# Plate -> the rows that its heads span, as shares of the height, read off the plates by eye.
HEADS = {
    "08": (0.52, 0.70),
    "11": (0.01, 0.62),
    "12": (0.20, 0.45),
    "15": (0.17, 0.40),
    "16": (0.08, 0.45),
    "19": (0.14, 0.50),
    "23": (0.08, 0.45),
    "28": (0.68, 0.80),
    "32": (0.55, 0.70),
    "39": (0.42, 0.80),
    "40": (0.20, 0.40),
    "43": (0.15, 0.35),
    "44": (0.20, 0.40),
    "48": (0.52, 0.70),
    "51": (0.12, 0.80),
    "55": (0.04, 0.30),
    "58": (0.05, 0.40),
}


@pytest.mark.skipif(not PLATES.is_dir(), reason="the illustrations are not beside the repository")
def test_heads_of_portrait_plates_are_whole():
    """All but the three plates whose heads at the very top are a bird's or a distant rabbit's."""
    cut = []
    for number, (top, bottom) in HEADS.items():
        picture = read_image(next(PLATES.glob(f"{number} *")))
        _, y0, _, y1 = best_square(picture, 512)
        near = 0.012  # how well the rows were read
        if y0 > (top + near) * picture.height or y1 < (bottom - near) * picture.height:
            cut.append(number)
    assert cut == []
