"""Any folder becomes squares in three disjoint parts."""

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm import data as preparing
from ddpm.config import Data
from ddpm.data import divide, read_pictures
from ddpm.pixels import to_pixels, to_tensor
from ddpm.sources import open_source
from ddpm.squares import CROPS
from lab.errors import UserError


def read(data: Data, cache, seed=0):
    steps = read_pictures(open_source(data), data, seed, cache)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@pytest.fixture
def folder(draw_noise):
    """Ten pictures of 20x12 px, one twice, one larger, one in a folder below, one damaged."""
    where = draw_noise(10, (20, 12))
    copy = (where / "03 a thing.png").read_bytes()
    (where / "again.png").write_bytes(copy)
    Image.effect_noise((40, 60), 50).save(where / "tall.png")
    (where / "below").mkdir()
    Image.effect_noise((16, 16), 50).convert("RGB").save(where / "below" / "square.bmp")
    (where / "broken.png").write_bytes(copy[:50])
    return where


def test_a_folder_is_read_whole_and_what_is_broken_is_said(folder, tmp_path):
    found = read(Data(source=str(folder), size=16), tmp_path / "cache")
    assert found.pixels.shape == (13, 16, 16, 3) and found.pixels.dtype == np.uint8
    assert "below/square.bmp" in found.names
    assert len(found.left_out) == 1 and "broken.png" in found.left_out[0]
    scan = found.scan
    assert (scan.count, scan.small, scan.oblong, scan.median) == (13, 11, 12, 12)
    assert list(scan.smallest) == [20, 12] and list(scan.largest) == [40, 60]
    assert "11 of them smaller than 16 px" in scan.sentence(16)


def test_parts_share_no_picture_and_lose_none(folder, tmp_path):
    found = read(Data(source=str(folder), size=16, test=0.2), tmp_path / "cache")
    parts = [found.train, found.validation, found.test]
    assert sorted(sum(parts, ())) == list(range(13)) and all(parts)
    contents = [{found.pixels[k].tobytes() for k in part} for part in parts]
    assert not (contents[0] & contents[1] | contents[0] & contents[2] | contents[1] & contents[2])
    where = {found.names[k]: n for n, part in enumerate(parts) for k in part}
    assert where["03 a thing.png"] == where["again.png"]  # the same picture


def test_a_part_follows_from_content_and_seed_alone():
    data = Data(validation=0.25, test=0.25)
    hashes = [f"{k:02x}" for k in range(40)]
    parts = divide(hashes, data, seed=1)
    assert [len(part) for part in parts] == [20, 10, 10]
    backwards = divide(hashes[::-1], data, seed=1)
    for part, other in zip(parts, backwards, strict=True):
        assert {hashes[k] for k in part} == {hashes[::-1][k] for k in other}
    assert divide(hashes, data, seed=2) != parts
    with pytest.raises(UserError, match="none is left to train on"):
        divide(["a", "b"], data, seed=0)


def test_prepared_pictures_are_found_again(folder, tmp_path):
    data = Data(source=str(folder), size=16)
    first = read(data, tmp_path)
    (kept,) = tmp_path.glob("[!.p]*/pixels.npy") or [None]
    before = kept.stat().st_mtime_ns
    again = read(data, tmp_path)
    assert np.array_equal(first.pixels, again.pixels) and kept.stat().st_mtime_ns == before
    assert read(data.model_copy(update={"size": 8}), tmp_path).pixels.shape[1] == 8
    Image.effect_noise((16, 16), 50).save(folder / "new.png")
    assert len(read(data, tmp_path).pixels) == 14


def test_workers_prepare_what_one_process_prepares(tmp_path, monkeypatch):
    made = []
    for count in (1, 2):
        monkeypatch.setattr(preparing, "worker_count", lambda *_, count=count: count)
        read(Data(source="drawn:flowers", count=6, size=8), tmp_path / str(count))
        (folder,) = (tmp_path / str(count)).iterdir()
        made.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert made[0] == made[1] and len(made[0]) == 2


def test_families_are_drawn_and_mixed(tmp_path):
    found = read(Data(source="drawn:flowers+faces", count=10), tmp_path)
    assert found.pixels.shape == (20, 32, 32, 3)
    assert all(found.names)
    with pytest.raises(UserError, match="bananas is not drawn; there are flowers"):
        open_source(Data(source="drawn:flowers+bananas"))
    with pytest.raises(UserError, match="is no folder here"):
        open_source(Data(source="nobody/nothing"))


def test_the_transform_is_undone_exactly():
    every = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    seen = to_tensor(every)
    assert seen.shape == (1, 3, 16, 16) and seen.min() == -1 and seen.max() == 1
    assert np.array_equal(to_pixels(seen), every)
    assert to_pixels(torch.full((1, 3, 2, 2), 7.0)).max() == 255  # out of range is cut off


def test_crops_keep_what_they_promise():
    values = np.zeros((30, 90, 3), np.uint8)
    values[:, 30:60] = 200  # the middle square
    image = Image.fromarray(values)
    assert np.asarray(CROPS["centre"](image, 10)).min() > 180  # resampling looks a little outside
    squashed = np.asarray(CROPS["squash"](image, 9))
    assert squashed.shape == (9, 9, 3) and squashed[:, 4].min() > 190 and squashed[:, 0].max() < 10
    padded = np.asarray(CROPS["pad"](image, 9))
    assert padded.shape == (9, 9, 3) and len(np.unique(padded[0])) == 1  # the border colour
    assert padded[4, 4, 0] > 190 and padded[4, 0, 0] < 10


def test_too_few_pictures_are_refused(draw_noise, tmp_path):
    folder = draw_noise(3, (8, 8))
    with pytest.raises(UserError, match="has 3 pictures, and 4 are needed"):
        read(Data(source=str(folder), size=8), tmp_path / "cache")
