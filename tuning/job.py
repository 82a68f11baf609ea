"""The job `tune`: ranges -> trials of the other jobs -> the best one's experiment file."""

import importlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from optuna.trial import Trial

from lab.config import Experiment, Section, load_experiment
from lab.errors import UserError
from lab.run import Progress, Run, process_count
from tuning.config import SECTION, Config
from tuning.results import BEST, LISTING, PAGE, PLOT, TRIALS, draw, folder_of, save, show
from tuning.space import Open, Space, overrides_of, space_of
from tuning.study import (
    ATTEMPTS,
    DATABASE,
    Tried,
    begun,
    best_of,
    choose,
    open_study,
    tell,
    trials_left,
    tried,
    watcher,
)
from tuning.trial import Outcome, run_trial, sections_of

VERSION = 1  # raised when the same configuration would try other settings
SECONDS_BETWEEN_PLOTS = 60.0  # while the search goes on
MADE = [TRIALS, LISTING, BEST, PLOT, PAGE, DATABASE + "*"]


def run(
    config: Config, run: Run, experiment: Experiment, jobs: Mapping[str, str]
) -> Iterator[Progress]:
    """Try settings until `config.trials` are over; leaves best.yaml, trials.json, the plot.

    Args:
        experiment: the file with the section `tune:`, and with those of the jobs.
        jobs: section -> the package that does it.

    Raises:
        UserError: a setting or value that the experiment cannot have, a figure of a job that it
            has not, found before anything is written; a figure that the job does not write; no
            trial without failure.
    """
    open_with = _opener(experiment, jobs)
    space = _checked_space(config, experiment, open_with)
    common, varied = sections_of(experiment, config)
    key = run.fingerprint(_inputs(config, experiment, [*common, *varied], jobs))
    _forget_if_there_is_more(config, run, key)
    if run.is_complete(key, discard=MADE):
        return
    yield from _run_common(experiment, common, jobs, run)
    study = open_study(config, run.name, run.folder, key)
    drawn = time.monotonic()
    for trial in trials_left(study, config, run.folder):
        values = choose(study, trial, space, config)
        texts = overrides_of(space, values)
        folder = folder_of(run, trial.number)
        _link(common, run, folder)
        outcome = Outcome("failed", reason=f"ended the whole program {ATTEMPTS} times")
        if begun(trial) <= ATTEMPTS:
            steps = run_trial(open_with(texts), varied, jobs, config, folder, watcher(study, trial))
            outcome = yield from _shown(steps, trial, tried(study, space), config)
        tell(study, trial, outcome)
        save(config, run, tried(study, space), open_with)
        if time.monotonic() - drawn > SECONDS_BETWEEN_PLOTS:
            draw(config, run, space, tried(study, space), open_with)
            drawn = time.monotonic()
    over = tried(study, space)
    save(config, run, over, open_with)
    draw(config, run, space, over, open_with)
    if best_of(over, config) is None:
        reasons = sorted({trial.reason for trial in over})
        raise UserError(f"all {len(over)} trials of {experiment.path} failed: {reasons[0]}")
    if running := len(study.get_trials(deepcopy=False)) - len(over):
        run.note(f"{running} trials still run elsewhere; later the same command takes them in")
    show(config, run, over)


def forecast(
    config: Config, run: Run, experiment: Experiment, jobs: Mapping[str, str]
) -> list[str]:
    """What is going to be tried, in sentences; nothing is written."""
    space = _checked_space(config, experiment, _opener(experiment, jobs))
    common, varied = sections_of(experiment, config)
    said = [
        f"{config.trials} trials of {', '.join(varied)} with {len(space)} settings, to "
        f"{config.goal} {config.objective}; {len(_listed(run))} are over"
    ]
    if common:
        said.append(f"once before them: {', '.join(common)}")
    for section in varied:
        job = importlib.import_module(f"{jobs[section]}.job")
        if hasattr(job, "forecast"):
            inner = Run(run.folder / TRIALS, "next", section)
            sentences = job.forecast(experiment.sections[section], inner)
            said += [f"one trial's {section}: {sentence}" for sentence in sentences]
    return said


