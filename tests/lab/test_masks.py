"""Masks are found beside pictures or in them, and become weights."""

import numpy as np
import pytest
from PIL import Image

from lab.images import ImageError, find_images, read_image, read_with_alpha
from lab.masks import is_mask, mask_of, read_mask


@pytest.fixture
def half() -> Image.Image:
    """A mask of 8 x 4 pixels: its left half is learned from."""
    mask = Image.new("L", (8, 4), 0)
    mask.paste(255, (0, 0, 4, 4))
    return mask


@pytest.mark.parametrize("suffix", ["-masklabel.png", ".mask.png"])
def test_a_mask_beside_a_picture_is_found_and_is_no_picture(tmp_path, half, suffix):
    Image.new("RGB", (8, 4)).save(tmp_path / "a cat.jpg")
    half.save(tmp_path / f"a cat{suffix}")
    assert find_images(tmp_path) == [tmp_path / "a cat.jpg"]
    assert mask_of(tmp_path / "a cat.jpg") == tmp_path / f"a cat{suffix}"
    assert is_mask(f"A{suffix.upper()}")
    assert not is_mask("a masked ball.png")


def test_weights_are_shares_of_the_mask(tmp_path, half):
    Image.new("RGB", (8, 4)).save(tmp_path / "a.png")
    half.save(tmp_path / "a-masklabel.png")
    weights = read_mask(tmp_path / "a.png", (8, 4))
    assert weights is not None and weights.dtype == np.float32
    assert weights.tolist() == [[1, 1, 1, 1, 0, 0, 0, 0]] * 4
    narrow = read_mask(tmp_path / "a.png", (3, 2))
    assert narrow is not None and narrow.shape == (2, 3)
    assert narrow.mean() == pytest.approx(0.5, abs=0.01)


def test_a_named_mask_comes_before_the_one_beside(tmp_path, half):
    Image.new("RGB", (8, 4)).save(tmp_path / "a.png")
    half.save(tmp_path / "a.mask.png")
    Image.new("L", (8, 4), 255).save(tmp_path / "elsewhere.png")
    weights = read_mask(tmp_path / "a.png", (8, 4), tmp_path / "elsewhere.png")
    assert weights is not None and weights.min() == 1


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_a_mask(tmp_path, half, mode):
    if mode == "P":
        image = half.point(lambda v: v // 255).convert("P")
        image.save(tmp_path / "a.png", transparency=0)
    else:
        image = Image.new(mode, (8, 4))
        image.putalpha(half)
        image.save(tmp_path / "a.png")
    weights = read_mask(tmp_path / "a.png", (8, 4))
    assert weights is not None
    assert weights.tolist() == [[1, 1, 1, 1, 0, 0, 0, 0]] * 4


def test_transparency_turns_with_the_picture(tmp_path, half):
    image = Image.new("RGBA", (8, 4))
    image.putalpha(half)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.png", exif=exif)
    picture, alpha = read_with_alpha(tmp_path / "a.png")
    assert alpha is not None and alpha.size == picture.size == (4, 8)
    assert alpha.getpixel((0, 0)) == 255 and alpha.getpixel((0, 7)) == 0


@pytest.mark.parametrize("alpha", [255, 0])
def test_the_same_transparency_everywhere_says_nothing(tmp_path, alpha):
    Image.new("RGBA", (8, 4), (9, 9, 9, alpha)).save(tmp_path / "a.png")
    assert read_mask(tmp_path / "a.png", (8, 4)) is None


def test_no_mask_is_none_and_a_broken_one_is_named(tmp_path):
    Image.new("RGB", (8, 4)).save(tmp_path / "a.png")
    assert read_mask(tmp_path / "a.png", (8, 4)) is None
    (tmp_path / "a-masklabel.png").write_bytes(b"no")
    with pytest.raises(ImageError, match="a-masklabel"):
        read_mask(tmp_path / "a.png", (8, 4))


@pytest.mark.parametrize("mode", ["I;16", "I"])
def test_one_transparent_level_of_16_bits_is_no_mask(tmp_path, mode):
    Image.fromarray(np.full((4, 4), 900, np.uint16)).convert(mode).save(
        tmp_path / "a.png", transparency=900
    )
    assert read_image(tmp_path / "a.png").size == (4, 4)
    assert read_mask(tmp_path / "a.png", (4, 4)) is None
