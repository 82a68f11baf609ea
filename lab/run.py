"""The folder of one job: what it made, from what, and how far it is.

A run folder is complete, can be resumed, or says why it failed. Every file in it is written under
another name and moved into place, so a process killed at any moment leaves no half of anything.
"""

import hashlib
import json
import math
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from lab.errors import UserError
from lab.provenance import code_version, machine, package_versions

if sys.platform != "win32":
    import fcntl

MANIFEST = "manifest.json"
METRICS = "metrics.jsonl"
_LOCK = ".lock"
_TEMPORARY = ".tmp-"
Result = TypeVar("Result")


@dataclass(frozen=True)
class Progress:
    """What a job yields as it goes: `done` of `total` units of a stage."""

    stage: str
    done: int
    total: int
    note: str = ""


def result_of(steps: Generator[Progress, None, Result]) -> Result:
    """What a generator of Progress returns, where nobody looks at how far it is."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


class Run:
    """One job's folder, `OUTPUTS/NAME/JOB/`, as a context manager around the job.

    The protocol of a job is

        key = run.fingerprint({"config": ..., "inputs": ...})
        if run.is_complete(key, discard=["images"]):
            return
        ...                         # work that can be killed and started again

    Nothing is written before `is_complete` said no, so a mistake found before that leaves no trace.
    Then the manifest says "running", and on leaving the context "complete", "failed" (and why) or
    "interrupted".
    """

    def __init__(
        self, outputs: str | Path, name: str, job: str, record: Mapping[str, Any] | None = None
    ):
        """`record` goes into the manifest: resolved configuration, overrides, command line."""
        self.name = name
        self.job = job
        self.folder = Path(outputs) / name / job
        self.is_main = process_index() == 0
        self.manifest: dict[str, Any] = {}
        """What the job adds to manifest.json: model fingerprint, dataset hash, device, seeds ..."""
        self.reused = False
        """True once `is_complete` found that there is nothing to do."""
        self.continues = False
        """True when what lies in the folder was begun with the same key: resume from it."""
        self.listeners: list[Callable[[Mapping[str, Any]], None]] = []
        """Called with every line of metrics.jsonl once it is written: see lab.trackers."""
        self._record = dict(record or {})
        self._shown: list[dict[str, str]] = []
        self._notes: list[str] = []
        self._key: str | None = None
        self._attempts = 1
        self._started = datetime.now(timezone.utc)
        self._clock = time.monotonic()
        self._begun = False
        self._lock: Any = None

    # --- the job's side

    def sibling(self, job: str) -> Path:
        """The folder of another job of the same experiment. It may not exist."""
        return self.folder.parent / job

    @staticmethod
    def fingerprint(inputs: Any) -> str:
        """A hash of anything JSON-able (models and paths included), equal for equal values."""
        text = json.dumps(inputs, sort_keys=True, ensure_ascii=False, default=_plain)
        return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()

    def is_complete(self, key: str, discard: Iterable[str] = ()) -> bool:
        """Whether this job is done already: then return at once. Otherwise the run begins.

        Done means that the manifest says complete with the same key and that the files it shows are
        there. `discard` names what to remove (glob patterns inside the folder) when the folder was
        made with another key, so that results of two configurations never mix.

        Raises:
            UserError: when another process is at work in this folder.
        """
        previous = self.read_manifest()
        if previous.get("status") == "complete" and previous.get("key") == key:
            shown = previous.get("show", [])
            if all((self.folder / item["path"]).exists() for item in shown):
                self.reused = True
                self._shown, self._notes = list(shown), list(previous.get("notes", []))
                return True
        self._begin(key, previous, discard)
        return False

    def metric(self, **values: Any) -> None:
        """Append one line to metrics.jsonl (first process only); NaN and infinities become null."""
        if not self.is_main:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        line = json.dumps(_finite(values), ensure_ascii=False, default=_plain)
        with (self.folder / METRICS).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        for listener in self.listeners:
            listener(values)

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl. A last line torn by a crash does not count."""
        try:
            text = (self.folder / METRICS).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return []
        complete = text[: text.rfind("\n") + 1]
        return [json.loads(line) for line in complete.splitlines() if line]

    def keep_metrics(self, predicate: Callable[[dict[str, Any]], bool]) -> None:
        """Drop the lines of metrics.jsonl that do not satisfy `predicate`, atomically."""
        if not self.is_main or not (self.folder / METRICS).exists():
            return
        kept = [json.dumps(line, ensure_ascii=False) for line in self.metrics() if predicate(line)]
        write_text(self.folder / METRICS, "".join(line + "\n" for line in kept))

    def truncate_metrics(self, key: str, upto: float) -> None:
        """Drop the lines whose `key` is above `upto`: resuming repeats those steps."""
        self.keep_metrics(lambda line: line.get(key) is None or line[key] <= upto)

    def show(self, path: str | Path, what: str) -> None:
        """Register a file of this folder worth looking at; named to the user at the end."""
        path = Path(path)
        inside = path.relative_to(self.folder) if path.is_relative_to(self.folder) else path
        entry = {"path": inside.as_posix(), "what": what}
        if entry not in self._shown:
            self._shown.append(entry)

    def note(self, sentence: str) -> None:
        """A remark for the user, such as a measured figure: said at the end and in the manifest."""
        sentence = sentence.encode(errors="replace").decode()  # names of files may be no Unicode
        if sentence not in self._notes:
            self._notes.append(sentence)

    # --- the terminal's side

    @property
    def shown(self) -> list[tuple[Path, str]]:
        """The files to look at, with what each of them is."""
        return [(self.folder / item["path"], item["what"]) for item in self._shown]

    @property
    def notes(self) -> list[str]:
        return list(self._notes)

    def read_manifest(self) -> dict[str, Any]:
        """The manifest as it lies in the folder; empty if there is none that can be read."""
        try:
            manifest = json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return manifest if isinstance(manifest, dict) else {}

    def __enter__(self) -> "Run":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self.reused or (error is not None and not self._begun):
                return  # nothing was done: what lies in the folder keeps its own account
            if not self._begun:
                self._begin(None, self.read_manifest(), ())
            if error is None:
                self._write_manifest("complete")
            elif isinstance(error, KeyboardInterrupt | GeneratorExit):
                self._write_manifest("interrupted")
            else:
                plain = isinstance(error, UserError)
                reason = str(error) if plain else f"{type(error).__name__}: {error}"
                self._write_manifest("failed", reason)
        finally:
            self._unlock()

    # --- inside

    def _begin(self, key: str | None, previous: dict[str, Any], discard: Iterable[str]) -> None:
        self._begun, self._key = True, key
        same = key is not None and previous.get("key") == key
        self.continues = same
        if not self.is_main:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._begun = False
            raise UserError(
                f"the folder {self.folder} cannot be made ({error.strerror}): name another place"
            ) from error
        self._take_lock()
        if process_count() == 1:  # else another process may be writing one of them now
            for leftover in self.folder.rglob(_TEMPORARY + "*"):
                leftover.unlink(missing_ok=True)
        if same:
            self._attempts = int(previous.get("attempts", 1)) + 1
            self.keep_metrics(lambda line: True)  # mends a torn last line
        else:
            # Disown what is there before removing it: were we killed in between, neither the old
            # key nor the new one may claim the remainder.
            if previous:
                write_json(self.folder / MANIFEST, {"status": "running", "key": None})
            for pattern in (*discard, METRICS):
                for found in sorted(self.folder.glob(pattern)):
                    shutil.rmtree(found) if found.is_dir() else found.unlink(missing_ok=True)
        self._write_manifest("running")

    def _write_manifest(self, status: str, failure: str | None = None) -> None:
        if not self.is_main:
            return
        ended = datetime.now(timezone.utc)
        manifest = {
            "name": self.name,
            "job": self.job,
            "status": status,
            **({"failure": failure} if failure else {}),
            "key": self._key,
            "attempts": self._attempts,
            "started": self._started.isoformat(timespec="seconds"),
            "ended": None if status == "running" else ended.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self._clock, 2),
            **self._record,
            **self.manifest,
            "show": self._shown,
            "notes": self._notes,
            "code": code_version(),
            "versions": package_versions(),
            "machine": machine(),
        }
        write_json(self.folder / MANIFEST, manifest)

    def _take_lock(self) -> None:
        """Two processes in one folder would mix their results. The lock dies with its process."""
        if sys.platform == "win32":
            return
        lock = (self.folder / _LOCK).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            self._begun = False
            raise UserError(
                f"{self.folder} is in use by another run; wait for it, or add name=ANOTHER here"
            ) from None
        except OSError:
            pass  # a file system without locks
        self._lock = lock

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()  # the file stays: removing it would let two processes lock two files
            self._lock = None