def _opener(experiment: Experiment, jobs: Mapping[str, str]) -> Open:
    packages = {**jobs, SECTION: "tuning"}
    models: dict[str, type[Section]] = {
        section: importlib.import_module(f"{package}.config").Config
        for section, package in packages.items()
    }

    def open_with(texts: Sequence[str]) -> Experiment:
        return load_experiment(experiment.path, [*experiment.overrides, *texts], models)

    return open_with


def _checked_space(config: Config, experiment: Experiment, open_with: Open) -> Space:
    """The settings that vary, when all of the section is found to fit the experiment."""
    if process_count() > 1:
        raise UserError(
            "a search is one process; to have several, start `pseudoword tune` once for each with "
            "the same tune.storage, a database URL, and an --outputs of its own"
        )
    there = [section for section in experiment.sections if section != SECTION]
    if config.job not in there:
        has = f"it has {', '.join(there)}" if there else "it has no other section"
        raise UserError(f"tune.objective: {experiment.path} has no section `{config.job}:`; {has}")
    space = space_of(config.ranges, open_with)
    for setting in space:
        section = setting.partition(".")[0]
        if section not in there or there.index(section) > there.index(config.job):
            raise UserError(
                f"tune.ranges.{setting}: {section} is not among what leads to {config.objective}"
            )
    return space


def _inputs(
    config: Config, experiment: Experiment, sections: Sequence[str], jobs: Mapping[str, str]
) -> dict[str, Any]:
    """What decides the trials. Their number is not among it: more of them continue a search."""
    modules = {section: importlib.import_module(f"{jobs[section]}.job") for section in sections}
    return {
        "versions": [VERSION, *(getattr(module, "VERSION", 0) for module in modules.values())],
        "tune": config.model_dump(mode="json", exclude={"trials", "keep"}),
        "experiment": {section: experiment.resolved[section] for section in sections},
    }


def _listed(run: Run) -> list[dict[str, Any]]:
    try:
        return json.loads((run.folder / LISTING).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []


def _forget_if_there_is_more(config: Config, run: Run, key: str) -> None:
    """A finished search is not finished where more trials are wanted, or ended elsewhere."""
    if run.read_manifest().get("key") != key:
        return
    listed = len(_listed(run))
    more = listed < config.trials
    if config.storage and not more:
        more = listed < len(tried(open_study(config, run.name, run.folder, key), {}))
    if more:
        (run.folder / LISTING).unlink(missing_ok=True)


def _run_common(
    experiment: Experiment, sections: Sequence[str], jobs: Mapping[str, str], run: Run
) -> Iterator[Progress]:
    """The jobs that no trial changes, once, in their usual place."""
    record = {"overrides": list(experiment.overrides), "configuration": experiment.resolved}
    for section in sections:
        job = importlib.import_module(f"{jobs[section]}.job")
        with Run(run.folder.parent.parent, run.name, section, record) as once:
            yield from job.run(experiment.sections[section], once)


def _link(sections: Sequence[str], run: Run, folder: Path) -> None:
    """Let a trial's jobs find what all trials have in common."""
    folder.mkdir(parents=True, exist_ok=True)
    for section in sections:
        if not (folder / section).exists():
            made = run.sibling(section)
            try:
                (folder / section).symlink_to(os.path.relpath(made, folder))
            except OSError:  # Windows, without the right to make links
                shutil.copytree(made, folder / section)


def _shown(
    steps: Iterator[Progress | Outcome], trial: Trial, over: Sequence[Tried], config: Config
) -> Iterator[Progress]:
    """Pass on how far a trial is, as part of the search, and return how it ended."""
    best = best_of(over, config)
    so_far = f"; best {best.value:.4g}" if best else ""
    for step in steps:
        if isinstance(step, Outcome):
            return step
        inside = f"trial {trial.number}: {step.stage} {step.done}/{step.total}"
        yield Progress("trying", len(over), config.trials, inside + so_far)
    raise RuntimeError("a trial ended without an outcome")
