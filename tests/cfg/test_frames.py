"""Which pictures are there, whose they are, and which are no longer wanted."""

from decimal import Decimal

import numpy as np

from cfg.cells import frames_of, lines_of, plain
from cfg.config import Config
from cfg.frames import missing, read_frame, remove_others, save_frame
from lab.images import key_of


def frames(folder, *scales, **settings):
    (line,) = lines_of(Config(prompt="a cat"), [])
    return frames_of(line, [Decimal(scale) for scale in scales], folder, settings)


def draw(chosen):
    """A picture whose colour tells the scale it was drawn for."""
    for frame in chosen:
        save_frame(frame, np.full((8, 8, 3), int(frame.scale * 10), np.uint8), {}, "tiny")


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
    assert key_of(tmp_path / "nothing.png") is None


def test_a_picture_of_other_settings_in_the_place_of_this_one_does_not_count(tmp_path):
    mine, other = frames(tmp_path, "0", model="a"), frames(tmp_path, "0", model="b")
    draw(other)
    mine[0].path.parent.mkdir()
    other[0].path.replace(mine[0].path)
    assert missing(mine) == list(mine)


def test_another_range_keeps_what_is_common_and_removes_the_rest(tmp_path):
    draw(frames(tmp_path, "0", "1", "2", "3"))
    (tmp_path / "000009.png").write_bytes(b"no picture")
    (tmp_path / "an-old-line").mkdir()
    finer = frames(tmp_path, "-1", "3", "0.5", "2", "1", "0")
    (finer[0].path.parent / ".tmp-0123.png").write_bytes(b"left by a kill")
    remove_others(finer, tmp_path)
    assert [plain(frame.scale) for frame in missing(finer)] == ["-1", "0.5"]
    for frame in finer:
        if frame not in missing(finer):
            assert read_frame(frame)[0, 0, 0] == frame.scale * 10
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 4


def test_pictures_of_other_settings_are_removed(tmp_path):
    draw(frames(tmp_path, "0", "1"))
    remove_others(frames(tmp_path, "0", "1", model="other"), tmp_path)
    assert list(tmp_path.iterdir()) == []
