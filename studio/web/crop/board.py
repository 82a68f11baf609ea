"""What the browser is told of a page of pictures, and the pictures that it is shown."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from PIL import Image

from lab.errors import UserError
from lab.images import read_image
from lab.run import write_atomically
from studio.web.crop.read import Card, Crops, prefix_of
from studio.web.frames import address
from studio.web.places import STUDIO, Places

LONG_SIDE = 800  # px of a source as it is shown: sharp at the width of a column, twice as dense


def board(crops: Crops, cards: list[Card], pictures: Mapping[str, Path | None]) -> dict[str, Any]:
    """The value of the page's part that draws and drags; addresses are those of gradio's files."""
    return {
        "run": crops.name,
        "prefix": prefix_of(crops.configuration),
        "cards": [
            {
                "name": card.name,
                "size": card.size,
                "out": card.out,
                "boxes": card.boxes,
                "way": card.way,
                "caption": card.caption,
                "captions": card.captions,
                "badges": card.badges,
                "flaws": card.flaws,
                "waits": card.waits,
                "picture": _address(pictures.get(card.name) or card.thumbnail),
                "crops": [found for path in card.crops if (found := _address(path))],
            }
            for card in cards
        ],
    }


def _address(path: Path | None) -> str:
    """Where the page finds a file; "" for none, and for one that a run has just put away."""
    try:
        return address(path) if path else ""
    except OSError:
        return ""


class Thumbnails:
    """Sources as the page shows them, made beside the page's own work and kept in outputs/."""

    def __init__(self, places: Places):
        self.folder = places.outputs / STUDIO / "thumbnails"
        self._places = places
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="thumbnails")
        self._asked: dict[str, Future] = {}

    def of(self, card: Card, source: Path) -> Path | None:
        """The thumbnail, or None while it is being made, and where it cannot be."""
        path = self.folder / f"{card.hash}.jpg"
        if path.is_file():
            return path
        if card.hash and card.hash not in self._asked:
            self._asked[card.hash] = self._maker.submit(self._make, source / card.name, path)
        return None

    def is_coming(self, card: Card) -> bool:
        """Whether its thumbnail is being made."""
        return card.hash in self._asked and not self._asked[card.hash].done()

    def _make(self, picture: Path, path: Path) -> None:
        try:
            small = read_image(self._places.inside(str(picture)))
        except UserError:
            return
        small.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
        write_atomically(path, lambda file: small.save(file, format="JPEG", quality=84))
