"""The pictures of a source folder: their hashes, captions and corrections, and the crops' names."""

import re
import unicodedata
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cropping.config import Config
from cropping.corrections import (
    Correction,
    corrections_file,
    read_corrections,
    require_inside,
)
from lab.captions import Caption, read_caption
from lab.errors import UserError
from lab.images import ImageError, find_images, is_mask, read_image
from lab.masks import mask_of
from lab.run import Progress, Run, file_hash

UNSAFE_IN_NAMES = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]+')
TILE = re.compile(r" tile \d+$")
LONGEST_NAME = 100  # bytes of UTF-8; file systems end at 255, archives and some tools earlier


@dataclass(frozen=True)
class Source:
    """A picture to crop.

    `name` is its path in the source folder, `stem` what its crops' file names begin with, `sha256`
    of the file, "" where that cannot be read; `mask` the mask beside it and that file's sha256.
    """

    path: Path
    name: str
    stem: str
    sha256: str
    caption: Caption
    correction: Correction | None = None
    mask: tuple[Path, str] | None = None
    problem: str = ""
    """Why its caption could not be read."""


def find_sources(config: Config, run: Run) -> Generator[Progress, None, list[Source]]:
    """Every picture of the source folder, in natural order.

    Raises:
        UserError: no pictures; results that would become sources; corrections with mistakes; with
            `config.strict`, a caption that cannot be read.
    """
    folder = Path(config.source)
    paths = find_images(folder)
    if run.folder.resolve().is_relative_to(folder.resolve()):
        raise UserError(
            f"cropping.source: the results go into {folder} too, and would be cropped in their "
            "turn; name the folder of the pictures themselves"
        )
    by_name = {path.relative_to(folder).as_posix(): path for path in paths}
    file = corrections_file(folder, config.corrections)
    corrections = read_corrections(file, by_name)
    if file:
        _check_places(file, corrections, by_name)
    sources: list[Source] = []
    for (name, path), stem in zip(by_name.items(), stems(paths), strict=True):
        caption, problem = _caption(path, config)
        correction = corrections.get(name)
        if correction and correction.caption is not None:
            caption = Caption(" ".join(correction.caption.split()), "correction")
        mask = mask_of(path)
        sources.append(
            Source(
                path, name, stem, _hash(path), caption, correction,
                (mask, _hash(mask)) if mask else None, problem,
            )
        )  # fmt: skip
        yield Progress("finding pictures", len(sources), len(paths))
    return sources


def _caption(path: Path, config: Config) -> tuple[Caption, str]:
    """The caption of a picture; one whose .txt cannot be read is named by its file name."""
    settings = config.captions.model_dump(exclude={"automatic", "prefix"})
    try:
        return read_caption(path, **settings), ""
    except UserError as error:
        if config.strict:
            raise
        settings["sidecar"] = "ignore"
        return read_caption(path, **settings), str(error)


def _check_places(
    file: Path, corrections: dict[str, Correction], pictures: dict[str, Path]
) -> None:
    for name, correction in corrections.items():
        if correction.focus or correction.boxes or correction.ignore:
            try:
                size = read_image(pictures[name]).size
            except ImageError:  # said when its turn comes
                continue
            require_inside(file, name, correction, size)


def stems(paths: Sequence[Path]) -> list[str]:
    """What the crops of each picture are called: its own name, made fit for any file system, and
    told apart from those before it by a number. ` tile 2` and the like stay free for its tiles."""
    found: list[str] = []
    taken: set[str] = set()
    for path in paths:
        safe = UNSAFE_IN_NAMES.sub(" ", unicodedata.normalize("NFC", path.stem))
        stem = " ".join(
            safe.encode(errors="replace")[:LONGEST_NAME].decode(errors="ignore").split()
        )
        stem = stem.strip(" .") or "picture"
        if TILE.search(stem) or is_mask(f"{stem}.png"):
            stem += "_"
        name, count = stem, 1
        while name.casefold() in taken:
            count += 1
            name = f"{stem} ({count})"
        taken.add(name.casefold())
        found.append(name)
    return found


def _hash(path: Path) -> str:
    try:
        return file_hash(path)
    except OSError:  # reading it as a picture says what is wrong with it
        return ""
