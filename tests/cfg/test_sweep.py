"""Frames: their keys, their places, and which of them have to be rendered."""

from decimal import Decimal

import numpy as np
import pytest
import torch
from PIL import Image

from cfg import sweep
from cfg.sweep import KEY, batch_size_for, chunks_of, frames_of, keep_what_fits, key_of, missing
from lab.images import save_png


def frames(folder, *scales, **settings):
    return frames_of([Decimal(scale) for scale in scales], folder, {"seed": 0, **settings})


def draw(chosen):
    """A picture whose colour tells the scale it was drawn for."""
    for frame in chosen:
        colour = (int(frame.scale * 10) + 50, 0, 0)
        save_png(Image.new("RGB", (8, 8), colour), frame.path, {KEY: frame.key})


def colour_of(frame):
    with Image.open(frame.path) as image:
        return np.asarray(image)[0, 0, 0]


def test_a_key_names_the_scale_and_the_settings_but_not_the_way_they_are_written(tmp_path):
    one, same, other = (
        frames(tmp_path, "1"),
        frames(tmp_path, "1.00"),
        frames(tmp_path, "1", seed=1),
    )
    assert one[0].key == same[0].key != other[0].key
    assert frames(tmp_path, "1e1")[0].key == frames(tmp_path, "10")[0].key != one[0].key


def test_only_whole_pictures_with_the_right_key_count(tmp_path):
    planned = frames(tmp_path, "0", "1", "2", "3")
    draw(planned)
    assert missing(planned) == []
    data = planned[1].path.read_bytes()
    planned[1].path.write_bytes(data[:-20])  # torn by a crash
    damaged = bytearray(planned[2].path.read_bytes())
    damaged[-20] ^= 0xFF  # a rotten bit
    planned[2].path.write_bytes(damaged)
    planned[3].path.unlink()
    assert missing(planned) == list(planned[1:])
    assert missing(frames(tmp_path, "0", seed=1)) != []
    assert key_of(tmp_path / "nothing.png") is None


def test_another_range_moves_the_pictures_and_removes_what_is_left(tmp_path):
    draw(frames(tmp_path, "0", "1", "2", "3"))
    (tmp_path / "000009.png").write_bytes(b"no picture")
    finer = frames(tmp_path, "-1", "3", "0.5", "2", "1", "0")
    keep_what_fits(finer)
    assert [frame.scale for frame in missing(finer)] == [Decimal("-1"), Decimal("0.5")]
    for frame in finer:
        if frame not in missing(finer):
            assert colour_of(frame) == frame.scale * 10 + 50
    assert {path.name for path in tmp_path.iterdir()} == {finer[i].path.name for i in (1, 3, 4, 5)}


def test_pictures_of_other_settings_are_never_taken_for_these(tmp_path):
    draw(frames(tmp_path, "0", "1"))
    keep_what_fits(frames(tmp_path, "0", "1", seed=1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", [1, 7, 8, 9, 33])
def test_chunks_hold_every_frame_once_at_its_place(tmp_path, count):
    planned = frames(tmp_path, *map(str, range(count)))
    chunks = chunks_of(planned, 8)
    assert {len(chunk) for chunk in chunks} == {8}
    assert len(chunks) == -(-count // 8)
    assert sorted(f.index for chunk in chunks for f in chunk if f) == list(range(count))
    for chunk in chunks:
        assert all(frame.index % 8 == place for place, frame in enumerate(chunk) if frame)


def test_chunks_after_a_stop_are_those_before_it(tmp_path):
    planned = frames(tmp_path, *map(str, range(40)))
    rest = chunks_of(planned[11:], 8)
    assert rest[0][:3] == (*planned[16:19],)
    assert rest[0][3:] == (*planned[11:16],)
    assert len(rest) == 4


def test_a_halved_step_is_not_padded_to_twice_the_work(tmp_path):
    planned = frames(tmp_path, *map(str, range(200)))
    odd = [frame for frame in planned if frame.index % 2]
    chunks = chunks_of(odd, 8)
    assert len(chunks) == 13
    assert sorted(f.index for chunk in chunks for f in chunk if f) == [f.index for f in odd]
    assert chunks_of([], 8) == []


def test_the_batch_fits_the_latents_and_the_device_alone():
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert [batch_size_for((4, n, n), cpu, "auto") for n in (8, 16, 32, 64)] == [8, 8, 2, 1]
    assert [batch_size_for((4, n, n), gpu, "auto") for n in (16, 64)] == [64, 16]
    assert batch_size_for((4, 64, 64), cpu, 5) == 5


def test_scales_are_written_as_one_writes_them():
    assert [sweep.plain(Decimal(text)) for text in ("7.50", "20", "2E+1", "0.02", "0.0")] == [
        "7.5",
        "20",
        "20",
        "0.02",
        "0",
    ]
