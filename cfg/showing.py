"""The settings of what is shown of a sweep: the film, the contact sheet, the analysis, the page."""

from typing import Any, Literal

from pydantic import Field, field_validator

from lab.config import Section

Format = Literal["mp4", "webm", "gif"]


class Video(Section):
    """How the sweep is shown as a film. Several lines (seeds, rules, words ...) stand side by side,
    above the curve of how fast they change."""

    fps: float = Field(default=14.0, gt=0, le=120)
    """Frames per second."""
    retime: Literal["none", "perceptual"] = "none"
    """none: each scale of the range is shown for exactly one frame, and where an adaptive sweep
    drew none, the picture below it stays. perceptual: as long a film, but scales pass slowly where
    pictures change fast. Either way the label says the scale of the picture that is seen."""
    size: int = Field(default=512, ge=64, le=4096)
    """Side of the picture in the film, in pixels; smaller pictures are enlarged, none is
    reduced. Side by side, the pictures share twice this width."""
    label: bool = True
    """Write the scale on a strip below the picture (the stored frames stay clean)."""
    each: bool = False
    """Of several lines, also a film for each, in films/."""
    most: int = Field(default=64, ge=1, le=400)
    """Lines that are shown side by side; of more, evenly chosen ones."""
    format: Format | tuple[Format, ...] = "mp4"
    """Kind of file; a list: a film of each kind."""

    @property
    def formats(self) -> tuple[Format, ...]:
        return (self.format,) if isinstance(self.format, str) else self.format

    @field_validator("format")
    @classmethod
    def _formats_are_named_once(cls, format: Any) -> Any:
        if isinstance(format, tuple) and (not format or len(set(format)) < len(format)):
            raise ValueError("should name at least one kind of file, and each once")
        return format


class Sheet(Section):
    """A selection of the sweep as one picture."""

    columns: int = Field(default=6, ge=1, le=100)
    """Pictures in a row."""
    pictures: int = Field(default=24, ge=2, le=1000)
    """Number of scales shown: evenly spaced, and always the two ends, 0 and 1 if they are
    rendered. Of several lines each has a row."""


class Analysis(Section):
    """What is measured on the pictures."""

    match: str = "auto"
    """The CLIP that measures how well a picture fits its prompt: a folder or a hub id such as
    openai/clip-vit-large-patch14; auto: storybook's own for the model storybook, else none; none:
    leave it out."""
    features: str = "auto"
    """The network whose features say how much the seeds vary: a folder or a hub id such as
    facebook/dinov2-small; auto: storybook's classifier for the model storybook, else that CLIP;
    none: leave it out."""
    latents: bool = False
    """Measure the distance of neighbours in the model's latents, too: encodes every picture, which
    takes a while at 512 px."""
    widest: float = Field(default=1.0, gt=0)
    """Width in scales of the widest change that still counts as a sudden transition."""
    settled: float = Field(default=3.0, gt=0)
    """Pictures that differ from the last one by less than this many just noticeable differences
    have settled."""


class Page(Section):
    """The report, a page that is one file."""

    pictures: int = Field(default=240, ge=2, le=2000)
    """Pictures in the page, shared out among the lines; the film has all of them."""
    side: int = Field(default=256, ge=32, le=1024)
    """Longest side of a picture in the page, in pixels."""
