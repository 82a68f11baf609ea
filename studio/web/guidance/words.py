"""The learned words that a prompt may use: which files hold one, and what it is called.

The page needs their names only, so nothing of torch is imported and nothing in a file is executed:
a safetensors header is JSON, and of a pickle the texts are read without building anything.
"""

import io
import json
import os
import pickletools
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, pairwise
from pathlib import Path

from studio.web.places import Places

SUFFIXES = (".safetensors", ".pt", ".bin")
LARGEST = 4_000_000
"""Bytes; 77 vectors of 1,024 numbers are a twelfth of it, and a model is a thousand times more."""
MOST, MOST_FOLDERS = 400, 4000
_NAMELESS = {"emb_params", "emp_params", "*"}
_LEFT_OUT = {".studio", ".latents", "checkpoints", "frames", "previews"}


@dataclass(frozen=True)
class Word:
    """A learned word and the file that holds it."""

    token: str
    path: Path
    owner: str
    """The run that learned it, or the folder that it lies in."""


def find_words(places: Places) -> list[Word]:
    """The words in the folders that the studio may read, the newest file first."""
    files = sorted(
        {path for root in places.roots for path in islice(_embeddings(root), MOST)},
        key=lambda path: (-path.stat().st_mtime, str(path)),
    )
    found = ((word_in(path, path.stat().st_mtime_ns), path) for path in files)
    return [Word(token, path, _owner(path)) for token, path in found if token]


def newest(words: list[Word]) -> dict[str, Word]:
    """Token -> its newest file."""
    return {word.token: word for word in reversed(words)}


def _embeddings(root: Path) -> Iterator[Path]:
    """Files that may hold a word: a link is followed to a file inside of the root only."""
    for folder, folders, names in islice(os.walk(root), MOST_FOLDERS):
        folders[:] = sorted(f for f in folders if f not in _LEFT_OUT and not f.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            if path.suffix.lower() not in SUFFIXES or not path.resolve().is_relative_to(root):
                continue
            if path.is_file() and path.stat().st_size <= LARGEST:
                yield path


def _owner(path: Path) -> str:
    folder = path.parent
    return folder.parent.name if folder.name == "inversion" else folder.name


@lru_cache(1024)
def word_in(path: Path, changed: int = 0) -> str | None:
    """What the word in an embedding file is called; None where the file holds none.

    The same as `diffusion.formats.load_embedding(path).token`, which opens the vectors as well.
    `changed` is the file's time, so that a new file of the same name is read again.
    """
    try:
        if path.suffix.lower() == ".safetensors":
            return _of_header(path)
        return _of_pickle(path)
    except (OSError, ValueError, KeyError, TypeError, IndexError, zipfile.BadZipFile):
        return None


def _of_header(path: Path) -> str | None:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > LARGEST:
            return None
        header = json.loads(file.read(length))
    metadata = header.pop("__metadata__", {})
    own = json.loads(metadata.get("pseudoword", "{}"))
    nameless = str(own.get("token") or metadata.get("token") or f"<{path.stem}>")
    if "emp_params" in header:
        return nameless
    if len(header) != 1:
        return None
    (key,) = header
    return nameless if key in _NAMELESS else key


def _of_pickle(path: Path) -> str | None:
    texts = list(_texts(path.read_bytes()))
    if "string_to_param" in texts:
        named = [b for a, b in pairwise(texts) if a == "name"]
        return named[0] if named else path.stem
    if not texts or texts[0] == "storage" or texts[0] in _NAMELESS:
        return f"<{path.stem}>"
    return texts[0]


def _texts(data: bytes) -> Iterator[str]:
    """The texts in the pickle of a file that torch.save wrote, in their order."""
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            name = next(n for n in archive.namelist() if n.endswith("/data.pkl"))
            pickles = [archive.read(name)]
    else:  # a magic number, the protocol, the system, and then what was saved
        stream, pickles = io.BytesIO(data), []
        for _ in range(4):
            begin = stream.tell()
            for _ in pickletools.genops(stream):
                pass
            pickles.append(data[begin : stream.tell()])
    for operation, argument, _ in pickletools.genops(pickles[-1]):
        if "UNICODE" in operation.name and isinstance(argument, str):
            yield argument
