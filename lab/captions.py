"""What is in a picture, in words: from the .txt beside it, else from its file name."""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from lab.errors import UserError

# "07 ", "012-", "3_", "4.": one number, or a date, with what separates it from the words. A second
# number is a count ("07 3 cats"), and "3d print" begins with a word.
LEADING_NUMBER = re.compile(r"^(?:\d{4}[-_.]\d\d[-_.]\d\d|\d+)(?:[\s._,)-]+|$)")
UNSAFE_IN_NAMES = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]+')
LONGEST_NAME = 100  # bytes of UTF-8; file systems end at 255, archives and some tools earlier


@dataclass(frozen=True)
class Caption:
    """A caption, and which kind of file it came from: "sidecar" or "file name"."""

    text: str
    origin: str


def read_caption(
    picture: Path, *, sidecar: bool = True, strip_numbers: bool = True, prefix: str = ""
) -> Caption:
    """The caption of a picture file, on one line: `cat.txt` beside `cat.png` if it says anything,
    else the file name. `prefix` goes before either. It may be empty ("0001.png").

    Raises:
        UserError: when the sidecar cannot be read as text.
    """
    text, origin = "", "sidecar"
    if sidecar:
        text = _one_line(_sidecar_text(picture.with_suffix(".txt")))
    if not text:
        text, origin = from_file_name(picture.stem, strip_numbers), "file name"
    return Caption(_one_line(f"{prefix} {text}"), origin)


def from_file_name(stem: str, strip_numbers: bool = True) -> str:
    """`07 a yellow cat` -> `a yellow cat`; `012-a_cat_on_a_wall` -> `a cat on a wall`."""
    stem = unicodedata.normalize("NFC", stem).strip()  # macOS takes letters and accents apart
    if strip_numbers:
        stem = LEADING_NUMBER.sub("", stem)
    return _one_line(stem.replace("_", " "))


def crop_name(index: int, caption: str) -> str:
    """A file name without suffix for crop number `index`: `0001-a yellow cat`. The number makes it
    unique, and stripped as a leading number it leaves the caption."""
    words = UNSAFE_IN_NAMES.sub(" ", caption)
    short = words.encode()[:LONGEST_NAME].decode(errors="ignore")
    return f"{index:04d}-{_one_line(short).strip(' .')}".rstrip("-")


def _sidecar_text(path: Path) -> str:
    try:
        return unicodedata.normalize("NFC", path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        raise UserError(f"{path} is not text in UTF-8; save it as UTF-8 or remove it") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); remove it") from None


def _one_line(text: str) -> str:
    return " ".join(text.split())
