"""Labelled grids: a prompt above, its words at the left, its seeds or scales over the columns."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from lab.images import enlarge, save_png
from lab.sheet import draw_sheet
from sampling.config import Config
from sampling.pictures import Picture, Sheet


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
    save_png(draw_sheet(pictures, made.heads, made.rows, made.title, made.about), made.path)


def _shown(path: Path, cell: int) -> Image.Image:
    with Image.open(path) as image:
        picture = enlarge(image.convert("RGB"), cell)
    picture.thumbnail((cell, cell), Image.Resampling.LANCZOS)
    return picture
