"""What lies in outputs/, for the tab Runs: every run of the page and of the terminal, newest first.

Whoever lists asks for the times of manifests only; one is read when it is shown.
"""

import itertools
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.config import Section
from lab.run import MANIFEST

if sys.platform != "win32":
    import fcntl

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif"})
FILMS = frozenset({".mp4", ".webm"})
BETWEEN = "-between"
"""How the name of the run ends that draws single scales of another one, where somebody looked."""
_LARGEST = 3_000_000
"""Bytes of a picture that is still shown on a card."""
_MOST_NAMES = 5000


@dataclass(frozen=True)
class Entry:
    """One run folder, OUTPUTS/NAME/JOB."""

    name: str
    job: str
    folder: Path
    changed: float
    """When its manifest was written last, in seconds since 1970."""


@dataclass(frozen=True)
class Card:
    """What is shown of a run."""

    entry: Entry
    status: str
    """complete, running, interrupted, failed, or unknown where the manifest cannot be read."""
    failure: str
    started: str
    """A date and a time of day here; empty if not known."""
    seconds: float
    notes: tuple[str, ...]
    settings: tuple[tuple[str, str], ...]
    """Those that are not as they are by default: name and value."""
    pictures: tuple[Path, ...]
    """At most four, which say what it is about."""
    files: tuple[tuple[Path, str], ...]
    """What the run says is worth looking at, and what it is; its report first."""
    can_repeat: bool


def entries(outputs: Path, jobs: Sequence[str], job: str = "", words: str = "") -> list[Entry]:
    """The run folders in `outputs`, newest first: all, or one job's, or those with `words` in
    their name. What was drawn between the scales of a sweep belongs to that sweep, and stands here
    only where its own name is asked for."""
    found = []
    for folder in _folders(outputs):
        if words.casefold().strip() not in folder.name.casefold():
            continue
        sweep = folder.name.removesuffix(BETWEEN)
        asked = words.casefold().strip() not in sweep.casefold()
        if sweep != folder.name and not asked and (outputs / sweep / "cfg").is_dir():
            continue
        for wanted in [job] if job else jobs:
            try:
                changed = (folder / wanted / MANIFEST).stat().st_mtime
            except (OSError, ValueError):
                continue
            found.append(Entry(folder.name, wanted, folder / wanted, changed))
    return sorted(found, key=lambda entry: (-entry.changed, entry.name, entry.job))


def read_card(entry: Entry, models: Mapping[str, type[Section]]) -> Card:
    """Read a run's manifest and choose its pictures."""
    manifest = read_json(entry.folder / MANIFEST)
    configuration = manifest.get("configuration")
    section = configuration.get(entry.job) if isinstance(configuration, dict) else None
    status = str(manifest.get("status", "unknown"))
    if status == "running" and not is_held(entry.folder):
        status = "interrupted"  # it was killed, and could not say so
    notes = manifest.get("notes")
    model = models.get(entry.job)
    return Card(
        entry=entry,
        status=status,
        failure=str(manifest.get("failure", "")),
        started=_spoken_date(manifest.get("started")),
        seconds=_number(manifest.get("seconds")),
        notes=tuple(str(note) for note in notes) if isinstance(notes, list) else (),
        settings=changed_settings(section, model) if isinstance(section, dict) and model else (),
        pictures=tuple(choose_pictures(entry.folder, manifest)),
        files=tuple(files_of(entry.folder, manifest)),
        can_repeat=isinstance(section, dict),
    )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that holds a mapping; empty where it cannot be read."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def is_held(folder: Path) -> bool:
    """Whether a process is at work in this run folder."""
    if sys.platform == "win32":
        return True
    try:
        with (folder / ".lock").open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def changed_settings(
    section: Mapping[str, Any], model: type[Section]
) -> tuple[tuple[str, str], ...]:
    """The settings of a section that differ from the model's defaults, nested ones with dots."""
    return tuple(_dotted(changed(section, model)))


def changed(section: Mapping[str, Any], model: type[Section]) -> dict[str, Any]:
    """A section without what is as the model has it by default."""
    plain: dict[str, Any] = {}
    for key, info in model.model_fields.items():
        if not info.is_required():
            value = info.get_default(call_default_factory=True)
            dump = getattr(value, "model_dump", None)
            plain[info.alias or key] = dump(mode="json", by_alias=True) if dump else value
    return _differences(section, plain)


def _differences(values: Mapping[str, Any], plain: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        usual = plain.get(key)
        if isinstance(usual, tuple):
            usual = list(usual)
        if value == usual:
            continue
        if isinstance(value, Mapping) and isinstance(usual, Mapping):
            found[key] = _differences(value, usual)
        else:
            found[key] = value
    return found


def _dotted(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            yield prefix + key, text


def choose_pictures(folder: Path, manifest: Mapping[str, Any]) -> list[Path]:
    """Up to four pictures of a run: crops, frames, previews, else what it says it shows."""
    for place in ("images", "frames", "previews", "film/frames", "samples", "pictures"):
        names = _names(folder / place)
        if names:
            chosen = names[-1:] if place == "previews" else _spread(names, 4)
            return [folder / place / name for name in chosen]
    shown = [path for path, _ in files_of(folder, manifest) if path.suffix in PICTURES]
    return [path for path in shown if _size(path) <= _LARGEST][:4]


def files_of(folder: Path, manifest: Mapping[str, Any]) -> list[tuple[Path, str]]:
    """The files that a run says are worth looking at, its report first. Folders are left out."""
    listed = manifest.get("show")
    found = []
    for item in listed if isinstance(listed, list) else []:
        if not isinstance(item, dict) or not isinstance(item.get("path"), str):
            continue
        path = folder / item["path"]
        try:
            inside = path.resolve().is_relative_to(folder.resolve()) and path.is_file()
        except (OSError, ValueError):
            continue
        if inside:
            found.append((path, str(item.get("what", ""))))
    return sorted(found, key=lambda item: item[0].suffix != ".html")


def _folders(outputs: Path) -> list[Path]:
    try:
        with os.scandir(outputs) as found:
            return [Path(one.path) for one in found if not one.name.startswith(".")]
    except OSError:
        return []


def _names(folder: Path) -> list[str]:
    """The pictures in a folder, or in the first folder in it that has some, in order."""
    try:
        with os.scandir(folder) as found:
            first = itertools.islice(found, _MOST_NAMES)
            listed = sorted((one.name, one.is_dir()) for one in first)
    except OSError:
        return []
    pictures = [
        name
        for name, _ in listed
        if Path(name).suffix.lower() in PICTURES
        and not name.startswith(".")
        and "-masklabel." not in name
    ]
    if not pictures:
        for name, is_folder in listed:
            if is_folder and (inner := _names(folder / name)):
                return [f"{name}/{picture}" for picture in inner]
    return [name for name in pictures if _size(folder / name) <= _LARGEST]


def _spread(names: list[str], count: int) -> list[str]:
    if len(names) <= count:
        return names
    return [names[round(k * (len(names) - 1) / (count - 1))] for k in range(count)]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return _LARGEST + 1


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _spoken_date(text: Any) -> str:
    try:
        return f"{datetime.fromisoformat(text).astimezone():%d %b %Y, %H:%M}".lstrip("0")
    except (TypeError, ValueError):
        return ""
