"""A few of the pictures that were chosen, small, so that one sees that they are the right ones."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from PIL import Image

from lab.errors import UserError
from lab.images import read_image
from lab.page import picture

MOST, SIDE = 8, 128
"""How many are shown, and their longer side in px."""


def sheet(sentence: str, pictures: Sequence[tuple[Path, str]]) -> str:
    """A sentence and some of the pictures, spread over all of them, as HTML; what cannot be read is
    left out. `pictures`: each with its caption, "" for none."""
    chosen = pictures[:: max(1, len(pictures) // MOST)][:MOST]
    shown = "".join(_small(path, caption) for path, caption in chosen)
    return f'<p class="sheet-said">{escape(sentence)}</p><div class="sheet">{shown}</div>'


def _small(path: Path, caption: str) -> str:
    try:
        image = read_image(path)
    except UserError:
        return ""
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    said = escape(caption or path.name)
    return f'<img src="{picture(image)}" alt="{said}" title="{said}">'