def process_index() -> int:
    """Which of the processes started by `accelerate launch` this is; 0 for a single one."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")))


def process_count() -> int:
    """How many processes `accelerate launch` started."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def write_atomically(path: str | Path, write: Callable[[Path], None]) -> None:
    """Let `write` make a temporary file beside `path` (same suffix), then move it into place.

    Whoever looks at `path` sees the old file or the whole new one, also after a crash.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{_TEMPORARY}{secrets.token_hex(6)}{path.suffix}")
    try:
        write(temporary)
        _sync(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if sys.platform != "win32":
        _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file (UTF-8, newlines as they are) atomically."""

    def write(temporary: Path) -> None:
        temporary.write_bytes(text.encode(errors="replace"))

    write_atomically(path, write)


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON atomically; models, paths and tuples included, non-finite numbers as null."""
    text = json.dumps(_finite(value), indent=2, ensure_ascii=False, default=_plain)
    write_text(path, text + "\n")


def file_hash(path: str | Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """What json cannot write itself: pydantic models, paths, sets, numpy and torch scalars."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, os.PathLike):
        return Path(value).as_posix()
    if isinstance(value, set | frozenset):
        return sorted(value)
    if hasattr(value, "tolist"):
        return _finite(value.tolist())
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _finite(value: Any) -> Any:
    """The value with NaN and infinities, which JSON has no words for, as None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
