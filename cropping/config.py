"""The settings of cropping."""

from typing import Literal

from pydantic import Field

from lab.config import Section

Strategy = Literal["focal", "centre"]


class Captions(Section):
    """Where the captions of the crops come from."""

    sidecar: bool = True
    """Take the caption from the .txt of the same name beside a picture, where there is one."""
    strip_numbers: bool = True
    """Leave a leading number out of a caption taken from a file name: `07 a yellow cat.png`."""
    prefix: str = ""
    """Words to put before every caption."""


class Config(Section):
    """Cut a square with a caption out of every picture of a folder."""

    source: str = Field(min_length=1)
    """Folder of pictures, those in the folders below it included; relative to where you are."""
    size: int = Field(512, ge=16, le=4096, multiple_of=8)
    """Side of the crops in pixels. Pictures that are smaller are enlarged, and it is said so."""
    strategy: Strategy = "focal"
    """Where the square goes: focal, around what matters; centre, in the middle."""
    captions: Captions = Captions()
    """Where the captions come from."""
    strict: bool = True
    """Refuse a folder with a picture that cannot be read; if false, leave such pictures out."""
