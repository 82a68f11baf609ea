"""What every tab of the studio is given: where results lie, what may be read, and the queue."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import UserError
from studio.web.places import Places
from studio.web.queue import Queue


@dataclass(frozen=True)
class Bench:
    """One studio: its folder of results, the places that it may touch, its queue."""

    outputs: Path
    places: Places
    queue: Queue

    def folder(self, name: str, job: str) -> Path:
        """outputs/NAME/JOB, which may not exist yet.

        Raises:
            UserError: for a name that is no single plain folder, or a job that there is not.
        """
        if job not in self.queue.jobs:
            raise UserError(f"{job} is no job; there are {', '.join(self.queue.jobs)}")
        return self.outputs / self.places.name(name) / job


@dataclass(frozen=True)
class Tab:
    """What a tab's `tab(bench)` returns, so that "make this again" and the address can reach it."""

    id: str
    """Of its gr.Tab: crop, invert, guidance or denoise."""
    job: str
    """Whose runs it shows: cropping, inversion, cfg or ddpm."""
    inputs: Sequence[Any]
    """The components of its form, in the order of `fill`."""
    fill: Callable[[dict[str, Any]], Sequence[Any]]
    """From a whole configuration, {"name": ..., "cfg": {...}}, as manifest.json has it: a value or
    gr.update for each of `inputs`."""
    run_state: Any
    """The gr.State with the name of the run that the tab shows, "" for none. Setting it from
    outside has to show that run (the tab listens to its `change`)."""
