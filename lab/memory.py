"""What to do when a device has no memory left: the same work in smaller parts."""

import gc
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from lab.errors import UserError

Result = TypeVar("Result")

# what torch says where it has no type for it: the CPU's allocator, and Apple's
_SENTENCES = ("can't allocate memory", "not enough memory", "out of memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory has run out, and nothing else."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(part in said for part in _SENTENCES)


def until_it_fits(work: Callable[[int], Result], size: int, remedy: str) -> tuple[Result, int]:
    """`work(size)`, or where memory runs out the same with half the size, and so on.

    `work` has to begin anew each time. Returns its result and the size that fitted: begin with that
    the next time.

    Raises:
        UserError: there is no memory even for size 1; `remedy` says what else would help.
    """
    while True:
        try:
            return work(size), size
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if size == 1:
                raise UserError(f"there is no memory for a single picture: {remedy}") from None
        # not inside `except`: the traceback holds the tensors that are to be freed
        size = math.ceil(size / 2)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


@contextmanager
def enough_memory(remedy: str) -> Iterator[None]:
    """Within it, running out of memory is one sentence that ends with `remedy`.

    Raises:
        UserError: instead of the error of whoever found no memory.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(f"the memory of the device is not enough: {remedy}") from error


def peak_memory(device: torch.device) -> int:
    """Bytes at the highest moment of this process: on CUDA what torch held, else resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
