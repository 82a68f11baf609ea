"""Where memory runs out, the same work is done in smaller parts."""

import pytest
import torch

from lab.errors import UserError
from lab.memory import enough_memory, is_out_of_memory, until_it_fits


def works_up_to(most: int, error: type[Exception], said: str = "CUDA out of memory"):
    tried: list[int] = []

    def work(size: int) -> str:
        tried.append(size)
        if size > most:
            raise error(said)
        return f"done with {size}"

    return work, tried


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError, MemoryError])
def test_the_size_is_halved_until_it_fits(error):
    work, tried = works_up_to(3, error)
    assert until_it_fits(work, 10, "") == ("done with 3", 3)
    assert tried == [10, 5, 3]


def test_what_fits_is_done_once():
    work, tried = works_up_to(8, RuntimeError)
    assert until_it_fits(work, 8, "") == ("done with 8", 8)
    assert tried == [8]


def test_another_error_is_not_taken_for_it():
    work, tried = works_up_to(3, RuntimeError, "shapes do not match")
    with pytest.raises(RuntimeError, match="shapes"):
        until_it_fits(work, 10, "")
    assert tried == [10]
    assert not is_out_of_memory(ValueError("out of memory"))


def test_no_room_for_one_is_said_with_the_remedy():
    work, _ = works_up_to(0, torch.OutOfMemoryError)
    with pytest.raises(UserError, match="single picture: buy more"):
        until_it_fits(work, 4, "buy more")


def test_the_sentences_of_the_other_devices_are_known():
    for said in (
        "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried",
        "MPS backend out of memory (MPS allocated: 9 GB)",
    ):
        assert is_out_of_memory(RuntimeError(said))


def test_running_out_is_one_sentence_with_the_remedy_and_nothing_else_is():
    with (
        pytest.raises(UserError, match=r"not enough: set batch_size below 8$"),
        enough_memory("set batch_size below 8"),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    with pytest.raises(RuntimeError, match="shapes"), enough_memory("set batch_size below 8"):
        raise RuntimeError("shapes do not match")
