"""Laws of tiles, buckets and plans."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from cropping.buckets import bucket_for, buckets, step_of
from cropping.plan import plan
from cropping.tiles import plan_tiles, tiles_of
from cropping.window import Box, fit, highlights, share_inside

EVEN = np.ones((40, 60))


@pytest.mark.parametrize("picture", [(900, 300), (300, 901), (1000, 999), (640, 480), (500, 500)])
def test_tiles_cover_the_picture_evenly_and_overlap(picture):
    tiles = [tile.box for tile in tiles_of(EVEN, picture, 512)]
    assert all(tile.inside(picture) == tile for tile in tiles)
    assert all(tile.width == tile.height == min(picture) for tile in tiles)
    starts = sorted({tile.x0 + tile.y0 for tile in tiles})
    assert starts[0] == 0
    assert starts[-1] == max(picture) - min(picture)
    steps = np.diff(starts)
    assert (steps <= 0.8 * min(picture) + 1).all()


def test_the_focal_square_takes_part_unless_a_tile_is_like_it():
    importance = np.zeros((30, 90))
    importance[10:20, 12:42] = 1
    windows = [tile.box for tile in tiles_of(importance, (900, 300), 512)]
    focal = fit(importance, (900, 300)).box
    assert focal in windows
    importance = np.zeros((30, 90))
    importance[:, 1:31] = 1
    assert 5 <= fit(importance, (900, 300)).box.x0 <= 20
    windows = [tile.box for tile in tiles_of(importance, (900, 300), 512)]
    assert [box.x0 for box in windows if box.x0 < 30] == [0]


def test_empty_tiles_are_left_out():
    importance = np.zeros((30, 90))
    importance[5:25, 2:12] = 1
    windows = tiles_of(importance, (900, 300), 512)
    assert [tile.box.x0 for tile in windows] == [0]


@pytest.mark.parametrize("side, levels", [(512, 1), (1023, 1), (1024, 2), (2047, 2), (2048, 3)])
def test_the_pyramid_ends_where_a_tile_would_be_enlarged(side, levels):
    sizes = {tile.box.width for tile in tiles_of(np.ones((50, 50)), (side, side), 512)}
    assert sizes == {side // 2**level for level in range(levels)}
    assert min(sizes) >= 512


def test_a_small_picture_is_enlarged_and_it_is_said():
    small, large = Image.new("RGB", (300, 400)), Image.new("RGB", (512, 700))
    assert plan(small, 512, pad="never").warnings == ("enlarged 1.71 times",)
    assert plan(large, 512, pad="never").warnings == ()


def test_plan_tiles_are_tuples_in_source_pixels():
    noise = np.random.default_rng(0).integers(0, 256, (300, 900, 3), np.uint8)
    tiles = plan_tiles(Image.fromarray(noise), 512)
    assert all(isinstance(tile, tuple) and len(tile) == 4 for tile in tiles)
    assert {(x1 - x0, y1 - y0) for x0, y0, x1, y1 in tiles} == {(300, 300)}


# --- shares


def test_shares_add_up():
    importance = np.random.default_rng(0).random((37, 53))
    picture = (530, 370)
    parts = [Box(0, 0, 211, 370), Box(211, 0, 530, 123), Box(211, 123, 530, 370)]
    assert sum(share_inside(importance, picture, part) for part in parts) == pytest.approx(1)
    assert share_inside(importance, picture, Box(-50, -9, 600, 400)) == pytest.approx(1)
    assert highlights(importance).sum() == pytest.approx(1)
    assert highlights(np.zeros((3, 4))).sum() == 0


# --- buckets


@pytest.mark.parametrize("size", [64, 256, 512, 768, 1024])
def test_buckets_have_the_area_and_whole_steps(size):
    for width, height in buckets(size):
        assert width % step_of(size) == height % step_of(size) == 0
        assert size / 2 <= width <= 2 * size
        assert size / 2 <= height <= 2 * size
        assert 0.75 * size**2 <= width * height <= size**2
    assert (size, size) in buckets(size)


def test_the_bucket_is_the_nearest_in_shape():
    assert step_of(512) == 64
    assert bucket_for((1000, 1000), 512) == (512, 512)
    assert bucket_for((3000, 1000), 512) == (832, 256)
    assert bucket_for((1000, 1500), 512) == tuple(reversed(bucket_for((1500, 1000), 512)))
    for picture in ((640, 480), (480, 640), (1234, 617)):
        width, height = bucket_for(picture, 512)
        assert width / height == pytest.approx(picture[0] / picture[1], rel=0.13)


# --- plans


def two_at_the_ends() -> Image.Image:
    image = Image.new("RGB", (900, 300), "white")
    draw = ImageDraw.Draw(image)
    for x in (20, 780):
        draw.ellipse((x, 100, x + 100, 200), "brown", "black", 3)
    return image


def test_what_a_square_cannot_keep_is_padded_or_tiled():
    image = two_at_the_ends()
    padded = plan(image, 64)
    assert padded.kind == "pad"
    (whole,) = padded.windows
    assert whole.box.corners == (0, -300, 900, 600)
    assert padded.lost_mass == 0
    assert "lose" in padded.reason
    cut = plan(image, 64, pad="never")
    assert cut.kind == "crop"
    assert cut.lost_mass > 0.3
    tiled = plan(image, 64, tiles=True)
    assert tiled.kind == "tiles"
    assert tiled.lost_mass < 0.02
    assert {x for w in tiled.windows for x in w.box.corners[::2]} >= {0, 900}


def test_what_fits_is_cropped_and_padding_can_be_asked_for():
    image = Image.new("RGB", (500, 300), "white")
    ImageDraw.Draw(image).ellipse((40, 90, 160, 210), "brown", "black", 3)
    assert plan(image, 64).kind == "crop"
    always = plan(image, 64, pad="always")
    assert (always.kind, always.reason) == ("pad", "padded, as was asked for")
    assert plan(image, 64, most_lost=1.0, pad="auto").kind == "crop"
    assert plan(Image.new("RGB", (300, 300)), 64, pad="always").kind == "crop"


@pytest.mark.parametrize(
    "size, edges", [((300, 500), ("upper", "lower")), ((500, 300), ("left", "right"))]
)
def test_a_figure_that_the_window_would_cut_through_is_padded_and_it_is_said_where(size, edges):
    """However little would be lost: one that is a tenth longer than the window."""
    figure = Image.new("RGB", (300, 500), "white")
    draw = ImageDraw.Draw(figure)
    draw.rectangle((110, 150, 190, 400), "navy")
    draw.ellipse((110, 70, 190, 150), "brown", "black", 3)
    image = figure if size[0] == 300 else figure.transpose(Image.Transpose.ROTATE_90)
    planned = plan(image, 64)
    assert planned.kind == "pad"
    assert planned.reason in {
        f"padded, as a crop would cut through what matters at its {edge} edge" for edge in edges
    }
    anything = plan(image, 64, most_cut=2)
    assert anything.kind == "crop"
    assert 0 < anything.lost_mass < 0.3
    assert max(anything.windows[0].cuts) > 0.3
    assert plan(image, 64, most_cut=2, most_lost=0).kind == "pad"


def test_with_buckets_the_window_has_the_buckets_shape():
    planned = plan(two_at_the_ends(), 512, buckets=True)
    width, height = planned.size
    assert planned.size == bucket_for((900, 300), 512)
    box = planned.windows[0].box
    assert box.width / box.height == pytest.approx(width / height, rel=0.01)
