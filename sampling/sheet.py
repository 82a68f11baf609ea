"""Labelled grids: a prompt above, its words at the left, its seeds or scales over the columns."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from lab.images import enlarge, font, grid, save_png
from sampling.config import Config
from sampling.pictures import Picture, Sheet

GAP, TITLE, HEADER = 6, 52, 24  # px: between cells, above the columns' heads, of those
INK, DIM = "black", (110, 110, 118)


@dataclass(frozen=True)
class Grid:
    """One picture of many: `cells` row by row, as many in a row as there are heads."""

    path: Path
    title: str
    about: str
    heads: tuple[str, ...]
    rows: tuple[str, ...]
    cells: tuple[Picture, ...]


def grids_of(sheet: Sheet, config: Config, folder: Path) -> list[Grid]:
    """For each scale words against seeds; for several scales also words against scales."""
    labels = tuple(row.label for row in sheet.rows)
    rows = range(len(labels))
    several = len(config.guidance_scales) > 1
    grids: list[Grid] = []
    for scale in config.guidance_scales:
        name = f"{sheet.name}_s{scale:g}.png" if several else f"{sheet.name}.png"
        cells = tuple(sheet.pictures[row, scale, seed] for row in rows for seed in config.seeds)
        heads = tuple(f"seed {seed}" for seed in config.seeds)
        about = _about(config, f"guidance scale {scale:g}")
        grids.append(Grid(folder / name, sheet.prompt, about, heads, labels, cells))
    if several:
        seed, scales = config.seeds[0], config.guidance_scales
        cells = tuple(sheet.pictures[row, scale, seed] for row in rows for scale in scales)
        heads = tuple(f"s = {scale:g}" for scale in scales)
        name = f"{sheet.name}_scales.png"
        about = _about(config, f"seed {seed}")
        grids.append(Grid(folder / name, sheet.prompt, about, heads, labels, cells))
    return grids


def _about(config: Config, first: str) -> str:
    away = f", away from “{config.negative_prompt}”" if config.negative_prompt else ""
    return f"{first}, {config.steps} steps of {config.scheduler}, {config.model}{away}"


def save_grid(made: Grid, cell: int) -> None:
    """Draw and write a grid; `cell` is the longest side of a picture in it, in px."""
    pictures = [_shown(picture.path, cell) for picture in made.cells]
    width, columns = max(picture.width for picture in pictures), len(made.heads)
    rows = made.rows if any(made.rows) else None
    cells = grid(pictures, columns, row_labels=rows, gap=GAP)
    margin = cells.width - columns * (width + GAP) - GAP
    whole = Image.new("RGB", (max(cells.width, 360), cells.height + TITLE + HEADER), "white")
    whole.paste(cells, (0, TITLE + HEADER))
    draw = ImageDraw.Draw(whole)
    room = whole.width - 2 * GAP
    _write(draw, (GAP, 18), made.title, room, 18, INK, "lm")
    _write(draw, (GAP, 39), made.about, room, 12, DIM, "lm")
    for column, head in enumerate(made.heads):
        middle = margin + GAP + column * (width + GAP) + width / 2
        _write(draw, (middle, TITLE + HEADER / 2), head, width, 13, INK, "mm")
    save_png(whole, made.path)


def _shown(path: Path, cell: int) -> Image.Image:
    with Image.open(path) as image:
        picture = enlarge(image.convert("RGB"), cell)
    picture.thumbnail((cell, cell), Image.Resampling.LANCZOS)
    return picture


def _write(draw, at, text: str, room: float, size: float, colour, anchor: str) -> None:
    """A line of text, in smaller letters where it is too long for `room` px, shortened at 9 px."""
    size = max(9.0, min(size, size * room / max(1.0, font(size).getlength(text))))
    chosen = font(size)
    if chosen.getlength(text) > room:
        while text and chosen.getlength(f"{text}...") > room:
            text = text[:-1]
        text = f"{text.rstrip()}..."
    draw.text(at, text, colour, chosen, anchor=anchor)
