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
            steps=settings.steps,
            scheduler=settings.scheduler,
            batch_size=len(prompts),
        )
    )


def save_row(folder: Path, step: int, pictures: list[np.ndarray]) -> None:
    """Keep a row as one PNG of pictures side by side, at their own size."""
    save_png(Image.fromarray(np.concatenate(pictures, axis=1)), row_path(folder, step))


def row_path(folder: Path, step: int) -> Path:
    """The file of the row drawn after `step` steps."""
    return folder / f"step-{step:06d}.png"


def save_sheet(folder: Path, settings: Previews, steps: list[int], path: Path) -> None:
    """All rows that were drawn under each other, labelled with their steps and prompts."""
    tiles, labels = [], []
    for step in steps:
        with Image.open(row_path(folder, step)) as row:
            side = row.width // len(settings.prompts)
            for k, prompt in enumerate(settings.prompts):
                tile = row.crop((k * side, 0, (k + 1) * side, row.height))
                tiles.append(enlarge(tile, SIDE))
                labels.append(prompt)
    rows = [f"step {step}" for step in steps]
    save_png(grid(tiles, len(settings.prompts), labels=labels, row_labels=rows), path)
