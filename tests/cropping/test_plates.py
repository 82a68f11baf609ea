"""Real plates, where they lie beside the repository: heads stay whole."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from cropping.window import best_square
from lab.images import read_image

ROOT = Path(__file__).parents[2]
PLATES = ROOT.parent / "shared" / "illustrations" / "peter-rabbit"

NEEDS_PLATES = pytest.mark.skipif(
    not PLATES.is_dir(), reason="the illustrations are not beside the repository"
)

# Plate -> the rows that all its heads span, also those that no caption names, as shares of the
# height, read off the plates by eye. 16 and 58 were read again, at the pixels of the ears' tips.
ROWS = {
    "08": (0.52, 0.70), "11": (0.01, 0.62), "12": (0.20, 0.45), "15": (0.17, 0.40),
    "16": (0.127, 0.45), "19": (0.14, 0.50), "23": (0.08, 0.45), "28": (0.68, 0.80),
    "32": (0.55, 0.70), "39": (0.42, 0.80), "40": (0.20, 0.40), "43": (0.15, 0.35),
    "44": (0.20, 0.40), "48": (0.52, 0.70), "51": (0.12, 0.80), "55": (0.04, 0.30),
    "58": (0.058, 0.40),
}  # fmt: skip


@NEEDS_PLATES
def test_heads_on_the_plates_are_whole():
    """Every head of a mammal or person that the caption names, where all of a plate's heads fit
    into one square; the boxes were read off by eye, to about a hundredth."""
    boxes = YAML(typ="safe").load(ROOT / "benchmarks" / "cropping" / "plates.yaml")
    assert len(boxes) == 27
    cut = []
    for number, subjects in boxes.items():
        picture = read_image(next(PLATES.glob(f"{number} *")))
        heads = [one["head"] for one in subjects if "head" in one]
        x0, y0, x1, y1 = best_square(picture, 512)
        left, right = 100 * x0 / picture.width - 1, 100 * x1 / picture.width + 1
        top, bottom = 100 * y0 / picture.height - 1, 100 * y1 / picture.height + 1
        if heads and max(h[3] for h in heads) - min(h[1] for h in heads) > bottom - top:
            continue
        if any(h[0] < left or h[1] < top or h[2] > right or h[3] > bottom for h in heads):
            cut.append(number)
    assert cut == []


@NEEDS_PLATES
def test_no_head_of_a_portrait_plate_is_cut():
    """All but three plates, whose heads at the very top are a bird's or a distant rabbit's."""
    cut = []
    for number, (top, bottom) in ROWS.items():
        picture = read_image(next(PLATES.glob(f"{number} *")))
        _, y0, _, y1 = best_square(picture, 512)
        near = 0.012  # how well the rows were read
        if y0 > (top + near) * picture.height or y1 < (bottom - near) * picture.height:
            cut.append(number)
    assert cut == []
