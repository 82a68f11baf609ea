"""Labelled grids: a title above, names at the left of the rows, heads over the columns."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from lab.images import font, grid

GAP, TITLE, HEADER = 6, 52, 24  # px: between cells, above the columns' heads, of those
INK, DIM = "black", (110, 110, 118)


def draw_sheet(
    pictures: Sequence[Image.Image],
    heads: Sequence[str],
    rows: Sequence[str],
    title: str,
    about: str,
) -> Image.Image:
    """Pictures row by row, as many in a row as there are heads, below a title and a smaller line.

    Text that is too long becomes smaller, and is shortened in the end. Where all names of rows are
    empty there is no room for them.
    """
    width, columns = max(picture.width for picture in pictures), len(heads)
    cells = grid(pictures, columns, row_labels=rows if any(rows) else None, gap=GAP)
    margin = cells.width - columns * (width + GAP) - GAP
    whole = Image.new("RGB", (max(cells.width, 360), cells.height + TITLE + HEADER), "white")
    whole.paste(cells, (0, TITLE + HEADER))
    draw = ImageDraw.Draw(whole)
    room = whole.width - 2 * GAP
    _write(draw, (GAP, 18), title, room, 18, INK, "lm")
    _write(draw, (GAP, 39), about, room, 12, DIM, "lm")
    for column, head in enumerate(heads):
        middle = margin + GAP + column * (width + GAP) + width / 2
        _write(draw, (middle, TITLE + HEADER / 2), head, width, 13, INK, "mm")
    return whole


def _write(draw, at, text: str, room: float, size: float, colour, anchor: str) -> None:
    """A line of text, in smaller letters where it is too long for `room` px, shortened at 9 px."""
    size = max(9.0, min(size, size * room / max(1.0, font(size).getlength(text))))
    chosen = font(size)
    if chosen.getlength(text) > room:
        while text and chosen.getlength(f"{text}...") > room:
            text = text[:-1]
        text = f"{text.rstrip()}..."
    draw.text(at, text, colour, chosen, anchor=anchor)
