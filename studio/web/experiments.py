"""What forms bring, as experiment files: the same that the terminal reads."""

import io
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from lab.config import ConfigError, Experiment, Section, load_experiment
from lab.errors import UserError
from lab.run import write_text


def checked(
    file: Path, experiment: Mapping[str, Any], models: Mapping[str, type[Section]]
) -> Experiment:
    """The experiment as the terminal would read it, written beside `file` and removed again.

    Raises:
        UserError: with a sentence for every mistake, without the places in a file that the user
            has not written.
    """
    trial = file.with_name(f".check-{secrets.token_hex(6)}.yaml")
    trial.parent.mkdir(parents=True, exist_ok=True)
    try:
        trial.write_text(as_yaml(experiment), encoding="utf-8")
        return load_experiment(trial, [], models)
    except ConfigError as error:
        sentences = dict.fromkeys(mistake.sentence for mistake in error.mistakes)
        raise UserError("\n".join(sentences)) from None
    except UserError as error:
        raise UserError(str(error).replace(str(trial), "it")) from None
    finally:
        trial.unlink(missing_ok=True)


def written(file: Path, experiment: Mapping[str, Any], models: Mapping[str, type[Section]]) -> None:
    """Write an experiment to `file`, beside the sections of other jobs that are there already."""
    whole = dict(experiment)
    if file.exists():
        try:
            before = load_experiment(file, [], models).written
        except UserError:
            before = {}
        ordered = [key for key in models if key in before or key in experiment]
        whole = {"name": experiment["name"]}
        whole |= {key: experiment[key] if key in experiment else before[key] for key in ordered}
    write_text(file, as_yaml(whole))


def as_yaml(experiment: Mapping[str, Any]) -> str:
    """The YAML of an experiment."""
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 100
    stream = io.StringIO()
    yaml.dump(_plain(experiment), stream)
    return stream.getvalue()


def _plain(value: Any) -> Any:
    """Dicts, lists, texts, numbers: what YAML has words for, whatever components return."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return str(value)
