"""How far a job is, on stderr: a bar in a terminal, a few lines anywhere else."""

import sys
import time
from types import TracebackType

from tqdm import tqdm

from lab.run import Progress

_SECONDS_BETWEEN_LINES = 60.0
_SHARE_BETWEEN_LINES = 0.25


class Bars:
    """A bar for each stage of a job; where there is no terminal, a line every quarter or minute."""

    def __init__(self, job: str, *, quiet: bool = False):
        self._job, self._quiet = job, quiet
        self._terminal = sys.stderr.isatty()
        self._stage: str | None = None
        self._bar: tqdm | None = None
        self._last_share, self._last_line, self._started = 0.0, 0.0, 0.0

    def __enter__(self) -> "Bars":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def show(self, progress: Progress) -> None:
        """Say how far it is now; a new stage begins a new bar."""
        if self._quiet:
            return
        if progress.stage != self._stage:
            self._close()
            self._stage = progress.stage
            self._started = self._last_line = time.monotonic()
            self._last_share = 0.0
        if self._terminal:
            self._update_bar(progress)
        else:
            self._print_line(progress)

    def _update_bar(self, progress: Progress) -> None:
        if self._bar is None:
            self._bar = tqdm(
                total=progress.total or None,
                initial=progress.done,
                desc=f"{self._job}: {progress.stage}",
                dynamic_ncols=True,
                file=sys.stderr,
            )
        self._bar.total = progress.total or None
        self._bar.set_postfix_str(progress.note, refresh=False)
        self._bar.update(progress.done - self._bar.n)

    def _print_line(self, progress: Progress) -> None:
        now = time.monotonic()
        share = progress.done / progress.total if progress.total else 0.0
        due = (
            share >= 1 > self._last_share
            or share - self._last_share >= _SHARE_BETWEEN_LINES
            or now - self._last_line >= _SECONDS_BETWEEN_LINES
        )
        if not due:
            return
        self._last_share, self._last_line = share, now
        total = f" of {progress.total}" if progress.total else ""
        note = f"  {progress.note}" if progress.note else ""
        elapsed = spoken(now - self._started)
        print(
            f"{self._job}: {progress.stage} {progress.done}{total}, {elapsed}{note}",
            file=sys.stderr,
            flush=True,
        )

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def spoken(seconds: float) -> str:
    """A duration for people: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
