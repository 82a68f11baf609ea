"""The figure that a job writes, as it is written and when all is done."""

import math
from collections.abc import Mapping
from typing import Any

from lab.errors import UserError
from lab.run import METRICS, Run


class WrongObjective(UserError):
    """The figure that is to be optimised is not among those that the job writes."""


class Curve:
    """A figure in metrics.jsonl, followed while the job writes it."""

    def __init__(self, run: Run, figure: str):
        self._run, self.figure = run, figure
        self._seen: tuple[int, int] | None = None
        self.points: dict[int, float] = {}
        """Step -> value; NaN where the job wrote that there is none."""

    def look(self) -> list[tuple[int, float]]:
        """The points that were written since the last look, by step."""
        path = self._run.folder / METRICS
        state = (path.stat().st_mtime_ns, path.stat().st_size) if path.exists() else None
        if state == self._seen:
            return []
        self._seen = state
        lines = [line for line in self._run.metrics() if self.figure in line]
        points = {
            int(line.get("step", number)): _as_float(line[self.figure])
            for number, line in enumerate(lines)
        }
        new = [(step, value) for step, value in points.items() if step not in self.points]
        self.points = points
        return new


def _as_float(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def final_figure(run: Run, figure: str) -> float:
    """The figure in a finished job's manifest, `measure.frechet` being `frechet` in `measure`; NaN
    where the job wrote that there is none.

    Raises:
        WrongObjective: there is no such figure, neither there nor in metrics.jsonl.
    """
    manifest = run.read_manifest()
    value: Any = manifest
    for key in figure.split("."):
        if not isinstance(value, dict) or key not in value:
            known = sorted({key for line in run.metrics() for key in line})
            known += sorted(_numbers({key: manifest[key] for key in run.manifest}))
            there = f"; there are {', '.join(known)}" if known else ""
            raise WrongObjective(
                f"tune.objective: {run.job} wrote no figure called {figure}{there}"
            )
        value = value[key]
    return _as_float(value)


def _numbers(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    found = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            found += _numbers(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append(f"{prefix}{key}")
    return found
