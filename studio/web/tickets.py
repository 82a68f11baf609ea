"""The tickets of the studio's queue, and how they are kept while no studio runs."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lab.run import Progress, write_json

Status = Literal["waiting", "running", "done", "stopped", "failed"]
OPEN = ("waiting", "running")
_KEPT = 300
_FIELDS = ("id", "name", "jobs", "what", "status", "sentence", "ended")


@dataclass(frozen=True)
class Standing:
    """How one ticket stands."""

    id: str
    name: str
    jobs: tuple[str, ...]
    what: str
    status: Status
    place: int
    """0 while it runs, 1 for the next one, and so on; -1 when it has ended."""
    stage: str
    done: int
    total: int
    note: str
    seconds_left: float | None
    """Of the stage it is in, from how fast it went so far; while it waits, of the stage that the
    work before it is in. None while that is unknown."""
    sentence: str
    """Why it failed."""
    ended: float = 0.0
    """When, in seconds since 1970."""
    ahead: str = ""
    """While it waits: the run that is under way."""


@dataclass
class Ticket:
    id: str
    name: str
    jobs: tuple[str, ...]
    what: str
    status: Status = "waiting"
    sentence: str = ""
    number: int = 0
    stage: str = ""
    done: int = 0
    total: int = 0
    note: str = ""
    began: tuple[float, int] = field(default=(0.0, 0), repr=False)
    """When the stage was first heard of, and how many were done then."""
    stopping: bool = False
    ended: float = 0.0

    def hear(self, progress: Progress) -> None:
        if progress.stage != self.stage or progress.done < self.done:
            self.began = (time.monotonic(), progress.done)
        self.stage, self.done, self.total = progress.stage, progress.done, progress.total
        self.note = progress.note

    def seconds_left(self) -> float | None:
        since, first = self.began
        passed, made = time.monotonic() - since, self.done - first
        if self.status != "running" or made <= 0 or not self.total or passed < 1:
            return None
        return max(0.0, (self.total - self.done) * passed / made)

    def standing(self, place: int, ahead: "Ticket | None" = None) -> Standing:
        """`place` as in Standing; `ahead` is what is under way while this one waits."""
        return Standing(
            self.id, self.name, self.jobs, self.what, self.status, place, self.stage, self.done,
            self.total, self.note, (ahead or self).seconds_left(), self.sentence, self.ended,
            ahead.name if ahead else "",
        )  # fmt: skip


def save_tickets(path: Path, tickets: Sequence[Ticket]) -> None:
    """Keep the newest tickets, and all that have not ended."""
    ended = [ticket for ticket in tickets if ticket.status not in OPEN]
    gone = {ticket.id for ticket in ended[:-_KEPT]}
    kept = [t for t in tickets if t.id not in gone]
    write_json(path, {"tickets": [{key: getattr(t, key) for key in _FIELDS} for t in kept]})


def read_tickets(path: Path) -> list[Ticket]:
    """The tickets as they were kept; what was running waits again, before the others."""
    try:
        written = json.loads(path.read_text(encoding="utf-8"))["tickets"]
        tickets = [
            Ticket(
                id=entry["id"],
                name=entry["name"],
                jobs=tuple(entry["jobs"]),
                what=entry["what"],
                status=entry["status"],
                sentence=entry["sentence"],
                ended=entry["ended"],
            )
            for entry in written
        ]
    except (OSError, ValueError, LookupError, TypeError):
        return []
    for ticket in tickets:
        if ticket.status == "running":
            ticket.status = "waiting"
    return tickets
