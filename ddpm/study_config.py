"""The settings of what is asked of a model: schedules drawn, studies, films."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from ddpm.guide_config import Lead
from lab.config import Section

ScheduleName = Literal["linear", "scaled_linear", "squaredcos_cap_v2"]
StudySampler = Literal["ddpm", "ddim", "ddim_eta1", "dpm++"]
Pictures = Annotated[int, Field(ge=1, le=64)]
Measured = Annotated[int, Field(ge=0, le=100_000)]


def _each_once(values: tuple) -> tuple:
    if twice := [value for i, value in enumerate(values) if value in values[:i]]:
        raise ValueError(f"should be named once each, but {twice[0]!r} is there again")
    return values


class Schedules(Section):
    """How pictures disappear in noise: the schedules side by side, and a strip of noised
    pictures."""

    names: Annotated[tuple[ScheduleName, ...], Field(min_length=1)] = (
        "linear",
        "scaled_linear",
        "squaredcos_cap_v2",
    )
    """Drawn beside each other with as many timesteps as `schedule` has, each as it is and with its
    betas times 1000 / timesteps; the figure says what is left of a picture at the last timestep."""
    strip: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Timesteps at which pictures of the data are shown with their noise (0 is the first, and has
    a little noise already). Empty: five, from the first to the last."""
    pictures: Pictures = 3
    """Rows of the strip."""

    _once = field_validator("names", "strip")(_each_once)


class Timesteps(Section):
    """What does the number of timesteps change? A model is trained for each, with equal steps of
    training, and draws from equal seeds. The betas as they are leave much of the picture in x_T
    when there are few timesteps, which confounds the question; times 1000 / timesteps they do not.
    So both are shown."""

    counts: Annotated[tuple[Annotated[int, Field(ge=2, le=10_000)], ...], Field(min_length=1)] = (
        100,
        200,
        300,
        500,
    )
    """Numbers of timesteps, a model each."""
    scaled: Annotated[tuple[bool, ...], Field(min_length=1)] = (False, True)
    """Betas as they are (false), times 1000 / timesteps (true), or both."""
    pictures: Pictures = 8
    """Columns of the grid; a column is a seed."""
    measured: Measured = 64
    """Pictures of each model that the table's figures are of; 0: none."""

    _once = field_validator("counts", "scaled")(_each_once)


class Randomness(Section):
    """What do the first noise x_T and the noise z of the steps each contribute? Pictures from equal
    seeds with x_T at 0, without z, without both; and with one x_T for all, one z for all. Always
    drawn with the sampler ddpm, at every timestep: the others have no z, or skip some of it."""

    scaled: tuple[bool, ...] = ()
    """Betas as they are (false) or times 1000 / timesteps (true), a model trained for each: what
    x_T contributes depends on the schedule. Empty: this experiment's own model."""
    pictures: Pictures = 8
    """Columns of the grid; a column is a seed."""
    measured: Measured = 64
    """Pictures of each way that the table's figures are of; at least 2."""

    _once = field_validator("scaled")(_each_once)


class Samplers(Section):
    """What do samplers and their numbers of steps change? Equal x_T, one grid, a table."""

    samplers: Annotated[tuple[StudySampler, ...], Field(min_length=1)] = (
        "ddpm",
        "ddim",
        "ddim_eta1",
        "dpm++",
    )
    """Rows of the grid. ddpm and ddim_eta1 draw noise at every step, ddim and dpm++ do not."""
    steps: Annotated[tuple[Annotated[int, Field(ge=1, le=10_000)], ...], Field(min_length=1)] = (
        10,
        25,
        50,
        100,
    )
    """Columns of the grid: network evaluations for a picture. More than there are timesteps count
    as all of them."""
    pictures: Pictures = 4
    """In each cell of the grid."""
    measured: Measured = 64
    """Pictures of each sampler and number that the table's figures are of; 0: none."""

    _once = field_validator("samplers", "steps")(_each_once)


class Study(Section):
    """Questions to a model, each answered by a labelled grid and a table."""

    timesteps: Timesteps | None = None
    """Train with several numbers of timesteps."""
    randomness: Randomness | None = None
    """Leave out x_T, the step noise, or both."""
    samplers: Samplers | None = None
    """Draw with several samplers and numbers of steps."""
    extractor: str = ""
    """The network by whose features the tables say how far drawn pictures are from test pictures:
    drawn (knows drawn pictures), inception, clip:FOLDER or clip:HUB-ID, as in `measure`. Empty: the
    tables have no such distance."""


class Film(Section):
    """A grid of pictures coming out of the noise. The first frame is x_T, the last one the sample;
    drawn as `sample` says."""

    pictures: Pictures = 16
    """How many, in a grid that is nearly square."""
    formats: Annotated[tuple[Literal["gif", "mp4", "webm"], ...], Field(min_length=1)] = (
        "gif",
        "mp4",
    )
    """Files to write; a GIF shows 256 colours a frame."""
    fps: float = Field(default=20.0, gt=0, le=50)
    """Frames a second."""
    most: int = Field(default=120, ge=2, le=10_000)
    """Frames at most: of more steps, evenly chosen ones are shown, x_T and the sample always."""
    hold: float = Field(default=1.5, ge=0, le=60)
    """Seconds for which the sample stands at the end."""
    of: Literal["x_t", "x_0", "both"] = "x_t"
    """What is filmed: the noisy pictures x_t, the pictures x_0 that the model sees in them, or both
    side by side."""
    size: int = Field(default=512, ge=32, le=4096)
    """Longest side of the film in px; small pictures are enlarged by a whole number."""
    guide: Lead | None = None
    """Lead the filmed pictures by losses, all of them together. They are filmed without, too, from
    equal noise and step by step beside it, into film/unguided/."""

    _once = field_validator("formats")(_each_once)
