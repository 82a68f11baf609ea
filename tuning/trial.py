"""One trial: the experiment's jobs with one choice of settings, watched while they run."""

import errno
import importlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lab.config import Experiment
from lab.errors import UserError
from lab.run import Progress, Run
from tuning.config import SECTION, Config
from tuning.curve import Curve, WrongObjective, final_figure

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@dataclass(frozen=True)
class Outcome:
    """How a trial ended."""

    state: Literal["complete", "pruned", "failed"]
    value: float | None = None
    """The figure of a complete trial."""
    reason: str = ""


class Pruned(Exception):
    """The trial's curve promises nothing."""


class NoFigure(Exception):
    """The trial came to an end without a figure."""


Watch = Callable[[int, float], bool]
"""A step of the trial's curve and the value there -> whether to stop the trial."""


def sections_of(experiment: Experiment, config: Config) -> tuple[list[str], list[str]]:
    """The sections that lead to the figure, in running order: those before the first one whose
    settings vary, which every trial has in common, and the rest."""
    before = [section for section in experiment.sections if section != SECTION]
    wanted = before[: before.index(config.job) + 1]
    varied = {setting.partition(".")[0] for setting in config.ranges}
    first = min(wanted.index(section) for section in varied)
    return wanted[:first], wanted[first:]


def run_trial(
    experiment: Experiment,
    sections: Sequence[str],
    jobs: Mapping[str, str],
    config: Config,
    folder: Path,
    watch: Watch,
) -> Iterator[Progress | Outcome]:
    """Run the sections into `folder`/SECTION and yield their progress, then the outcome.

    Whatever goes wrong inside is an outcome, but for a full disk, and for a figure that the job
    does not write: these would go wrong in every trial.
    """
    record = {"overrides": list(experiment.overrides), "configuration": experiment.resolved}
    try:
        value = math.nan
        for section in sections:
            run = Run(folder.parent, folder.name, section, record)
            followed = Curve(run, config.figure) if section == config.job else None
            yield from _work(experiment, run, jobs, followed, watch)
            if followed is not None:
                value = _value(run, followed, config)
    except Pruned as end:
        yield Outcome("pruned", reason=str(end))
    except WrongObjective:
        raise
    except (NoFigure, UserError) as end:
        yield Outcome("failed", reason=str(end))
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise
        yield Outcome("failed", reason=f"{type(error).__name__}: {error}")
    else:
        yield Outcome("complete", value)


def _work(
    experiment: Experiment, run: Run, jobs: Mapping[str, str], curve: Curve | None, watch: Watch
) -> Iterator[Progress]:
    """The job of one section; with a curve, each new point of it decides whether to go on."""
    job = importlib.import_module(f"{jobs[run.job]}.job")
    with run, closing(job.run(experiment.sections[run.job], run)) as steps:
        for progress in steps:
            if curve is not None:
                _look(curve, watch)
            yield progress
        if curve is not None:
            _look(curve, watch)


def _look(curve: Curve, watch: Watch) -> None:
    for step, value in curve.look():
        if not math.isfinite(value):
            raise NoFigure(f"{curve.figure} is no number at step {step}")
        if watch(step, value):
            raise Pruned(f"stopped at step {step}")


def _value(run: Run, curve: Curve, config: Config) -> float:
    if curve.points:
        last, best = curve.points[max(curve.points)], min if config.goal == "minimize" else max
        return last if config.take == "last" else best(curve.points.values())
    value = final_figure(run, config.figure)
    if not math.isfinite(value):
        raise NoFigure(f"{config.figure} is no number")
    return value
