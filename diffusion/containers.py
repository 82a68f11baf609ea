"""What lies in a file that may be an embedding, read without ever executing anything from it.

A file is known by its first bytes and not by its name. Out come plain containers and tensors;
what they mean is the matter of `diffusion.formats`. Whatever cannot be read so is refused with one
sentence.
"""

import json
import pickle
import re
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open

from diffusion import embedding_picture
from lab.errors import UserError

Kind = Literal["safetensors", "pickle", "picture"]

GIT_LFS = b"version https://git-lfs"
ZIP, PNG = b"PK\x03\x04", b"\x89PNG\r\n\x1a\n"
LONGEST_HEADER = 100_000_000  # bytes; safetensors' own limit
LARGEST_PICKLE = 2**30
"""Bytes. A pickle has to be read whole to see what it is; a word has some KB."""


@dataclass(frozen=True)
class Contents:
    """A file's plain containers, tensors, numbers and texts; `metadata` is a safetensors header's
    own."""

    path: Path
    kind: Kind
    values: Any
    metadata: dict[str, Any]
    entries: tuple[str, ...] = ()
    """The names inside of a zip file, which is what torch.save writes since 1.6."""


class Parameters:
    """Stands in for torch.nn.ParameterDict, which the first programs pickled: a dict of tensors."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # up to torch 1.11 in _parameters; later each as an attribute, named in _keys
        self.values = dict(state.get("_parameters") or {})
        self.values |= {k: state[k] for k in state.get("_keys") or () if k in state}


def read(path: str | Path) -> Contents:
    """Read a file's contents.

    Raises:
        UserError: it is missing, empty, cut off, damaged, no such file at all, or a pickle with
            anything but tensors and plain containers in it.
    """
    path = Path(path)
    if path.is_dir():
        inside = sorted(path.glob("*.safetensors")) + sorted(path.glob("*.bin"))
        hint = f", such as {inside[0]}" if inside else ""
        raise UserError(f"{path}: this is a folder; name the embedding file in it{hint}")
    if not path.is_file():
        raise UserError(f"{path}: there is no such embedding file; check the path")
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        raise UserError(f"{path}: this file is empty; download or save it again")
    if head.startswith(GIT_LFS):
        raise UserError(f"{path}: this is a Git LFS pointer; fetch the file with `git lfs pull`")
    if head.startswith(PNG) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return Contents(path, "picture", *embedding_picture.read(path))
    # The length of its header comes first, and may begin like a pickle does.
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= LONGEST_HEADER:
        return _read_safetensors(path)
    if head.startswith(ZIP) or head[:1] == b"\x80":
        return _read_pickle(path)
    raise UserError(f"{path}: {_what_else(path, head)}")


def _what_else(path: Path, head: bytes) -> str:
    text = head.decode("utf-8", errors="ignore").strip()
    if text.lower().startswith(("<!doctype", "<html")):
        return "this is a web page that was saved instead of the file; download the file itself"
    if all(letter.isprintable() or letter.isspace() for letter in text) and len(text) > 1:
        start = " ".join(text.split())[:24]
        return f"this is a text file ({start!r}...) and no embedding; name the embedding itself"
    return "this is not a readable embedding file; download or save it again"


def _read_safetensors(path: Path) -> Contents:
    if cut := _missing_bytes(path):
        raise UserError(f"{path}: this file is cut off, {cut}; download or save it again")
    try:
        with safe_open(path, "pt") as file:
            names = file.keys()  # a safe_open is no dictionary: it cannot be iterated itself
            metadata = file.metadata() or {}
            if len(names) > 64:  # a checkpoint: its names are enough to say what it is
                return Contents(path, "safetensors", dict.fromkeys(names), metadata)
            tensors = {name: file.get_tensor(name) for name in names}
    except Exception as error:  # safetensors' own exceptions, and whatever a damaged header causes
        raise _damaged(path) from error
    return Contents(path, "safetensors", tensors, metadata)


def _missing_bytes(path: Path) -> str:
    """How much of a safetensors file is there, where its end is not: "500 of 12,400 bytes"."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(length)
    whole = 8 + length
    if size >= whole:
        try:
            tensors = [v for k, v in json.loads(header).items() if k != "__metadata__"]
            whole += max((int(tensor["data_offsets"][1]) for tensor in tensors), default=0)
        except (ValueError, TypeError, KeyError, AttributeError):
            return ""
    return f"{size:,} of {whole:,} bytes are there" if size < whole else ""


def _read_pickle(path: Path) -> Contents:
    size = path.stat().st_size
    if size > LARGEST_PICKLE:
        raise UserError(
            f"{path}: this has {size / 2**30:.1f} GB, but a word has some KB; it may be a "
            "checkpoint: name it as the model"
        )
    entries: tuple[str, ...] = ()
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                entries = tuple(archive.namelist())
                if sum(entry.file_size for entry in archive.infolist()) > LARGEST_PICKLE:
                    raise MemoryError("unpacks to more than any word has")
        # weights_only: torch's restricted unpickler, which runs no code from the file. A
        # ParameterDict becomes our own class, whose only deed is to keep what it is given.
        stand_in = (Parameters, "torch.nn.modules.container.ParameterDict")
        allowed, quietly = torch.serialization.safe_globals([stand_in]), warnings.catch_warnings()
        with allowed, quietly, path.open("rb") as file:
            warnings.simplefilter("ignore")  # of old protocols, to torch's developers
            # an open file, because of a path torch would believe the suffix
            values = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refused(path, str(error)) from error
    except Exception as error:  # a damaged zip or pickle may provoke any exception at all
        raise _damaged(path) from error
    return Contents(path, "pickle", values, {}, entries)


def _refused(path: Path, reason: str) -> UserError:
    found = re.search(r"(?:GLOBAL|global) `?([\w.]+)`?", reason)
    if "Unsupported" not in reason or found is None:
        return _damaged(path)
    return UserError(
        f"{path}: this holds {found[1]}, which is code and no vector, so it was not opened; "
        "get the word as .safetensors"
    )


def _damaged(path: Path) -> UserError:
    return UserError(
        f"{path}: this is not a readable embedding file, it may be cut off or damaged; "
        "download or save it again"
    )
