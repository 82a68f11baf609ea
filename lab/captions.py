"""What is in a picture, in words: from the .txt beside it, from its file name, or from both."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import field_validator

from lab.config import Section
from lab.errors import UserError

Sidecar = Literal["copy", "prepend", "append", "ignore"]

# "07 ", "012-", "3_", "4.": one number, or a date, with what separates it from the words. A second
# number is a count ("07 3 cats"), and "3d print" begins with a word.
LEADING_NUMBER = re.compile(r"^(?:\d{4}[-_.]\d\d[-_.]\d\d|\d+)(?:[\s._,)-]+|$)")


@dataclass(frozen=True)
class Caption:
    """A caption, and where it came from: "sidecar", "file name", "sidecar + file name" ..."""

    text: str
    origin: str


class CaptionRules(Section):
    """What captions are made of: the .txt of the same name beside a picture, and its file name."""

    sidecar: Sidecar = "copy"
    """What a text in the .txt of the same name beside a picture is to the caption from its file
    name (or to an automatic one): copy, it takes its place; prepend, it goes before; append, it
    goes after; ignore, it does not count."""
    strip_numbers: bool = True
    """Leave a leading number out of a caption taken from a file name: `07 a yellow cat.png`."""
    word_pattern: str = ""
    """A regular expression: of the file name only what it finds is taken, as AUTOMATIC1111 does for
    [filewords]. Empty: the whole name, with spaces for underscores."""
    joiner: str = " "
    """What joins the words that word_pattern finds."""
    prefix: str = ""
    """Words to put before every caption."""

    @field_validator("word_pattern")
    @classmethod
    def _is_a_pattern(cls, pattern: str) -> str:
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from None
        if groups > 1:
            raise ValueError("should have one group in parentheses at most; others are (?:...)")
        return pattern


def read_caption(
    picture: Path,
    *,
    sidecar: Sidecar = "copy",
    strip_numbers: bool = True,
    word_pattern: str = "",
    joiner: str = " ",
    prefix: str = "",
) -> Caption:
    """The caption of a picture file, on one line. It may be empty ("0001.png").

    Args:
        sidecar: what a text in `cat.txt` beside `cat.png` is to the file name: see `SIDECARS`.
        strip_numbers, word_pattern, joiner: see `from_file_name`.
        prefix: words before either.

    Raises:
        UserError: when the sidecar cannot be read as text.
    """
    name = Caption(from_file_name(picture.stem, strip_numbers, word_pattern, joiner), "file name")
    existing = "" if sidecar == "ignore" else read_sidecar(picture)
    return with_prefix(SIDECARS[sidecar](existing, name), prefix)


def from_file_name(
    stem: str, strip_numbers: bool = True, word_pattern: str = "", joiner: str = " "
) -> str:
    """`07 a yellow cat` -> `a yellow cat`; `012-a_cat_on_a_wall` -> `a cat on a wall`.

    With a `word_pattern`, the caption is what `re.findall` finds of it in the name, joined by
    `joiner`: AUTOMATIC1111's rule for [filewords] (modules/textual_inversion/dataset.py). There
    the name is taken as it is, so underscores are turned into spaces without a pattern only.
    """
    stem = unicodedata.normalize("NFC", stem).strip()  # macOS takes letters and accents apart
    if strip_numbers:
        stem = LEADING_NUMBER.sub("", stem)
    if word_pattern:
        return _one_line(joiner.join(re.findall(word_pattern, stem)))
    return _one_line(stem.replace("_", " "))


def read_sidecar(picture: Path) -> str:
    """The text beside a picture, on one line; empty where there is none.

    Raises:
        UserError: when it cannot be read as text.
    """
    path = picture.with_suffix(".txt")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        raise UserError(f"{path} is not text in UTF-8; save it as UTF-8 or remove it") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); remove it") from None
    return _one_line(unicodedata.normalize("NFC", text).replace("\0", ""))


def read_lines(path: Path) -> list[str]:
    """The lines of a list or of templates. Lines end where a line feed is, and at nothing else that
    a caption may contain.

    Raises:
        UserError: when it cannot be read as text.
    """
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise UserError(f"{path} is not text in UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from None


def copy(existing: str, own: Caption) -> Caption:
    """The existing text where there is one."""
    return Caption(existing, "sidecar") if existing else own


def prepend(existing: str, own: Caption) -> Caption:
    """The existing text, then the other."""
    if not (existing and own.text):
        return copy(existing, own)
    return Caption(f"{existing} {own.text}", f"sidecar + {own.origin}")


def append(existing: str, own: Caption) -> Caption:
    """The other text, then the existing one."""
    if not (existing and own.text):
        return copy(existing, own)
    return Caption(f"{own.text} {existing}", f"{own.origin} + sidecar")


def ignore(existing: str, own: Caption) -> Caption:
    """The other text, whatever exists."""
    return own


# What becomes of a text that exists, as AUTOMATIC1111's preprocessing names it. A further rule is a
# function here and its name in `Sidecar`.
SIDECARS: dict[str, Callable[[str, Caption], Caption]] = {
    "copy": copy,
    "prepend": prepend,
    "append": append,
    "ignore": ignore,
}


def with_prefix(caption: Caption, prefix: str) -> Caption:
    """The caption with words before it, on one line."""
    return Caption(_one_line(f"{prefix} {caption.text}"), caption.origin)


def _one_line(text: str) -> str:
    return " ".join(text.split())
