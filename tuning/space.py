"""What is tried: ranges of an experiment file -> optuna's distributions -> overrides."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from lab.config import ConfigError, Experiment
from lab.tree import Mistake, Place
from tuning.config import Choice, Range

Distribution = CategoricalDistribution | FloatDistribution | IntDistribution
Space = dict[str, Distribution]
Open = Callable[[Sequence[str]], Experiment]
"""Overrides -> the experiment with them, or ConfigError."""


def space_of(ranges: Mapping[str, Range | tuple[Choice, ...]], open_with: Open) -> Space:
    """The distribution of each setting, once its ends are found to be valid in the experiment.

    Raises:
        ConfigError: with every setting that there is not or that cannot have such values.
    """
    mistakes: list[Mistake] = []
    space: Space = {}
    for setting, values in ranges.items():
        if isinstance(values, Range):
            whole = _takes_whole_numbers_only(setting, values, open_with)
            space[setting] = _distribution(values, whole)
            tried = [_number(value, whole) for value in (values.from_, values.to)]
        else:
            tried = list(values)
            # optuna's choices are to be plain: the JSON of a value stands for it
            space[setting] = CategoricalDistribution([json.dumps(value) for value in tried])
        mistakes += _mistakes_with(setting, tried, open_with)
    if mistakes:
        raise ConfigError(mistakes)
    return space


def _number(value: float, whole: bool) -> int | float:
    return int(value) if whole and value == int(value) else value


def _takes_whole_numbers_only(setting: str, values: Range, open_with: Open) -> bool:
    """Whether a fraction from inside the range is refused, while its whole ends are not."""
    if any(value != int(value) for value in (values.from_, values.to, values.step or 0)):
        return False
    try:
        open_with([override(setting, values.from_ + 0.5)])
    except ConfigError:
        return True
    return False


def _distribution(values: Range, whole: bool) -> Distribution:
    if whole:
        step = int(values.step or 1)
        high = int(values.from_) + (int(values.to - values.from_) // step) * step
        return IntDistribution(int(values.from_), high, log=values.log, step=step)
    high = values.to
    if values.step is not None:
        high = values.from_ + int((values.to - values.from_) / values.step + 1e-9) * values.step
    return FloatDistribution(values.from_, high, log=values.log, step=values.step)


def _mistakes_with(setting: str, tried: Sequence[Any], open_with: Open) -> list[Mistake]:
    """What is wrong with the first of the values that is not valid; said of the file, since it is
    there that the override comes from."""
    for value in tried:
        try:
            open_with([override(setting, value)])
        except ConfigError as error:
            place = Place(f"tune.ranges.{setting}")
            return [Mistake(place, mistake.sentence) for mistake in error.mistakes]
    return []


def override(setting: str, value: Any) -> str:
    """`section.setting=value` as on the command line; floats keep their last bit."""
    return f"{setting}={json.dumps(value)}"


def overrides_of(space: Space, values: Mapping[str, Any]) -> list[str]:
    """The overrides of a trial, from the values that optuna chose."""
    return [override(setting, plain(space[setting], value)) for setting, value in values.items()]


def plain(distribution: Distribution, value: Any) -> Any:
    """A value as the experiment file has it."""
    return json.loads(value) if isinstance(distribution, CategoricalDistribution) else value
