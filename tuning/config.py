"""The section `tune:` of an experiment."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from lab.config import Section

SECTION = "tune"
Choice = bool | int | float | str | None | list[float] | list[str]


class Range(Section):
    """The numbers from one to another."""

    from_: float = Field(alias="from")
    """The lowest value."""
    to: float
    """The highest value."""
    log: bool = False
    """Try every order of magnitude equally often: for rates, weights and sizes."""
    step: float | None = Field(default=None, gt=0)
    """Only `from`, `from` + step, and so on; absent: any number, or any whole one where the setting
    takes only whole numbers."""

    @model_validator(mode="after")
    def _is_a_range(self) -> "Range":
        if not self.from_ < self.to:
            raise ValueError(f"from should be below to, not {self.from_} to {self.to}")
        if self.log and self.from_ <= 0:
            raise ValueError(f"log needs a range above 0, not one from {self.from_}")
        if self.log and self.step is not None:
            raise ValueError("log and step do not go together: take one of them")
        return self


class Config(Section):
    """Search for the settings that do best: run the jobs of this file again and again, each time
    with other values, and keep the file of the best trial.

    Where a file has this section, `pseudoword run FILE` is the search (as is `pseudoword tune
    FILE`), and `pseudoword run outputs/NAME/tune/best.yaml` does afterwards what the best trial
    did.
    """

    objective: str
    """The figure that says how good a trial is, as JOB.NAME: a name in that job's metrics.jsonl,
    such as ddpm.validation, or in its manifest.json, such as ddpm.measure.frechet. A trial
    runs the sections of the file up to this job."""
    goal: Literal["minimize", "maximize"] = "minimize"
    """Whether small or large figures are good."""
    take: Literal["best", "last"] = "best"
    """Which figure of a curve counts: the best one on the way, or the last."""
    ranges: Annotated[dict[str, Range | tuple[Choice, ...]], Field(min_length=1)]
    """What to try for which setting. Numbers: `ddpm.train.learning_rate: {from: 1e-4, to: 1e-2,
    log: true}`; a choice: `ddpm.train.loss: [mse, l1]`. Any setting of any job of this file can be
    here, as it would be written in an override."""
    trials: Annotated[int, Field(ge=1)] = 20
    """How many combinations are tried, those that fail or are stopped early included. A finished
    search goes on when this is raised."""
    random_trials: Annotated[int, Field(ge=1)] = 8
    """So many trials are drawn at random; the others lie where the finished ones were good (a
    tree-structured Parzen estimator, Bergstra et al. 2011)."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Decides what is tried. The same seed, on one machine, makes the same search."""
    prune: Literal["none", "median"] = "median"
    """median: a trial is stopped early when the best point of its curve so far is worse than the
    median of the finished trials at the same step. none: every trial runs to its end."""
    prune_after_trials: Annotated[int, Field(ge=1)] = 5
    """So many trials are finished before any is stopped early."""
    prune_after_step: Annotated[int, Field(ge=0)] = 0
    """No trial is stopped before this step of its curve."""
    storage: str = ""
    """Where the trials are kept. Empty: study.db in the run folder (SQLite). A database URL, such
    as postgresql://user@host/name, lets many machines search together: start the same command on
    each of them. This setting is kept in manifests: leave a password to the driver (PGPASSWORD)."""
    keep: Literal["best", "all"] = "best"
    """Whose results are kept: the best trial's, or all. Curves and manifests are kept of all."""

    @field_validator("objective")
    @classmethod
    def _objective_is_of_a_job(cls, objective: str) -> str:
        job, _, name = objective.partition(".")
        if not job or not name:
            raise ValueError(f"should be JOB.NAME, such as ddpm.validation, not {objective!r}")
        return objective

    @field_validator("ranges")
    @classmethod
    def _something_can_be_chosen(
        cls, ranges: dict[str, Range | tuple[Choice, ...]]
    ) -> dict[str, Range | tuple[Choice, ...]]:
        for setting, values in ranges.items():
            if setting.partition(".")[0] == SECTION:
                raise ValueError(f"{setting} is a setting of the search itself")
            if isinstance(values, Range):
                continue
            if len(values) < 2:
                raise ValueError(f"{setting} should have two values or more to choose from")
            written = [repr(value) for value in values]  # 1 is not True, nor 1.0
            if twice := [v for i, v in enumerate(written) if v in written[:i]]:
                raise ValueError(f"{setting} has {twice[0]} twice")
        return ranges

    @property
    def job(self) -> str:
        """The job that writes the figure."""
        return self.objective.partition(".")[0]

    @property
    def figure(self) -> str:
        """Its name there."""
        return self.objective.partition(".")[2]
