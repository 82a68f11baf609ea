"""The section `ddpm.guide:`."""

from typing import Annotated, Literal

from PIL import ImageColor
from pydantic import Field, model_validator

from lab.config import Section


class Loss(Section):
    """Something that the pictures should become, and how strongly."""

    loss: Literal["colour", "text"] = "colour"
    """colour: the mean difference of all pixels from a colour; text: the angle between picture and
    text in the space of a CLIP."""
    target: str = Field(min_length=1)
    """The colour, as #c03020 or by its name in CSS; or the text, such as: a sakura tree."""
    scale: float = Field(default=0.3, ge=0, le=1000)
    """How strongly: the root mean square by which this loss moves the pixels of x_0 (-1..1) at a
    step, where form and weight are 1. The losses' pulls are added; they may conflict."""
    clip: str = "drawn"
    """The CLIP that judges a text: drawn, the small one that comes with this program and knows the
    words of the drawn pictures; a folder; or a hub id such as openai/clip-vit-base-patch32."""
    views: Annotated[int, Field(ge=1, le=8)] = 4
    """How often the CLIP looks at each picture, each time a little shifted. One look costs least,
    and is easily pleased by a pattern in the pixels."""
    family: str = ""
    """The drawn family that the text asks for, such as trees. The table then has the share of
    pictures that DrawnNet, which takes no part in the guidance, takes for it."""

    @model_validator(mode="after")
    def _colours_are_colours(self) -> "Loss":
        if self.loss == "colour":
            try:
                ImageColor.getrgb(self.target)
            except ValueError:
                raise ValueError(
                    f"{self.target!r} is no colour: write it as #c03020, quoted, or by its name"
                ) from None
        return self


class Lead(Section):
    """Losses that lead the sampling, and how."""

    losses: Annotated[tuple[Loss, ...], Field(min_length=1)]
    """What the pictures should become: any number of colours and texts."""
    form: Literal["x0", "eps"] = "x0"
    """x0: the picture that the model sees is moved down the gradient, equally far at every step;
    eps: the noise that it sees is (Dhariwal & Nichol 2021), which moves the picture far while there
    is much noise and not at all in the end."""
    weight: Literal["constant", "noise", "picture"] = "noise"
    """What the scale is multiplied by at a step: constant, nothing; noise, the share of noise in
    x_t, so that the beginning is led; picture, the share of the picture, so that the end is."""


class Guide(Lead):
    """Lead the sampling by losses: each alone and all together, at several strengths, from equal
    seeds, as a labelled grid and a table. How it is drawn, `sample` says."""

    strengths: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1)] = (
        0.0,
        0.25,
        0.5,
        1.0,
    )
    """What all scales are multiplied by, a row each; 0 is bitwise the picture without guidance."""
    pictures: Annotated[int, Field(ge=1, le=64)] = 8
    """Columns of the grid; a column is a seed."""
    measured: Annotated[int, Field(ge=0, le=100_000)] = 64
    """Pictures of each row that the table's figures are of, or `pictures` where that is more."""
