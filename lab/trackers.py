"""The curves of a job, told to TensorBoard, Weights & Biases or trackio beside metrics.jsonl.

The trackers are accelerate's. What it does of its own accord is put right here: a tracker that is
not installed is a mistake and no warning, and settings are flat, since lists in them raise.
"""

import importlib.util
import json
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

from lab.errors import UserError
from lab.run import Run, process_count, write_text

TrackerName = Literal["none", "tensorboard", "wandb", "trackio"]
FOLDER = "tracked"
"""Beside metrics.jsonl: what TensorBoard reads, and under which name another service knows us."""
PROJECT = "pseudoword"
Item = TypeVar("Item")


def require_tracker(name: TrackerName) -> None:
    """Raise UserError for a tracker that is not installed."""
    if name != "none" and importlib.util.find_spec(name) is None:
        raise UserError(
            f"track: {name} is not installed; `pip install {name}`, or leave `track` out: "
            "metrics.jsonl is written in any case"
        )


@contextmanager
def tracked(
    name: TrackerName, run: Run, curve: str, settings: Any, *, continued: bool = False
) -> Iterator[None]:
    """Inside, the numbers of every line of metrics.jsonl go to the tracker, too, at their `step`.

    Each curve is a run of the tracker. It is opened with the first line, since that is when the
    processes of a launch know each other.

    Args:
        curve: what is learned: the word, the model.
        settings: a pydantic model or a mapping; `flat` of it is told to the tracker.
        continued: go on with the run that the tracker has of this curve.

    Raises:
        UserError: the tracker cannot begin, as Weights & Biases without a login.
    """
    if name == "none" or not run.is_main:
        yield
        return
    opened: list[Any] = []

    def tell(values: Mapping[str, Any]) -> None:
        if not opened:
            opened.append(_open(name, run, curve, continued))
            opened[0].store_init_configuration(flat(settings))
        numbers = {
            key: value
            for key, value in values.items()
            if key != "step" and isinstance(value, int | float) and not isinstance(value, bool)
        }
        if numbers:
            opened[0].log(numbers, step=values.get("step"))

    run.listeners.append(tell)
    try:
        yield
    finally:
        run.listeners.remove(tell)
        for tracker in opened:
            tracker.finish()


def within(context: AbstractContextManager[None], items: Iterable[Item]) -> Iterator[Item]:
    """The items, the context being entered before the first one and left after the last."""
    with context:
        yield from items


def flat(settings: Any, prefix: str = "") -> dict[str, str | int | float | bool]:
    """Nested settings under dotted names; what is neither a number nor a text as JSON."""
    if hasattr(settings, "model_dump"):
        settings = settings.model_dump(mode="json", by_alias=True)
    if isinstance(settings, Mapping):
        found: dict[str, str | int | float | bool] = {}
        for key, value in settings.items():
            found |= flat(value, f"{prefix}.{key}" if prefix else str(key))
        return found
    plain = isinstance(settings, str | int | float)
    return {prefix: settings if plain else json.dumps(settings, ensure_ascii=False)}


def _open(name: TrackerName, run: Run, curve: str, continued: bool) -> Any:
    from accelerate import PartialState
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    if process_count() == 1:
        PartialState(cpu=True)  # accelerate's trackers write to its log, which wants to know this
    kind = LOGGER_TYPE_TO_CLASS[name]
    place = "".join(c for c in curve if c.isalnum() or c in "-_") or "curve"
    folder = run.folder / FOLDER
    if not continued:
        shutil.rmtree(folder / place, ignore_errors=True)
        (folder / f"{place}.txt").unlink(missing_ok=True)
    known = _known_as(folder / f"{place}.txt", f"{run.name}-{run.job}-{place}")
    if name == "tensorboard":
        tracker = kind(place, logging_dir=folder)
    elif name == "wandb":
        folder.mkdir(parents=True, exist_ok=True)
        title = f"{run.name} {run.job} {curve}"
        tracker = kind(PROJECT, name=title, id=known, resume="allow", dir=folder.as_posix())
    else:
        tracker = kind(PROJECT, name=known, resume="allow")
    try:
        tracker.start()
    except Exception as error:
        raise UserError(
            f"track: {name} could not begin: {error}; leave `track` out to go on without it"
        ) from error
    return tracker


def _known_as(path: Path, base: str) -> str:
    """The name under which a tracker knows this curve: written down, so that a run that is
    continued continues there; new for a folder that was begun anew."""
    if not path.exists():
        write_text(path, f"{base}-{secrets.token_hex(4)}\n")
    return path.read_text(encoding="utf-8").strip()
