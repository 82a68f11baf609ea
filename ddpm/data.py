"""Pictures of any kind -> squares of one size, in three parts that share none."""

import hashlib
import json
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from ddpm.config import Data
from ddpm.sources import Prepared, Source
from lab.errors import UserError
from lab.run import Progress, Run, process_count, write_atomically, write_json
from lab.workers import spread, worker_count

FOLDER = ".pictures"
"""Of the outputs: prepared pictures, which all runs share. It may be removed at any time."""
VERSION = 1  # raised when the same pictures would be prepared otherwise
PIXELS, LISTING = "pixels.npy", "listing.json"
PARTS = ("train", "validation", "test")
FEWEST = 4


@dataclass(frozen=True)
class Scan:
    """What sizes the pictures had before they were made equal."""

    count: int
    smallest: Sequence[int]
    """Width and height of the picture with the shortest side."""
    largest: Sequence[int]
    """Of the one with the longest side."""
    median: float
    """Of the shorter sides."""
    small: int
    """How many have a side below `data.size`, so that they were enlarged."""
    oblong: int
    """How many are no squares, so that they were cropped (or as `data.crop` says)."""

    def sentence(self, size: int) -> str:
        (a, b), (c, d) = self.smallest, self.largest
        range_of = f"{a} x {b}" if (a, b) == (c, d) else f"{a} x {b} to {c} x {d}"
        small = f", {self.small} of them smaller than {size} px and enlarged" if self.small else ""
        return f"{self.count} pictures of {range_of} px{small}; {self.oblong} are no squares"


@dataclass(frozen=True)
class Pictures:
    """All pictures, and which of them is for what."""

    pixels: np.ndarray
    """uint8 [N, size, size, 3]; large sets stay on the disk and are read as they are used."""
    names: tuple[str, ...]
    """Caption (drawn pictures) or file name of each."""
    train: tuple[int, ...]
    """Indices into `pixels`, as those of the other two parts."""
    validation: tuple[int, ...]
    test: tuple[int, ...]
    scan: Scan
    left_out: tuple[str, ...] = ()
    """A sentence for each file that could not be read."""
    fingerprint: str = ""

    def part(self, name: str) -> np.ndarray:
        """The pictures of `train`, `validation` or `test`: uint8 [n, size, size, 3]."""
        return self.pixels[list(getattr(self, name))]


def key_of(source: Source, data: Data) -> str:
    """Names the prepared pictures of a source: equal for equal pixels."""
    kept = data.model_dump(mode="json", include={"size", "crop", "count"})
    decisive = {"version": VERSION, "source": source.identity, "count": source.count, **kept}
    return Run.fingerprint(decisive)[:16]


def read_pictures(
    source: Source, data: Data, seed: int, cache: Path
) -> Generator[Progress, None, Pictures]:
    """Every picture of the source, prepared and divided. What is prepared stays in `cache`, so that
    the next run has it at once.

    Raises:
        UserError: fewer pictures than the parts need.
    """
    key = key_of(source, data)
    folder = cache / key
    if not (folder / LISTING).exists():
        yield from _prepare(source, data, folder)
    listing = json.loads((folder / LISTING).read_text(encoding="utf-8"))
    pixels = np.load(folder / PIXELS, mmap_mode="r")
    if pixels.nbytes < 2**28:  # what fits into memory comfortably is faster there
        pixels = np.asarray(pixels).copy()
    parts = divide(listing["hashes"], data, seed)
    return Pictures(
        pixels,
        tuple(listing["names"]),
        *parts,
        scan=Scan(**listing["scan"]),
        left_out=tuple(listing["left_out"]),
        fingerprint=Run.fingerprint(listing["hashes"])[:16],
    )


def _prepare(source: Source, data: Data, folder: Path) -> Iterator[Progress]:
    """Write the pixels, then the listing, which says that they are whole."""
    prepared: list[Prepared | None] = [None] * source.count
    workers = worker_count("auto", source.count, process_count())
    done = 0
    for index, one in spread(source.prepare, range(source.count), workers):
        prepared[index], done = one, done + 1
        yield Progress("preparing pictures", done, source.count)
    good = [one for one in prepared if one is not None and one.pixels is not None]
    if len(good) < FEWEST:
        wrong = [one.name for one in prepared if one is not None and one.pixels is None]
        because = f": {wrong[0]}" if wrong else ""
        raise UserError(f"{data.source} has {len(good)} pictures, and {FEWEST} are needed{because}")
    pixels = np.stack([one.pixels for one in good if one.pixels is not None])
    write_atomically(folder / PIXELS, lambda path: np.save(path, pixels))
    listing = {
        "names": [one.name for one in good],
        "hashes": [hashlib.sha256(picture.tobytes()).hexdigest()[:24] for picture in pixels],
        "scan": asdict(scan_of([one.size for one in good], data.size)),
        "left_out": [one.name for one in prepared if one is not None and one.pixels is None],
    }
    write_json(folder / LISTING, listing)


def scan_of(sizes: Sequence[tuple[int, int]], size: int) -> Scan:
    """What there is to say of pictures of these widths and heights."""
    return Scan(
        count=len(sizes),
        smallest=min(sizes, key=lambda s: (min(s), max(s))),
        largest=max(sizes, key=lambda s: (max(s), min(s))),
        median=float(np.median([min(s) for s in sizes])),
        small=sum(min(s) < size for s in sizes),
        oblong=sum(s[0] != s[1] for s in sizes),
    )


def divide(hashes: Sequence[str], data: Data, seed: int) -> tuple[tuple[int, ...], ...]:
    """Indices of the training, validation and test pictures.

    Which part a picture falls into is drawn by its content and the seed: equal pictures fall into
    the same part, and neither the order nor the names of the files matter.
    """

    def rank(content: str) -> str:
        return hashlib.sha256(f"{seed}:{content}".encode()).hexdigest()

    order = sorted(set(hashes), key=rank)
    test = round(len(order) * data.test)
    validation = round(len(order) * data.validation)
    # a share that is wanted is not rounded to nothing
    test = max(test, 1) if data.test else 0
    validation = max(validation, 1) if data.validation else 0
    ends = (0, test, test + validation, len(order))
    if ends[3] - ends[2] < 1:
        raise UserError(
            f"ddpm.data: of {len(order)} different pictures none is left to train on: lower "
            "validation and test, or give more pictures"
        )
    sets = [set(order[start:end]) for start, end in pairwise(ends)]
    test_, validation_, train = (
        tuple(k for k, content in enumerate(hashes) if content in part) for part in sets
    )
    return train, validation_, test_
