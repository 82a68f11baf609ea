"""The process that computes: it takes one piece of work after another, and keeps torch imported.

It does what the terminal does with an experiment file. The server tells it what to run through a
pipe and hears each Progress through the same; it stops it as Ctrl-C does, with a signal.
"""

import gc
import importlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from lab.config import load_experiment
from lab.errors import UserError
from studio import cli

WARM = ("cfg.job", "inversion.job")
"""Imported before the first piece of work comes: torch, diffusers and transformers with them."""
_SECONDS_BETWEEN_MESSAGES = 0.05


@dataclass(frozen=True)
class Work:
    """One ticket, as the worker is told of it."""

    number: int
    file: str
    """The experiment file."""
    sections: tuple[str, ...]
    outputs: str


class _Signals:
    """SIGINT interrupts the work that is meant, and nothing else."""

    def __init__(self, wanted: Any):
        self.wanted = wanted
        self.current = 0
        self.ending = False
        signal.signal(signal.SIGINT, self._interrupt)
        signal.signal(signal.SIGTERM, self._end)

    @property
    def stopping(self) -> bool:
        return self.ending or self.wanted.value == self.current

    def _interrupt(self, *_: object) -> None:
        if self.current and self.stopping:
            raise KeyboardInterrupt

    def _end(self, *_: object) -> None:
        self.ending = True
        if self.current:
            raise KeyboardInterrupt
        raise SystemExit(0)


def serve(pipe: Connection, wanted: Any, jobs: Mapping[str, str], warm: bool) -> None:
    """Run what comes through `pipe` until it closes. `wanted` is the number that is to stop."""
    with suppress(AttributeError, OSError):
        os.setpgid(0, 0)  # Ctrl-C in the terminal is for the server, which then says what to do
    signals = _Signals(wanted)
    cli.quieten()
    cli.share_the_machine()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if warm:
        _import(WARM)
    pipe.send(("ready", 0))
    while not signals.ending:
        try:
            work = pipe.recv()
        except (EOFError, OSError):
            return
        ended = _run(work, pipe, jobs, signals)
        with suppress(BrokenPipeError, OSError):
            pipe.send(("ended", work.number, *ended))
        _forget_models()


def _import(modules: tuple[str, ...]) -> None:
    for name in modules:
        with suppress(ImportError):
            importlib.import_module(name)


def _run(
    work: Work, pipe: Connection, jobs: Mapping[str, str], signals: _Signals
) -> tuple[str, str]:
    """The work's end: done, stopped or failed, and the sentence that says why."""
    try:
        try:
            signals.current = work.number
            _steps(work, pipe, jobs, signals)
        finally:
            signals.current = 0
    except KeyboardInterrupt:
        return "stopped", ""
    except UserError as error:
        return "failed", str(error)
    except (BrokenPipeError, ConnectionResetError):
        signals.ending = True  # nobody is there to hear
        return "stopped", ""
    except OSError as error:
        if error.errno in cli.ENVIRONMENT_ERRORS:
            place = f": {error.filename}" if error.filename else ""
            return "failed", f"{error.strerror}{place}"
        return "failed", _unforeseen(error)
    except Exception as error:
        return "failed", _unforeseen(error)
    return "done", ""


def _unforeseen(error: Exception) -> str:
    traceback.print_exc(file=sys.stderr)
    return (
        f"this should not have happened ({type(error).__name__}: {error}); the terminal of the "
        "studio shows where"
    )


def _steps(work: Work, pipe: Connection, jobs: Mapping[str, str], signals: _Signals) -> None:
    if signals.stopping:
        raise KeyboardInterrupt
    experiment = load_experiment(work.file, [], cli.models(jobs))
    said = 0.0
    for section in work.sections:
        command = f"pseudoword {section} {work.file}"
        with closing(cli.steps_of(experiment, section, jobs, work.outputs, command)) as steps:
            for progress in steps:
                now = time.monotonic()
                ends = progress.done in (0, progress.total)
                if ends or now - said >= _SECONDS_BETWEEN_MESSAGES:
                    pipe.send(("progress", work.number, section, progress))
                    said = now
                if signals.stopping:
                    raise KeyboardInterrupt


def _forget_models() -> None:
    """Give the device's memory back, so that a terminal run beside the studio has room."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
