"""A checkpoint is found again as it was written, or not at all."""

import random

import pytest
import torch

from lab import checkpoints

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path):
    for step in (1, 2):
        content = {"step": step, "rows": torch.full((3, 8), float(step)), "said": [0.1, "a"]}
        checkpoints.save(tmp_path, step, content, keep=2)
    return tmp_path


def test_what_was_written_is_read(folder):
    found = checkpoints.newest(folder, CPU)
    assert found is not None and found["step"] == 2 and found["said"] == [0.1, "a"]
    assert torch.equal(found["rows"], torch.full((3, 8), 2.0))


def damaged(good: bytes, seed: int) -> bytes:
    """A file that was cut off, filled with zeros, changed in one bit, or is another one."""
    rng = random.Random(seed)
    place, kind = rng.randrange(len(good)), seed % 4
    if kind == 0:
        return good[:place]
    if kind == 1:
        return good[:place] + bytes(len(good) - place) + b"\0"
    if kind == 2:
        return good[:place] + bytes([good[place] ^ 1 << rng.randrange(8)]) + good[place + 1 :]
    return rng.randbytes(place)


def test_of_a_damaged_one_nothing_is_believed(folder):
    newest = checkpoints.files(folder)[-1]
    good = newest.read_bytes()
    for seed in range(200):
        newest.write_bytes(damaged(good, seed))
        found = checkpoints.newest(folder, CPU)
        assert found is not None and found["step"] == 1, seed
    checkpoints.files(folder)[0].write_text("no checkpoint")
    assert checkpoints.newest(folder, CPU) is None
