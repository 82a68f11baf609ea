"""Work on many cores: a function over many items, in processes that do not outlive their parent."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Literal, TypeVar

from lab.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

# numpy's and OpenCV's own threads, times the processes, would be more than there are cores.
_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)
WORTH_A_WORKER = 8  # items: starting a process takes as long as a few of them


def worker_count(workers: int | Literal["auto"], items: int, share: int = 1) -> int:
    """How many processes to use for so many items; `share` other programs use the same cores."""
    if workers != "auto":
        return max(1, min(workers, items))
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return max(1, min(cores // share, items // WORTH_A_WORKER))


def spread(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Iterator[tuple[int, Result]]:
    """(index, function(item)) for every item, as they get done.

    One worker is this process itself. More are spawned, so that `function` and the items have to
    be picklable; an exception in one of them is raised here.

    Raises:
        UserError: when a worker is killed, as it is where memory runs out.
    """
    if workers <= 1:
        for index, item in enumerate(items):
            yield index, function(item)
        return
    with _single_threads():
        pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _watch_parent)
        try:
            futures = {pool.submit(function, item): index for index, item in enumerate(items)}
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool:
            raise UserError(
                "a worker process was ended from outside, perhaps for lack of memory; "
                "use fewer workers"
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _single_threads() -> Iterator[None]:
    """Inside, processes that are started compute with one thread each."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _watch_parent() -> None:
    """End this worker when its parent ends: a killed parent cannot tell it to."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
