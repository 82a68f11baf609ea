"""Pictures that are kept, each in a file that says what it is: which of them are there, and which
of the others are drawn together."""

from collections.abc import Callable, Hashable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Protocol, TypeVar

from lab.images import key_of


class Kept(Protocol):
    """A picture, wanted or there."""

    @property
    def path(self) -> Path: ...

    @property
    def key(self) -> str:
        """A hash of everything that decides the pixels; the file has it, too."""
        ...

    @property
    def place(self) -> int:
        """Its place in every batch that it is drawn in: a CPU may round the last bit differently
        at another one."""
        ...


Picture = TypeVar("Picture", bound=Kept)


def is_there(picture: Kept) -> bool:
    """Whether the picture's file is whole, and its own."""
    return key_of(picture.path) == picture.key


def placed_chunks(
    pictures: Sequence[Picture], batch_size: int, together: Callable[[Picture], Hashable]
) -> list[list[Picture | None]]:
    """Batches of exactly `batch_size`, each picture once and at its place; None is padding. In a
    batch `together` is the same of all: what they have to share in order to be drawn at once."""
    groups: dict[Hashable, list[list[Picture]]] = {}
    for picture in pictures:
        places = groups.setdefault(together(picture), [[] for _ in range(batch_size)])
        places[picture.place].append(picture)
    return [list(chunk) for places in groups.values() for chunk in zip_longest(*places)]
