"""The process that computes, seen from the server: started, spoken to, stopped, outlived."""

import contextlib
import os
import signal
from collections.abc import Mapping
from multiprocessing import get_context
from typing import Any

from lab.run import Progress
from studio.web.tickets import Status
from studio.web.worker import Work, serve

_LAST_WORDS = 5.0  # seconds to end by itself before it is ended


class Died(Exception):
    """The process ended in the middle of its work."""


class Process:
    """A process of its own (`spawn`), so that torch and what it holds are never in the server."""

    def __init__(self, jobs: Mapping[str, str], warm: bool):
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._wanted: Any = context.Value("i", 0, lock=False)
        # no daemon: those may not have children, and cropping has
        self._process = context.Process(
            target=serve, args=(theirs, self._wanted, dict(jobs), warm), daemon=False
        )
        self._process.start()
        theirs.close()
        self.ending: tuple[Status, str] = ("done", "")

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def send(self, work: Work) -> None:
        try:
            self._pipe.send(work)
        except (BrokenPipeError, OSError):
            raise Died(self._obituary()) from None

    def hear(self, number: int) -> Progress | None:
        """The next progress of this work; None when it has ended, as `ending` says."""
        while True:
            try:
                kind, about, *rest = self._pipe.recv()
            except (EOFError, OSError):
                raise Died(self._obituary()) from None
            if about != number:
                continue
            if kind == "ended":
                self.ending = (rest[0], rest[1])
                return None
            if kind == "progress":
                return rest[1]

    def stop(self, number: int) -> None:
        """Interrupt this work, and no other."""
        self._wanted.value = number
        self._signal(signal.SIGINT)

    def end(self) -> None:
        """End the process, which interrupts what it does; at the worst without its consent."""
        self._signal(signal.SIGTERM)
        self._process.join(_LAST_WORDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._pipe.close()

    def _signal(self, number: signal.Signals) -> None:
        if self._process.is_alive() and self._process.pid is not None:
            with contextlib.suppress(ProcessLookupError, OSError):
                os.kill(self._process.pid, number)

    def _obituary(self) -> str:
        self._process.join(_LAST_WORDS)
        code = self._process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            memory = ", as the system does where memory runs out" if name == "SIGKILL" else ""
            ended = f"was ended from outside ({name}{memory})"
        else:
            ended = "ended unexpectedly; the terminal of the studio may show why"
        return f"the process that computes {ended}; a new one is there, and Go on continues"
