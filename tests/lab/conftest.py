"""Two small sections, and a way to load an experiment file made of them."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, model_validator

from lab.config import Section, load_experiment
from lab.errors import UserError


class Range(Section):
    """An even range of scales."""

    start: float = Field(alias="from")
    """The first scale."""
    to: float
    """The last scale."""
    step: Annotated[float, Field(gt=0)] = 1.0
    """The distance between two scales."""


class Video(Section):
    """The film."""

    fps: int = Field(default=14, gt=0)
    """Frames per second."""


class Word(Section):
    """A word to draw."""

    text: str
    """The word itself."""
    weight: float = 1.0
    """How strongly."""


class Sweep(Section):
    """One prompt at many scales. And more."""

    guidance_scales: list[Annotated[float, Field(ge=0)]] | Range = [1.0]
    """The scales, in order."""
    prompt: str = "a cat"
    """What to draw."""
    source: str | None = None
    """A folder of pictures."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Decides the noise."""
    size: tuple[int, int] = (512, 512)
    """Width and height in pixels."""
    scheduler: Literal["ddim", "euler", "pndm"] = "ddim"
    """How the steps are taken."""
    previews: bool = True
    """Whether to draw on the way."""
    limit: Literal["auto"] | float = "auto"
    """A bound, or `auto`."""
    video: Video = Video()
    """How it is filmed."""
    words: list[Word] = []
    """The words."""
    marks: Annotated[tuple[Word, ...], Field(min_length=1)] = (Word(text="here"),)
    """At least one."""

    @model_validator(mode="after")
    def _not_thirteen(self):
        if self.seed == 13:
            raise ValueError("cfg.seed 13 is unlucky; use another one")
        return self


class Crop(Section):
    """Square pictures."""

    source: str
    """Folder of pictures, with those below it. Any format."""
    rate: float = 1e-3
    """A rate."""
    share: float = Field(default=0.5, ge=0, le=1)
    """A part of the whole."""


@pytest.fixture
def models() -> dict[str, type[Section]]:
    """The sections there are, in running order."""
    return {"cropping": Crop, "cfg": Sweep}


@pytest.fixture
def load(tmp_path, monkeypatch, models):
    """Writes `x.yaml` in an empty folder and loads it."""
    monkeypatch.chdir(tmp_path)

    def write_and_load(text: str, *overrides: str):
        Path("x.yaml").write_text(text, encoding="utf-8")
        return load_experiment("x.yaml", overrides, models)

    return write_and_load


@pytest.fixture
def complaints(load):
    """The lines said about a file."""

    def of(text: str, *overrides: str) -> list[str]:
        with pytest.raises(UserError) as caught:
            load(text, *overrides)
        return str(caught.value).splitlines()

    return of
