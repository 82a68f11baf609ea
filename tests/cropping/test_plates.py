"""Real plates, where they lie beside the repository: heads stay whole."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from cropping.window import best_square
from lab.images import read_image

ROOT = Path(__file__).parents[2]
PLATES = ROOT.parent / "shared" / "illustrations" / "peter-rabbit"


@pytest.mark.skipif(not PLATES.is_dir(), reason="the illustrations are not beside the repository")
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
