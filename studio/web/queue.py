"""The studio's queue: one piece of work at a time, in one process that stays warm.

An experiment is checked before it is queued. What waits is kept in outputs/.studio/queue.json, so a
studio that is started again goes on with it; how far runs are is in their folders, as ever.
"""

import secrets
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.config import load_experiment
from lab.errors import UserError
from lab.run import Run
from studio import cli
from studio.web.experiments import checked, written
from studio.web.places import STUDIO, Places
from studio.web.process import Died, Process
from studio.web.tickets import OPEN, Standing, Status, Ticket, read_tickets, save_tickets
from studio.web.worker import Work

__all__ = ["Queue", "Standing", "Status"]
_PATIENCE = 20.0  # seconds that a stopped run has to say so before its process is ended

if sys.platform != "win32":
    import fcntl


class Queue:
    """Tickets, and the process that works through them."""

    def __init__(
        self, outputs: Path, places: Places, jobs: Mapping[str, str] = cli.JOBS, warm: bool = True
    ):
        """Nothing is started before `start`.

        `jobs` has the package of each section; `warm` lets the process import torch before there
        is work.
        """
        self.outputs, self.places, self.jobs, self._warm = Path(outputs), places, dict(jobs), warm
        self._folder = self.outputs / STUDIO
        self._tickets: list[Ticket] = []
        self._news = threading.Condition()
        self._worker: Process | None = None
        self._thread: threading.Thread | None = None
        self._closing = self._wanted = False
        self._numbers = 0
        self._lock: Any = None

    # --- its life

    def start(self) -> None:
        """Read what waits and begin to work.

        Raises:
            UserError: when another studio works in these outputs.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        self._tickets = read_tickets(self._folder / "queue.json")
        self._thread = threading.Thread(target=self._work, name="studio queue", daemon=True)
        self._thread.start()

    def warm(self) -> None:
        """Start the process that computes, so that the first piece of work begins at once."""
        with self._news:
            self._wanted = True
            self._news.notify_all()

    def close(self) -> None:
        """End the work as Ctrl-C does; what ran waits for the next start."""
        with self._news:
            self._closing = True
            for ticket in self._tickets:
                if ticket.status == "running" and self._worker:
                    self._worker.stop(ticket.number)
            self._news.notify_all()
        if self._thread is not None:
            self._thread.join(_PATIENCE + 5)
        if self._worker is not None:
            self._worker.end()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    # --- what the tabs do

    def submit(self, experiment: Mapping[str, Any], what: str, *, front: bool = False) -> str:
        """Queue an experiment, {"name": NAME, JOB: {...}}, and return the ticket's id.

        `what` says in a few words what it does; `front` puts it before all that waits.

        Raises:
            UserError: with a sentence for every mistake; nothing is queued then.
        """
        name = self.places.name(experiment.get("name", ""))
        self.places.check(experiment)
        file = self._folder / f"{name}.yaml"
        checked(file, experiment, self._models())
        sections = tuple(section for section in self.jobs if section in experiment)
        jobs = (cli.SEARCH,) if cli.SEARCH in sections else sections
        with self._news:
            if self._closing:
                raise UserError("the studio is being closed")
            for ticket in self._tickets:
                if ticket.name == name and ticket.status in OPEN and set(ticket.jobs) & set(jobs):
                    state = "under way" if ticket.status == "running" else "waiting"
                    raise UserError(
                        f"the run {name} is {state} already; stop it first, or choose another name"
                    )
            written(file, experiment, self._models())
            ticket = Ticket(secrets.token_hex(8), name, jobs, what[:200])
            waiting = [k for k, t in enumerate(self._tickets) if t.status == "waiting"]
            self._tickets.insert(waiting[0] if front and waiting else len(self._tickets), ticket)
            self._save()
            self._news.notify_all()
        return ticket.id

    def again(self, name: str, job: str) -> str:
        """Queue once more what this job of this experiment was last told, to go on with it.

        Raises:
            UserError: when it was never begun.
        """
        name = self.places.name(name)
        run = Run(self.outputs, name, job)
        configuration = run.read_manifest().get("configuration")
        latest = self.of(name, job)
        file = self._folder / f"{name}.yaml"
        if latest is not None and file.exists():
            configuration = load_experiment(file, [], self._models()).written
        if not isinstance(configuration, dict) or job not in configuration:
            raise UserError(f"{name} has no {job} to go on with")
        what = latest.what if latest else f"go on with {name}"
        wanted = configuration if job == cli.SEARCH else (job,)  # it tries the other sections
        sections = {key: configuration[key] for key in wanted if key in self.jobs}
        return self.submit({"name": name, **sections}, what)

    def stop(self, ticket_id: str) -> None:
        """Stop what runs within a step, or take back what waits. Nothing happens if it ended."""
        with self._news:
            ticket = self._find(ticket_id)
            if ticket.status == "waiting":
                ticket.status, ticket.ended = "stopped", time.time()
                self._save()
            elif ticket.status == "running" and self._worker is not None:
                ticket.stopping = True
                self._worker.stop(ticket.number)

    def standing(self, ticket_id: str) -> Standing:
        """How a ticket stands.

        Raises:
            UserError: when there is no such ticket.
        """
        with self._news:
            return self._standing(self._find(ticket_id))

    def of(self, name: str, job: str | None = None) -> Standing | None:
        """The latest ticket of an experiment, or of one of its jobs; None if there is none."""
        with self._news:
            for ticket in reversed(self._tickets):
                if ticket.name == name and (job is None or job in ticket.jobs):
                    return self._standing(ticket)
        return None

    def all(self) -> list[Standing]:
        """Every ticket that is known, the oldest first."""
        with self._news:
            return [self._standing(ticket) for ticket in self._tickets]

    # --- inside

    def _find(self, ticket_id: str) -> Ticket:
        for ticket in self._tickets:
            if ticket.id == ticket_id:
                return ticket
        raise UserError("there is no such work in the queue")

    def _models(self) -> dict:
        return cli.models(self.jobs)

    def _standing(self, ticket: Ticket) -> Standing:
        if ticket.status != "waiting":
            return ticket.standing(0 if ticket.status == "running" else -1)
        before = self._tickets[: self._tickets.index(ticket)]
        place = 1 + sum(other.status == "waiting" for other in before)
        running = next((other for other in self._tickets if other.status == "running"), None)
        return ticket.standing(place, running)

    def _save(self) -> None:
        save_tickets(self._folder / "queue.json", self._tickets)

    def _take_lock(self) -> None:
        if sys.platform == "win32":
            return
        self._lock = (self._folder / ".lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            self._lock = None
            raise UserError(
                f"another studio works in {self.outputs}; use it, or start this one with "
                "--outputs ANOTHER"
            ) from None
        except OSError:
            pass  # a file system without locks

    # --- the thread that hands out the work

    def _work(self) -> None:
        while True:
            with self._news:
                while not (self._closing or self._next() or self._must_warm()):
                    self._news.wait()
                if self._closing:
                    return
                ticket = self._next()
                if self._worker is None:
                    self._worker = Process(self.jobs, self._warm)
                if ticket is not None:
                    self._numbers += 1
                    ticket.number, ticket.status = self._numbers, "running"
                    self._save()
            if ticket is not None:
                self._do(ticket)

    def _must_warm(self) -> bool:
        return self._wanted and self._worker is None

    def _next(self) -> Ticket | None:
        return next((ticket for ticket in self._tickets if ticket.status == "waiting"), None)

    def _do(self, ticket: Ticket) -> None:
        """Let the process do one ticket, and write down how it ended."""
        worker = self._worker
        assert worker is not None
        file = str(self._folder / f"{ticket.name}.yaml")
        status: Status
        try:
            worker.send(Work(ticket.number, file, ticket.jobs, str(self.outputs)))
            while (message := worker.hear(ticket.number)) is not None:
                with self._news:
                    ticket.hear(message)
            status, sentence = worker.ending
        except Died as death:
            meant = ticket.stopping or self._closing
            status, sentence = ("stopped", "") if meant else ("failed", str(death))
            with self._news:
                worker.end()
                self._worker = None
        with self._news:
            ticket.status, ticket.sentence, ticket.ended = status, sentence, time.time()
            if self._closing and status == "stopped" and not ticket.stopping:
                ticket.status, ticket.ended = "waiting", 0.0
            self._save()
