"""Where pictures come from: folders, drawn families, data sets of the hub."""

import hashlib
import importlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from ddpm.config import Data
from ddpm.squares import CROPS
from lab.errors import UserError, said_first
from lab.images import ImageError, find_images, read_image
from lab.run import Run, file_hash
from storybook.families import FAMILIES, draw

SAMPLES = 16  # drawn pictures of a family that stand for the code that draws them


@dataclass(frozen=True)
class Source:
    """Where pictures come from: how many, what identifies them, and how to make one."""

    count: int
    identity: str
    prepare: Callable[[int], "Prepared"]
    """Of an index in range(count). It can be sent to other processes."""


@dataclass(frozen=True)
class Prepared:
    """One picture made square, or why there is none."""

    pixels: np.ndarray | None
    """uint8 [size, size, 3]."""
    name: str
    """Its caption or file name; without pixels, what is wrong."""
    size: tuple[int, int]
    """Width and height that it had."""


def open_source(data: Data) -> Source:
    """What `data.source` names, looked at but not yet read.

    Raises:
        UserError: no such folder, no pictures in it, an unknown family, a data set of the hub that
            cannot be had.
    """
    if data.source.startswith("drawn:"):
        return _drawn(data)
    folder = Path(data.source).expanduser()
    looks_like_a_hub_id = data.source.count("/") == 1 and not data.source.startswith(
        (".", "/", "~")
    )
    if looks_like_a_hub_id and not folder.exists():
        return _hub(data)
    paths = find_images(folder)
    identity = [(path.relative_to(folder).as_posix(), file_hash(path)) for path in paths]
    prepare = partial(_read, [str(path) for path in paths], str(folder), data)
    return Source(len(paths), Run.fingerprint(identity), prepare)


def _drawn(data: Data) -> Source:
    families = data.source.removeprefix("drawn:").split("+")
    for family in families:
        if family not in FAMILIES:
            there = ", ".join(FAMILIES)
            raise UserError(
                f"ddpm.data.source: {family or '(none)'} is not drawn; there are {there}"
            )
    # no hash tells what the drawing code draws: some pictures do
    samples = [
        draw(family, k, size=data.size)[0].tobytes() for family in families for k in range(SAMPLES)
    ]
    identity = hashlib.sha256(b"".join(samples)).hexdigest()
    prepare = partial(_draw, families, data)
    return Source(data.count * len(families), identity, prepare)


def _draw(families: Sequence[str], data: Data, index: int) -> Prepared:
    number, which = divmod(index, len(families))
    pixels, caption = draw(families[which], number, size=data.size)
    return Prepared(pixels, caption, (data.size, data.size))


def _read(paths: Sequence[str], folder: str, data: Data, index: int) -> Prepared:
    path = Path(paths[index])
    try:
        image = read_image(path)
    except ImageError as error:
        return Prepared(None, str(error), (0, 0))
    square = CROPS[data.crop](image, data.size)
    return Prepared(np.asarray(square), path.relative_to(folder).as_posix(), image.size)


def _hub(data: Data) -> Source:
    """A data set of the Hugging Face hub: the pictures of its first image column."""
    try:
        load = importlib.import_module("datasets").load_dataset
    except (ImportError, AttributeError):  # a folder of that name is found where no package is
        raise UserError(
            f"ddpm.data.source {data.source} is no folder here; to read it as a data set of the "
            "hub, `pip install datasets`, or name a folder or drawn:FAMILY"
        ) from None
    try:
        table = load(data.source, split="train")
    except Exception as error:  # of a dozen kinds, from two libraries
        reason = said_first(error)
        raise UserError(
            f"the data set {data.source} cannot be had ({reason}): go online once, or name a folder"
        ) from None
    columns = [name for name, kind in table.features.items() if type(kind).__name__ == "Image"]
    if not columns:
        raise UserError(f"the data set {data.source} has no column of pictures; name another one")
    count = min(len(table), data.count)
    return Source(
        count, f"{data.source}@{table._fingerprint}", partial(_row, table, columns[0], data)
    )


def _row(table, column: str, data: Data, index: int) -> Prepared:
    buffer = io.BytesIO()
    table[index][column].convert("RGB").save(buffer, "PNG")
    image = Image.open(buffer)
    square = CROPS[data.crop](image, data.size)
    return Prepared(np.asarray(square), f"{data.source} {index}", image.size)
