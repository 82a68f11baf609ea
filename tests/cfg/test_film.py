"""Films: every scale once and in order, what adaptive sweeps repeat, lines side by side."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image

from cfg.analysis import measure
from cfg.cells import Line
from cfg.config import Rule
from cfg.film import (
    GAP,
    Reel,
    alone,
    chosen_lines,
    columns_for,
    describe,
    labels,
    moments,
    montage,
    write_film,
)
from cfg.judge import Judge
from cfg.showing import Video
from cfg.strip import Strip
from lab.video import read_video, video_metadata, write_video

NOBODY = Judge(None, None, None, {})
BITS = 10


def line_of(seed=0, rule="plain", prompt="a cat", word=None, steps=2):
    return Line(prompt, prompt, "", word, seed, Rule(name=rule), steps, "ddim")


def coded(number: int) -> np.ndarray:
    """A picture that carries a number as black and white bars, which survive compression."""
    bits = [255 * (number >> bit & 1) for bit in range(BITS)]
    row = np.repeat(np.array(bits, np.uint8), 8)
    return np.broadcast_to(row[None, :, None], (16, 8 * BITS, 3)).copy()


def decoded(frame: np.ndarray) -> int:
    return sum(1 << bit for bit in range(BITS) if frame[8, bit * 8 + 4].mean() > 127)


def codes(line, scale):
    return coded(round(scale / 0.02))


def grey(line, scale):
    return np.full((16, 16, 3), min(255, round(10 * scale) + 40 * line.seed), np.uint8)


@pytest.mark.parametrize("suffix", ["mp4", "webm", "gif"])
def test_1001_scales_at_14_a_second_are_all_shown_in_order(tmp_path, written, suffix):
    sweep = written([line_of()], [round(0.02 * k, 2) for k in range(1001)], codes)
    path, config = tmp_path / f"film.{suffix}", Video(size=80, format=suffix)
    write_film(sweep, [line_of()], config, path, metadata={"title": "x"})
    assert [decoded(frame) for frame in read_video(path)] == list(range(1001))


def measure_nothing(sweep, line):
    """A line without the cost of measuring a thousand pictures."""
    from cfg.analysis import Measured

    frames = tuple(sorted(sweep.of(line), key=lambda frame: frame.scale))
    scales = np.array([float(frame.scale) for frame in frames])
    still = np.zeros(len(frames))
    return Measured(line, frames, scales, still[1:], still[1:], None, still, {}, None, None, None)


def test_where_an_adaptive_sweep_drew_nothing_the_picture_before_stays_with_its_own_scale(written):
    scales = [round(0.02 * k, 2) for k in range(101)]
    rendered = [0, 50, 51, 100]
    sweep = written([line_of()], scales, codes, rendered)
    look = alone(sweep, Reel.of(sweep, line_of()), Video(size=80))
    strip = Strip.of(sweep.scales, "a cat")
    for index in (0, 49, 50, 51, 99, 100):
        shown = max(k for k in rendered if k <= index)
        frame = look(index)
        assert decoded(frame) == shown
        label = np.asarray(strip.draw(sweep.scales[shown], 80))
        assert (frame[16:] == label).all()


def test_at_constant_visual_speed_equal_distances_pass_in_equal_time(written):
    """Nothing happens up to 4, then the picture brightens evenly: all the time goes there."""

    def picture(line, scale):
        return np.full((16, 16, 3), round(40 + 10 * max(0.0, scale - 4)), np.uint8)

    scales = [round(0.1 * k, 1) for k in range(101)]
    sweep = written([line_of()], scales, picture)
    measured = [measure(sweep, line_of(), NOBODY)]
    order = moments(sweep, measured, "perceptual")
    assert len(order) == 101
    assert order[0] == 0 and order[-1] == 100
    assert order == sorted(order)
    assert all(place >= 40 for place in order[1:])
    travelled = np.concatenate([[0], np.cumsum(measured[0].perceptual)])
    steps = np.diff(travelled[order])
    largest = measured[0].perceptual.max()  # no frame lies between two neighbours
    assert np.abs(np.cumsum(steps) - np.linspace(0, travelled[-1], 101)[1:]).max() <= largest * 1.01


def test_even_changes_are_shown_as_they_are(written):
    scales = list(range(11))
    sweep = written([line_of()], scales, lambda _, s: np.full((8, 8, 3), round(s), np.uint8))
    still = [measure_nothing(sweep, line_of())]
    assert moments(sweep, still, "perceptual") == list(range(11))
    assert moments(sweep, still, "none") == list(range(11))


def test_lines_stand_side_by_side_each_at_the_same_scale(written):
    lines = [line_of(seed, rule) for rule in ("plain", "apg") for seed in range(3)]
    sweep = written(lines, range(6), grey)
    measured = [measure(sweep, line, NOBODY) for line in lines]
    config = Video(size=64, label=False)
    look = montage(sweep, measured, config)
    side = 32  # 128 px for three pictures of 16 px, enlarged by whole numbers
    for index in (0, 3, 5):
        frame = look(index)
        assert frame.shape == (2 * side + GAP, 3 * side + 2 * GAP, 3)
        for k, line in enumerate(lines):
            x, y = (k % 3) * (side + GAP), (k // 3) * (side + GAP)
            tile = frame[y : y + side, x : x + side]
            assert (tile == grey(line, index)[0, 0]).all()
    labelled = montage(sweep, measured, Video(size=64))(3)
    assert labelled.shape[0] > frame.shape[0] + 60
    assert (labelled[:16, :16] == grey(lines[0], 3)[0, 0]).all()
    moved = montage(sweep, measured, Video(size=64))(4)
    assert (moved[-30:] != labelled[-30:]).any()  # the mark on the curve moves


def test_montages_are_films_too(tmp_path, written):
    lines = [line_of(seed) for seed in range(5)]
    sweep = written(lines, range(8), grey)
    measured = [measure(sweep, line, NOBODY) for line in lines]
    about = describe(sweep, lines, "x/cfg/manifest.json, key abc")
    path = tmp_path / "film.mp4"
    write_film(sweep, lines, Video(size=64), path, metadata=about, measured=measured)
    assert len(list(read_video(path))) == 8
    said = video_metadata(path)
    assert said["title"] == "a cat"
    assert "x/cfg/manifest.json, key abc" in said["comment"]
    assert "guidance scale 0 to 7" in said["comment"]


def test_lines_are_told_apart_by_what_differs():
    assert labels([line_of()]) == [""]
    assert labels([line_of(3), line_of(4)]) == ["seed 3", "seed 4"]
    assert labels([line_of(rule="plain"), line_of(rule="apg")]) == ["plain", "apg"]
    lines = [Line("a cat by [name]", f"a cat by {w}", "", w, 0, Rule(), 2, "ddim")
             for w in ("<w-1>", "<w-16>")]  # fmt: skip
    assert labels(lines) == ["<w-1>", "<w-16>"]
    many = [line_of(seed, prompt=p) for p in ("a cat", "a dog") for seed in (0, 1)]
    assert labels(many) == ["a cat, seed 0", "a cat, seed 1", "a dog, seed 0", "a dog, seed 1"]


@pytest.mark.parametrize(
    ("seeds", "others", "columns"), [(1, 1, 1), (1, 2, 2), (3, 1, 3), (16, 1, 4), (4, 3, 4)]
)
def test_places_in_a_montage(seeds, others, columns):
    lines = [line_of(seed, prompt=f"{k}") for k in range(others) for seed in range(seeds)]
    assert columns_for(lines) == columns


def test_of_too_many_lines_even_ones_are_shown():
    assert chosen_lines(list(range(10)), 10) == list(range(10))
    assert chosen_lines(list(range(10)), 4) == [0, 3, 6, 9]
    assert chosen_lines(list(range(10)), 1) == [0]


def test_a_film_holds_one_picture_of_each_line_at_a_time(tmp_path, written):
    """Peak memory of 400 frames is that of 50 (benchmarks/film_memory.py measures the process)."""
    side = 128

    def picture(line, scale):
        return np.full((side, side, 3), round(scale) % 256, np.uint8)

    sweep = written([line_of()], range(400), picture)
    look = alone(sweep, Reel.of(sweep, line_of()), Video(size=side))

    def peak(count):
        tracemalloc.start()
        try:
            write_video(look, count, 14, tmp_path / "film.mp4")
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few = peak(50)
    assert peak(400) < few + 4 * side * side * 3


def test_small_pictures_are_enlarged_by_whole_numbers_and_large_ones_fit(written):
    lines = [line_of(0), line_of(1)]
    sweep = written(lines, [0, 1], lambda _, s: np.zeros((100, 100, 3), np.uint8))
    measured = [measure_nothing(sweep, line) for line in lines]
    frame = montage(sweep, measured, Video(size=64, label=False))(0)
    assert frame.shape == (62, 62 * 2 + GAP, 3)
    assert Image.fromarray(frame).size == (128, 62)
