"""Captions and templates to prompts."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from inversion.config import Config, Tags
from lab.captions import read_lines
from lab.errors import UserError

NAME, FILEWORDS = "[name]", "[filewords]"


def read_templates(config: Config) -> tuple[str, ...]:
    """The prompt templates, from the configuration or from the file that it names.

    Raises:
        UserError: the file is missing, empty or no text.
    """
    if isinstance(config.templates, tuple):
        return config.templates
    path = Path(config.templates)
    if not path.is_file():
        raise UserError(f"{path}: there is no such template file; check inversion.templates")
    lines = [line.strip() for line in read_lines(path)]
    templates = tuple(line for line in lines if line and not line.startswith("#"))
    if not templates:
        raise UserError(f"{path}: the template file is empty; write one prompt a line")
    return templates


def fill(template: str, word: str, caption: str) -> str:
    """`a painting of [filewords] by [name]` -> `a painting of a cat by <style>`."""
    return template.replace(NAME, word).replace(FILEWORDS, caption)


def write_prompt(
    template: str,
    word: str,
    caption: str,
    tags: Tags,
    also: Sequence[str],
    key: tuple[int, int],
) -> str:
    """A template filled in with a caption whose tags are shuffled and dropped as `tags` asks.

    key: (seed, number), which the tags' fate follows from. Tags that hold a learned word, `word`
    or one of `also`, are never dropped.
    """
    if tags.shuffle or tags.drop:
        rng = np.random.default_rng([key[0] & 0xFFFFFFFF, 0x7A65, key[1] & 0xFFFFFFFF])
        caption = mix_tags(caption, tags, (word, *also), rng)
    return fill(template, word, caption)


def mix_tags(caption: str, tags: Tags, words: Sequence[str], rng: np.random.Generator) -> str:
    """The comma-separated parts of a caption, some left out and the rest in another order, as in
    AUTOMATIC1111; the first `tags.keep` stay where they are."""
    parts = [part.strip() for part in caption.split(",")]
    fixed, free = parts[: tags.keep], parts[tags.keep :]
    luck = rng.random(len(free))
    free = [
        part
        for part, chance in zip(free, luck, strict=True)
        if chance >= tags.drop or any(word in part for word in words)
    ]
    if tags.shuffle:
        free = [free[k] for k in rng.permutation(len(free))]
    return ", ".join([*fixed, *free])
