"""optuna's study of the trials: where it is kept, what comes next, what came out.

The state of a search is its database alone. What a trial tries follows from the seed, its number
and the trials that are finished, so a search that was killed goes on as if nothing had happened.
"""

import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import Trial, TrialState
from sqlalchemy.exc import DBAPIError

from lab.errors import UserError, said_first
from tuning.config import Config
from tuning.space import Space, plain
from tuning.trial import Outcome, Watch

DATABASE = "study.db"
TRIES = 4  # to open a database that others open at the same moment
ATTEMPTS = 3  # of a trial that takes the process with it
STATES: dict[Any, TrialState] = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


def open_study(config: Config, name: str, folder: Path, key: str) -> optuna.Study:
    """The study in its database, made if it is not there.

    Raises:
        UserError: no database at the URL, or one that has this name for another search.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    pruner = optuna.pruners.MedianPruner(config.prune_after_trials, config.prune_after_step)
    study = _created(
        config.storage or f"sqlite:///{folder / DATABASE}",
        study_name=name,
        direction=config.goal,
        pruner=pruner if config.prune == "median" else optuna.pruners.NopPruner(),
    )
    if study.user_attrs.setdefault("key", key) != key:
        raise UserError(
            f"{config.storage} holds another search called {name}: give this one a name of its own "
            "(name=ANOTHER)"
        )
    study.set_user_attr("key", key)
    return study


def _created(url: str, **settings: Any) -> optuna.Study:
    for attempt in range(1, TRIES + 1):
        try:
            return optuna.create_study(storage=url, load_if_exists=True, **settings)
        except DBAPIError as error:
            if attempt == TRIES:
                reason = said_first(error.orig or error)
                raise UserError(f"the database {url} cannot be used: {reason}") from error
            time.sleep(attempt)  # another process may just be making its tables
        except Exception as error:  # no URL, or the driver is not installed
            reason = said_first(error)
            raise UserError(f"tune.storage {url} cannot be opened: {reason}") from error
    raise AssertionError


def trials_left(study: optuna.Study, config: Config, folder: Path) -> Iterator[Trial]:
    """The trials to run here: first those that a killed process left, then new ones."""
    here = f"{socket.gethostname()}:{folder.resolve()}"
    for left in study.get_trials(states=[TrialState.RUNNING]):
        if not config.storage or left.user_attrs.get("place") == here:
            yield Trial(study, left._trial_id)
    while len(study.get_trials(deepcopy=False)) < config.trials:
        trial = study.ask()
        trial.set_user_attr("place", here)
        yield trial


def begun(trial: Trial) -> int:
    """How often the trial was begun, this time included."""
    attempts = trial.user_attrs.get("attempts", 0) + 1
    trial.set_user_attr("attempts", attempts)
    return attempts


def choose(study: optuna.Study, trial: Trial, space: Space, config: Config) -> dict[str, Any]:
    """The trial's values, in optuna's own terms. What was chosen before a kill stays chosen."""
    for index, (setting, distribution) in enumerate(space.items()):
        state = np.random.SeedSequence([config.seed, trial.number, index]).generate_state(1)
        study.sampler = optuna.samplers.TPESampler(
            n_startup_trials=config.random_trials, seed=int(state[0])
        )
        if isinstance(distribution, CategoricalDistribution):
            trial.suggest_categorical(setting, distribution.choices)
            continue
        suggest: Any = trial.suggest_float
        if isinstance(distribution, IntDistribution):
            suggest = trial.suggest_int
        low, high = distribution.low, distribution.high
        suggest(setting, low, high, step=distribution.step, log=distribution.log)
    return {setting: trial.params[setting] for setting in space}


def watcher(study: optuna.Study, trial: Trial) -> Watch:
    """Notes the points of the trial's curve, and says at which of them to stop."""
    known = set(study.get_trials(deepcopy=False)[trial.number].intermediate_values)

    def watch(step: int, value: float) -> bool:
        if step not in known:
            trial.report(value, step)
            known.add(step)
        return step == max(known) and trial.should_prune()

    return watch


def tell(study: optuna.Study, trial: Trial, outcome: Outcome) -> None:
    """Note how a trial ended."""
    if outcome.reason:
        trial.set_user_attr("reason", outcome.reason)
    study.tell(trial, outcome.value, STATES[outcome.state])


@dataclass(frozen=True)
class Tried:
    """A trial that is over."""

    number: int
    state: Literal["complete", "pruned", "failed"]
    value: float | None
    """The figure; of a pruned trial the last one of its curve."""
    settings: dict[str, Any]
    """As in the experiment file."""
    reason: str


def tried(study: optuna.Study, space: Space) -> list[Tried]:
    """All trials that are over, by number."""
    names = {state: name for name, state in STATES.items()}
    return [
        Tried(
            trial.number,
            names[trial.state],
            trial.value,
            {s: plain(space[s], trial.params[s]) for s in space if s in trial.params},
            trial.user_attrs.get("reason", ""),
        )
        for trial in study.get_trials(deepcopy=False, states=list(names))
    ]


def best_of(trials: Sequence[Tried], config: Config) -> Tried | None:
    """The best complete trial, the first of equals; None where none is complete."""
    sign = 1 if config.goal == "minimize" else -1
    complete = [
        (sign * t.value, t.number, t)
        for t in trials
        if t.state == "complete" and t.value is not None
    ]
    return min(complete)[2] if complete else None
