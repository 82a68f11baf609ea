"""The processes that `accelerate launch` started, and what they do together."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import reduce

from lab.device import pick_device
from lab.run import process_count

Item = TypeVar("Item")


class Processes:
    """All processes of a launch, seen from one; for a single one, nothing here does a thing.

    `index` is this process's number, `count` how many there are.
    """

    def __init__(self, device: str = "auto"):
        self._state: PartialState | None = None
        self.index, self.count = 0, 1
        if process_count() > 1:
            on_cpu = pick_device(device).type == "cpu"
            self._state = PartialState(cpu=on_cpu, timeout=timedelta(days=7))
            self.index = self._state.process_index
            self.count = self._state.num_processes

    @classmethod
    def alone(cls) -> "Processes":
        """This process by itself, also where a launch started more: what one of them does while
        the others wait."""
        one = cls.__new__(cls)
        one._state, one.index, one.count = None, 0, 1
        return one

    def wait(self) -> None:
        """Go on when every process has come to this point."""
        if self._state is not None:
            self._state.wait_for_everyone()

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """This process's part of the items: every `count`-th."""
        return items[self.index :: self.count]

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum of every process's tensor, the same in all of them."""
        if self._state is None:
            return tensor
        total = reduce(tensor, "sum")
        assert isinstance(total, torch.Tensor)
        return total


def leave() -> None:
    """Take leave of the other processes: the last thing that a program of a launch does.

    Otherwise the threads of torch's process group are still there when Python ends, and one that
    wants the interpreter then aborts the process: "terminate called without an active exception".
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
