"""What the tests of the tab Guidance share: frames as a sweep leaves them."""

import json
from decimal import Decimal

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cfg.cells import file_stem


@pytest.fixture
def drawn():
    """Write small frames of some scales into a folder, each with what it says of itself."""

    def draw(folder, about, scales) -> None:
        folder.mkdir(parents=True)
        text = PngInfo()
        text.add_itxt("parameters", json.dumps(about))
        for scale in scales:
            name = f"{file_stem(Decimal(str(scale)))}.png"
            Image.new("RGB", (4, 4)).save(folder / name, pnginfo=text)

    return draw
