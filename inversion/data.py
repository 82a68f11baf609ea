"""What a word is learned from: pictures, what is said about them, and their masks."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image

from inversion.config import Config
from lab.captions import CaptionRules, read_caption, read_lines
from lab.errors import UserError
from lab.images import find_images, read_image
from lab.masks import mask_of
from lab.run import file_hash

CROPS, METADATA = "crops.jsonl", "metadata.jsonl"
# list -> its key of the file, and those of the caption
LISTS = {CROPS: ("file", ("caption",)), METADATA: ("file_name", ("text", "caption"))}
ORIENTATION, SIDEWAYS = 0x0112, (5, 6, 7, 8)  # EXIF


@dataclass(frozen=True)
class Example:
    """A picture file and what is said about it."""

    path: Path
    caption: str
    mask: Path | None = None
    """Its mask, where a listing names one; else one may lie beside it (`lab.masks`)."""
    size: tuple[int, int] | None = None
    """(width, height), upright, where it is known."""
    columns: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """All that its folder's list says of it."""
    value: str = ""
    """Of the attribute that is evened out, where one is (`inversion.balance`)."""
    counts: float = 1.0
    """What it counts in the loss."""


def find_examples(config: Config, crops: Path) -> list[Example]:
    """The training pictures: those of `config.data`, else the crops of the same experiment.

    A folder may list its pictures in crops.jsonl (ours) or metadata.jsonl (Hugging Face's form);
    without a list all pictures in it count, with the captions of `lab.captions`.

    Raises:
        UserError: there are none, or a list is damaged or names what is not there.
    """
    folder = Path(config.data) if config.data else crops
    for name, keys in LISTS.items():
        if (folder / name).is_file():
            return _listed(folder, folder / name, config.captions, *keys)
    if not config.data:
        raise UserError(
            f"{crops} has no crops to learn from: add a cropping section to the experiment and run "
            "it first, or set inversion.data to a folder of pictures"
        )
    rules = config.captions.model_dump()
    return [_example(path, read_caption(path, **rules).text) for path in find_images(folder)]


def _listed(
    folder: Path, path: Path, rules: CaptionRules, file_key: str, text_keys: tuple[str, ...]
) -> list[Example]:
    found = []
    for number, text in enumerate(read_lines(path), 1):
        if not text.strip():
            continue
        try:
            line = json.loads(text)
            picture = folder / line[file_key]
        except (ValueError, KeyError, TypeError):
            raise UserError(
                f"{path}:{number}: this is no JSON object with {file_key!r}; mend the line"
            ) from None
        if not picture.is_file():
            raise UserError(f"{path}:{number}: {picture} is not there; restore it or list it not")
        said = next((line[key] for key in text_keys if line.get(key) is not None), None)
        if said is None:
            said = read_caption(picture, **rules.model_dump()).text
        mask = folder / line["mask"] if line.get("mask") else None
        if mask is not None and not mask.is_file():
            raise UserError(f"{path}:{number}: the mask {mask} is not there; restore it")
        found.append(replace(_example(picture, " ".join(str(said).split()), mask), columns=line))
    if not found:
        again = "; run cropping again" if path.name == CROPS else ""
        raise UserError(f"{path} lists no pictures{again}")
    return found


def _example(path: Path, caption: str, mask: Path | None = None) -> Example:
    return Example(path, caption, mask, upright_size(path))


def upright_size(path: Path) -> tuple[int, int]:
    """(width, height) of a picture as a person sees it, from its header alone where that will do.

    Raises:
        ImageError: it is no picture.
    """
    try:
        with Image.open(path) as image:
            sideways = image.getexif().get(ORIENTATION, 1) in SIDEWAYS
            return (image.height, image.width) if sideways else image.size
    except Exception:  # whatever is odd about it, the reader of pictures knows what to say
        return read_image(path).size


def fingerprint(examples: Sequence[Example]) -> list[list[str]]:
    """Hashes of files and masks, captions, and what the pictures count: what the result depends
    on."""
    found = []
    for example in examples:
        mask = example.mask or mask_of(example.path)
        hashes = [file_hash(path) for path in (example.path, mask) if path]
        counted = [] if example.counts == 1 else [repr(example.counts)]
        found.append([*hashes, example.caption, *counted])
    return found
