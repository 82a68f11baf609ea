"""Films are made beside the measuring of their pictures.

ffmpeg encodes in a process of its own; the pictures are drawn for it and handed over by a thread.
"""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

from cfg.analysis import Measured
from cfg.cells import Line, Sweep
from cfg.film import chosen_lines, describe, write_film
from cfg.showing import Video
from lab.run import Progress

LOOK = 0.5  # seconds between two reports of progress


class Filming:
    """The films of a sweep, one after another, as a context around the rest of the work.

    Where that is left early, or by an error, the films are given up and leave no file.
    """

    def __init__(self, sweep: Sweep, config: Video, manifest: str):
        """`manifest` says in the films where everything about them is written."""
        self._sweep, self._config, self._manifest = sweep, config, manifest
        self._given_up = threading.Event()
        self._films: list[Future[None]] = []
        self._done = 0
        self._thread = ThreadPoolExecutor(1, "films")

    def __enter__(self) -> "Filming":
        return self

    def __exit__(self, *_: object) -> None:
        self._given_up.set()
        self._thread.shutdown(wait=True, cancel_futures=True)

    def begin(self, lines: Sequence[Line], path: Path, measured: Sequence[Measured] = ()) -> None:
        """Film these lines as soon as the films before it are done; see `write_film`."""
        about = describe(self._sweep, lines, self._manifest)

        def make() -> None:
            write_film(
                self._sweep, lines, self._config, path,
                metadata=about, on_frame=self._count, measured=measured,
            )  # fmt: skip

        self._films.append(self._thread.submit(make))

    def _count(self, _: int) -> None:
        if self._given_up.is_set():
            raise RuntimeError("nobody wants this film any more")
        self._done += 1

    def finish(self) -> Iterator[Progress]:
        """Wait for all films; the first error that one of them met is raised."""
        total = len(self._films) * len(self._sweep.scales)
        waiting = set(self._films)
        while waiting:
            yield Progress("filming", self._done, total)
            _, waiting = wait(waiting, LOOK)
        for film in self._films:
            film.result()
        yield Progress("filming", total, total)


def films_of(sweep: Sweep, config: Video, folder: Path) -> Iterator[tuple[tuple[Line, ...], Path]]:
    """Which lines are filmed into which files of `folder`: several of them side by side and, if
    asked for, each alone; all of it in each of the formats."""
    together = tuple(chosen_lines(sweep.lines, config.most))
    for suffix in config.formats:
        yield together, folder / f"guidance.{suffix}"
    if config.each and len(sweep.lines) > 1:
        for number, line in enumerate(sweep.lines):
            stem = f"{number:03}-{sweep.of(line)[0].path.parent.name}"
            for suffix in config.formats:
                yield (line,), folder / "films" / f"{stem}.{suffix}"
