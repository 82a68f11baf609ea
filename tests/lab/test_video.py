"""Films: every frame exactly once, read back from the file."""

import os
import tracemalloc

import imageio_ffmpeg
import numpy as np
import pytest

from lab.errors import UserError
from lab.video import count_frames, read_video, video_metadata, video_rate, write_video

BITS = 10


def coded(index: int, height: int = 32, width: int = 8 * BITS) -> np.ndarray:
    """A frame that carries its number as black and white bars, which survive compression."""
    frame = np.zeros((height, width, 3), np.uint8)
    for bit in range(BITS):
        frame[:, bit * 8 : bit * 8 + 8] = 255 * (index >> bit & 1)
    return frame


def decoded(frame: np.ndarray) -> int:
    return sum(1 << bit for bit in range(BITS) if frame[16, bit * 8 + 4].mean() > 127)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
def test_1001_frames_at_14_a_second_are_all_shown_once(tmp_path, suffix):
    """moviepy's ImageSequenceClip put 409 of them elsewhere (moviepy#2412); ours must not."""
    path = tmp_path / f"film{suffix}"
    asked: list[int] = []
    told: list[int] = []

    def frame(index: int) -> np.ndarray:
        asked.append(index)
        return coded(index)

    write_video(frame, 1001, 14, path, told.append)
    assert [decoded(shown) for shown in read_video(path)] == list(range(1001))
    assert asked == list(range(1001))
    assert told == list(range(1, 1002))
    assert count_frames(path) == 1001


@pytest.mark.parametrize("fps", [1, 7.5, 14, 23.976, 29.97, 60])
@pytest.mark.parametrize("count", [1, 2, 29, 61, 123])  # 61 / 14 * 14 is less than 61
def test_every_rate_and_length(tmp_path, fps, count):
    path = tmp_path / "film.mp4"
    write_video(coded, count, fps, path)
    assert [decoded(shown) for shown in read_video(path)] == list(range(count))
    assert video_rate(path) == pytest.approx(fps, abs=0.01)


def test_browsers_can_play_it(tmp_path):
    path = tmp_path / "film.mp4"
    write_video(coded, 30, 14, path)
    information = next(imageio_ffmpeg.read_frames(str(path)))
    assert information["pix_fmt"].startswith("yuv420p")
    assert information["codec"] == "h264"
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # it starts before it is loaded whole


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
@pytest.mark.parametrize(("height", "width"), [(33, 81), (32, 81), (33, 80)])
def test_odd_sides_become_even_by_repeating_the_edge(tmp_path, suffix, height, width):
    path = tmp_path / f"film{suffix}"
    ramp = np.linspace(0, 200, width).astype(np.uint8)
    picture = np.broadcast_to(ramp[None, :, None], (height, width, 3)).copy()
    write_video(lambda index: picture, 3, 10, path)
    for shown in read_video(path):
        assert shown.shape == (height + height % 2, width + width % 2, 3)
        assert np.abs(shown[:height, :width].astype(int) - picture).mean() < 12
        assert np.abs(shown[:, -1].astype(int) - 200).mean() < 12


def test_colours_are_kept(tmp_path):
    path = tmp_path / "film.mp4"
    colour = np.array([200, 30, 120], np.uint8)
    write_video(lambda index: np.broadcast_to(colour, (64, 64, 3)).copy(), 3, 10, path)
    for shown in read_video(path):
        assert np.abs(shown.astype(int) - colour).max() <= 6


def test_frames_are_not_kept_in_memory(tmp_path):
    side, count = 256, 200

    def frame(index: int) -> np.ndarray:
        return np.full((side, side, 3), index % 256, np.uint8)

    tracemalloc.start()
    try:
        write_video(frame, count, 30, tmp_path / "film.mp4")
        for _ in read_video(tmp_path / "film.mp4"):
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 * side * side * 3  # a dozen frames, not two hundred


def test_a_film_that_fails_leaves_the_old_one(tmp_path):
    path = tmp_path / "film.mp4"
    write_video(coded, 3, 14, path)
    before = path.read_bytes()

    def frame(index: int) -> np.ndarray:
        if index == 5:
            raise RuntimeError("no more pictures")
        return coded(index)

    with pytest.raises(RuntimeError, match="no more pictures"):
        write_video(frame, 9, 14, path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["film.mp4"]


def test_frames_of_another_size_or_kind_are_refused(tmp_path):
    with pytest.raises(ValueError, match="another size"):
        write_video(lambda i: np.zeros((8, 8 + 2 * i, 3), np.uint8), 3, 14, tmp_path / "a.mp4")
    with pytest.raises(ValueError, match="uint8"):
        write_video(lambda i: np.zeros((8, 8, 3), np.float32), 3, 14, tmp_path / "a.mp4")
    with pytest.raises(ValueError, match="needs frames"):
        write_video(coded, 0, 14, tmp_path / "a.mp4")
    assert os.listdir(tmp_path) == []


def test_what_cannot_be_written_or_read_is_said(tmp_path):
    with pytest.raises(UserError, match=r"use \.mp4, \.webm, \.gif"):
        write_video(coded, 3, 14, tmp_path / "a.avi")
    with pytest.raises(UserError, match="at most 50 frames"):
        write_video(coded, 3, 60, tmp_path / "a.gif")
    with pytest.raises(UserError, match="does not exist"):
        next(read_video(tmp_path / "a.mp4"))
    (tmp_path / "a.mp4").write_text("no film")
    with pytest.raises(UserError, match="not a film"):
        next(read_video(tmp_path / "a.mp4"))


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
def test_a_film_says_what_it_is_of(tmp_path, suffix):
    about = {
        "title": "eine Taube; s = 0…20 #1",
        "comment": "x/cfg/manifest.json, key 0123456789abcdef " * 8,
    }
    path = tmp_path / f"film{suffix}"
    write_video(coded, 5, 14, path, metadata=about)
    said = video_metadata(path)
    assert {name: said[name].strip() for name in about} == {k: v.strip() for k, v in about.items()}
    assert [decoded(shown) for shown in read_video(path)] == list(range(5))


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
def test_the_same_frames_are_the_same_bytes(tmp_path, suffix):
    for name in ("one", "other"):
        write_video(coded, 40, 14, tmp_path / f"{name}{suffix}", metadata={"title": "x"})
    first, second = ((tmp_path / f"{name}{suffix}").read_bytes() for name in ("one", "other"))
    assert first == second
