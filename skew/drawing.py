"""Draws what is wanted and not there yet, into the pictures that all experiments share."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from cfg.sampling import sample
from diffusion.overwriting import overwrite, set_strength
from diffusion.stable_diffusion import StableDiffusion
from diffusion.words import WordFile
from lab.images import KEY, save_png
from lab.kept import is_there, placed_chunks
from lab.processes import Processes
from lab.run import Progress
from skew.config import Config
from skew.plan import Keyed

FOLDER = ".pictures"  # beside the experiments, like .latents: it may be deleted at any time


def draw(
    config: Config,
    sd: StableDiffusion,
    learned: WordFile | None,
    pictures: Sequence[Keyed],
    processes: Processes,
) -> Iterator[Progress]:
    """Draw what is missing, strength by strength, this process its share of it.

    The model is untouched until the first strength above 0 is drawn.
    """
    todo = {p.key: p for p in pictures if not is_there(p)}
    processes.wait()  # every process sees the same: nobody draws before all looked
    overwriting = None
    for strength in sorted({p.wanted.strength for p in pictures}):
        stage = f"drawing at strength {strength:g}" if strength else "drawing as the model is"
        wanted = {p.key for p in pictures if p.wanted.strength == strength}
        mine = [p for p in todo.values() if p.wanted.strength == strength]
        if strength and learned and mine:
            overwriting = overwriting or overwrite(sd, config.word, learned.embedding.vectors)
            set_strength(sd, overwriting, strength)
        done = len(wanted) - len(mine)
        yield Progress(stage, done, len(wanted))
        chunks = placed_chunks(mine, config.batch_size, lambda p: p.wanted.scale)
        for chunk in processes.share(chunks):
            _draw_chunk(config, sd, chunk)
            done += sum(one is not None for one in chunk)
            yield Progress(stage, done, len(wanted))
    processes.wait()


def _draw_chunk(config: Config, sd: StableDiffusion, chunk: Sequence[Keyed | None]) -> None:
    padding = next(picture for picture in chunk if picture)
    filled = [(picture or padding).wanted for picture in chunk]
    drawn = sample(
        sd,
        [one.prompt for one in filled],
        seeds=[one.seed for one in filled],
        guidance_scale=padding.wanted.scale,
        negative_prompt=config.negative_prompt,
        steps=config.steps,
        scheduler=config.scheduler,
        batch_size=len(filled),
    )
    for picture, pixels in zip(chunk, drawn, strict=True):
        if picture is not None:
            about = {"prompt": picture.wanted.prompt, "seed": str(picture.wanted.seed)}
            save_png(Image.fromarray(pixels), picture.path, about | {KEY: picture.key})


def link(pictures: Sequence[Keyed], folder: Path) -> dict[str, list[Path]]:
    """Put the pictures under readable names into folders, one for each series; the names are
    further ones of the same files where the file system can do that. Series -> paths."""
    series: dict[str, list[Path]] = {}
    for picture in pictures:
        path = folder / picture.wanted.series / picture.wanted.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        try:
            os.link(picture.path, path)
        except OSError:
            shutil.copyfile(picture.path, path)
        series.setdefault(picture.wanted.series, []).append(path)
    return series
