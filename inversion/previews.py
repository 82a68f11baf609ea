"""Pictures drawn with a word while it is learned: one row a look, one column a prompt."""

from pathlib import Path

import numpy as np
from PIL import Image

from cfg.sampling import sample
from diffusion.stable_diffusion import StableDiffusion
from inversion.config import Previews
from lab.images import enlarge, grid, save_png

SIDE = 192  # px at which a preview is shown; smaller pictures are enlarged to it


def draw_row(sd: StableDiffusion, settings: Previews, word: str) -> list[np.ndarray]:
    """One picture for each preview prompt, from the same noise at every look."""
    prompts = [prompt.replace("[name]", word) for prompt in settings.prompts]
    return list(
        sample(
            sd,
            prompts,
            seeds=[settings.seed + k for k in range(len(prompts))],
            guidance_scale=settings.guidance_scale,
            negative_prompt=settings.negative_prompt.replace("[name]", word),
            steps=settings.steps,
            scheduler=settings.scheduler,
            batch_size=len(prompts),
        )
    )


def save_row(path: Path, pictures: list[np.ndarray]) -> None:
    """Keep a row as one PNG of pictures side by side, at their own size."""
    save_png(Image.fromarray(np.concatenate(pictures, axis=1)), path)


def row_path(folder: Path, step: int) -> Path:
    """The file of the row drawn after `step` steps."""
    return folder / f"step-{step:06d}.png"


def best_path(folder: Path) -> Path:
    """The file of the row drawn with the best vectors of all."""
    return folder / "best.png"


def saved_rows(folder: Path, best_step: int) -> list[tuple[str, Path]]:
    """The rows that are there, in their order, with what they are called."""
    rows = sorted(folder.glob("step-*.png"))
    named = [(f"step {int(path.stem.removeprefix('step-'))}", path) for path in rows]
    best = best_path(folder)
    return [*named, *([(f"the best, step {best_step}", best)] if best.exists() else [])]


def tiles(path: Path, count: int) -> list[Image.Image]:
    """The `count` pictures of a row, at their own size."""
    with Image.open(path) as row:
        side = row.width // count
        return [row.crop((k * side, 0, (k + 1) * side, row.height)) for k in range(count)]


def save_sheet(folder: Path, settings: Previews, best_step: int, path: Path) -> None:
    """All rows that were drawn under each other, labelled with their steps and prompts."""
    rows = saved_rows(folder, best_step)
    pictures = [
        enlarge(tile, SIDE) for _, row in rows for tile in tiles(row, len(settings.prompts))
    ]
    labels = list(settings.prompts) * len(rows)
    names = [name for name, _ in rows]
    save_png(grid(pictures, len(settings.prompts), labels=labels, row_labels=names), path)
