"""How long work will take, said before it is begun: calls are timed, and times put into words."""

import time
from collections.abc import Callable


def seconds_of(
    call: Callable[[], object], repeats: int = 3, wait: Callable[[], object] | None = None
) -> float:
    """Seconds that `call` takes: the shortest of `repeats`, since another program, or what is made
    once, can only lengthen one. `wait` returns when what the call only queued is done."""
    spent = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        if wait is not None:
            wait()
        spent.append(time.perf_counter() - begin)
    return min(spent)


def duration(seconds: float) -> str:
    """About how long, in words: `40 s`, `12 min`, `3.5 h`, `6 days`, `3 years`."""
    if seconds < 90:
        return f"{max(1, seconds):.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 2 * 86400:
        return f"{seconds / 3600:.1f} h"
    if seconds < 730 * 86400:
        return f"{seconds / 86400:,.0f} days"
    return f"{seconds / (365.25 * 86400):,.0f} years"
