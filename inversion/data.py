"""What a word is learned from: pictures with captions, as latents and as prompts."""

import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from diffusion.stable_diffusion import StableDiffusion, encode
from inversion.config import Config
from lab.captions import read_caption
from lab.errors import UserError
from lab.images import find_images, read_image
from lab.run import Progress, file_hash

CROPS = "crops.jsonl"


@dataclass(frozen=True)
class Example:
    """A picture file and what is said about it."""

    path: Path
    caption: str


@dataclass(frozen=True)
class Latents:
    """The pictures' latent distributions, [N, 2, C, h, w]; the second of each pair is mirrored."""

    mean: torch.Tensor
    std: torch.Tensor


def find_examples(config: Config, crops: Path) -> list[Example]:
    """The training pictures: those of `config.data`, else the crops of the same experiment.

    Raises:
        UserError: there are none.
    """
    folder = Path(config.data) if config.data else crops
    if (folder / CROPS).is_file():
        return _from_crops(folder)
    if not config.data:
        raise UserError(
            f"{crops} has no crops to learn from: add a cropping section to the experiment and run "
            "it first, or set inversion.data to a folder of pictures"
        )
    return [Example(path, read_caption(path).text) for path in find_images(folder)]


def _from_crops(folder: Path) -> list[Example]:
    with (folder / CROPS).open(encoding="utf-8") as file:
        lines = [json.loads(line) for line in file if line.strip()]
    if not lines:
        raise UserError(f"{folder / CROPS} lists no crops; run cropping again")
    return [Example(folder / line["file"], line["caption"]) for line in lines]


def read_templates(config: Config) -> tuple[str, ...]:
    """The prompt templates, from the configuration or from the file that it names.

    Raises:
        UserError: the file is missing, empty, or has a line without [name].
    """
    if isinstance(config.templates, tuple):
        return config.templates
    path = Path(config.templates)
    if not path.is_file():
        raise UserError(f"{path}: there is no such template file; check inversion.templates")
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    templates = tuple(line for line in lines if line)
    if not templates:
        raise UserError(f"{path}: the template file is empty; write one prompt a line")
    for number, line in enumerate(lines, 1):
        if line and "[name]" not in line:
            raise UserError(f"{path}:{number}: {line!r} lacks [name], the place of the word")
    return templates


def fill(template: str, word: str, caption: str) -> str:
    """`a painting of [filewords] by [name]` -> `a painting of a cat by <style>`."""
    return template.replace("[name]", word).replace("[filewords]", caption)


def fingerprint(examples: Sequence[Example]) -> list[list[str]]:
    """File hashes and captions: what the result depends on."""
    return [[file_hash(example.path), example.caption] for example in examples]


def encode_examples(
    sd: StableDiffusion, examples: Sequence[Example], side: int
) -> Generator[Progress, None, Latents]:
    """Read the pictures, resize them to `side` px, and encode them once, mirrored as well."""
    means, deviations = [], []
    for done, example in enumerate(examples):
        yield Progress("encoding pictures", done, len(examples))
        image = read_image(example.path)
        if image.size != (side, side):
            image = image.resize((side, side), Image.Resampling.LANCZOS)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 127.5 - 1
        mean, std = encode(sd, torch.stack([pixels, pixels.flip(-1)]))
        means.append(mean)
        deviations.append(std)
    yield Progress("encoding pictures", len(examples), len(examples))
    return Latents(torch.stack(means), torch.stack(deviations))
