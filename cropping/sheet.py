"""The contact sheet: every source with its square drawn in it, beside what was cut out."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageEnhance

from cropping.window import Box
from lab.images import grid, with_caption

THUMBNAIL = 200  # px, side of the square that a source, and a crop, are shown in
MARGIN = 8
COLUMNS = 4
CARDS_PER_SHEET = 40  # ten rows: as much as can be looked over on one screen or page
FRAME = (214, 40, 57)


def card(
    source: Image.Image, box: Box, crop: Image.Image, caption: str, detail: str
) -> Image.Image:
    """One picture's card: the source, what is left out dimmed, and the crop; two lines below."""
    left = Image.new("RGB", (2 * THUMBNAIL + 3 * MARGIN, THUMBNAIL + MARGIN), "white")
    for index, picture in enumerate((_with_box(source, box), crop)):
        shown = picture.copy()
        shown.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
        x = MARGIN + index * (THUMBNAIL + MARGIN) + (THUMBNAIL - shown.width) // 2
        left.paste(shown, (x, MARGIN + (THUMBNAIL - shown.height) // 2))
    return with_caption(with_caption(left, caption, height=24), detail, height=18)


def _with_box(source: Image.Image, box: Box) -> Image.Image:
    """The source as a thumbnail, with the box framed and its outside paled."""
    scale = min(1.0, THUMBNAIL / max(source.size))
    size = (max(round(source.width * scale), 1), max(round(source.height * scale), 1))
    bright = source.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    pale = Image.blend(ImageEnhance.Color(bright).enhance(0.3), Image.new("RGB", size, "#888"), 0.4)
    x0, y0, x1, y1 = (round(corner * scale) for corner in box.corners)
    inside = (x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))
    pale.paste(bright.crop(inside), inside[:2])  # a padded box leaves the picture
    right, bottom = min(inside[2], size[0]) - 1, min(inside[3], size[1]) - 1
    ImageDraw.Draw(pale).rectangle((x0, y0, max(right, x0), max(bottom, y0)), None, FRAME, 2)
    return pale


def sheets(cards: Sequence[Image.Image]) -> list[Image.Image]:
    """The cards on one sheet or several."""
    pages = range(0, len(cards), CARDS_PER_SHEET)
    return [
        grid(cards[start : start + CARDS_PER_SHEET], COLUMNS, gap=10, background="#dcd8d0")
        for start in pages
    ]
