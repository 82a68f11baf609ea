"""Any picture file becomes what a person sees, or one sentence about why not."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from lab.errors import UserError
from lab.images import (
    ImageError,
    enlarge,
    find_images,
    font,
    grid,
    read_image,
    save_png,
    with_caption,
)

LOSSLESS: dict[str, dict[str, Any]] = {".webp": {"lossless": True}, ".jpg": {"quality": 100}}
"""What to tell Pillow so that a format keeps the pixels, or nearly."""


@pytest.fixture
def picture():
    """6 x 4 pixels, all different."""
    values = np.arange(6 * 4 * 3, dtype=np.uint8).reshape(4, 6, 3) * 3
    return Image.fromarray(values)


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


# --- orientation

# EXIF orientation -> what a camera did to the upright picture (the inverse of how to show it)
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
@pytest.mark.parametrize("orientation", STORED)
def test_a_picture_is_upright_whatever_the_camera_wrote(tmp_path, picture, orientation, suffix):
    stored = picture.transpose(STORED[orientation]) if STORED[orientation] is not None else picture
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"photo{suffix}"
    stored.save(path, exif=exif, **LOSSLESS.get(suffix, {}))
    image = read_image(path)
    assert np.array_equal(pixels(image), pixels(picture))
    assert not image.getexif()


def test_an_unknown_orientation_is_left_alone(tmp_path, picture):
    exif = Image.Exif()
    exif[0x0112] = 77
    picture.save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(pixels(read_image(tmp_path / "a.png")), pixels(picture))


def test_metadata_that_is_rubbish_does_no_harm(tmp_path, picture):
    picture.save(tmp_path / "a.webp", lossless=True, exif=b"Exif\x00\x00MM\x00\xff\xff\xff\xff\xff")
    assert read_image(tmp_path / "a.webp").size == picture.size


# --- depth and colour


def ramp(dtype: type, top: float) -> np.ndarray:
    return np.linspace(0, top, 256).reshape(16, 16).astype(dtype)


def test_16_bit_grey_is_rescaled(tmp_path):
    Image.fromarray(ramp(np.uint16, 65535)).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.mode == "RGB"
    assert np.abs(pixels(image)[..., 0] - ramp(np.float64, 255)).max() <= 1


def test_16_bit_colour_is_rescaled(tmp_path):
    import cv2

    values = np.stack([ramp(np.uint16, 65535), ramp(np.uint16, 30000), ramp(np.uint16, 0)], -1)
    assert cv2.imwrite(str(tmp_path / "a.png"), values[..., ::-1])
    assert np.abs(pixels(read_image(tmp_path / "a.png")) - values / 257).max() <= 1


@pytest.mark.parametrize("top", [1.0, 255.0, 4000.0])
def test_floats_are_rescaled(tmp_path, top):
    Image.fromarray(ramp(np.float32, top)).save(tmp_path / "a.tif")
    image = read_image(tmp_path / "a.tif")
    assert np.abs(pixels(image)[..., 0] - ramp(np.float64, 255)).max() <= 1


def test_32_bit_integers_are_rescaled(tmp_path):
    Image.fromarray(ramp(np.int32, 65535)).save(tmp_path / "a.tif")
    image = read_image(tmp_path / "a.tif")
    assert np.abs(pixels(image)[..., 0] - ramp(np.float64, 255)).max() <= 1


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_is_white_paper(tmp_path, mode):
    image = Image.new(mode, (4, 4), (0, 0, 0, 0) if mode == "RGBA" else (0, 0))
    image.putpixel((1, 1), (0, 0, 0, 255) if mode == "RGBA" else (0, 255))
    image.putpixel((2, 2), (0, 0, 0, 51) if mode == "RGBA" else (0, 51))
    image.save(tmp_path / "a.png")
    got = pixels(read_image(tmp_path / "a.png"))
    assert got[0, 0].tolist() == [255, 255, 255]
    assert got[1, 1].tolist() == [0, 0, 0]
    assert got[2, 2].tolist() == [204, 204, 204]


def test_a_transparent_palette_entry_is_white_paper(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.png", transparency=0)
    got = pixels(read_image(tmp_path / "a.png"))
    assert got.tolist() == [[[255, 255, 255], [0, 0, 255]]]


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_simple_modes_are_read_as_they_are(tmp_path, picture, mode):
    picture.convert(mode).save(tmp_path / "a.png")
    expected = picture.convert(mode).convert("RGB")
    assert np.array_equal(pixels(read_image(tmp_path / "a.png")), pixels(expected))


def test_lab_colours_are_read(tmp_path, picture):
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    converted = ImageCms.profileToProfile(picture, srgb, lab, outputMode="LAB")
    assert converted is not None
    converted.save(tmp_path / "a.tif")
    assert np.abs(pixels(read_image(tmp_path / "a.tif")) - pixels(picture)).max() <= 12


@pytest.mark.parametrize("suffix", [".tif", ".jpg"])
def test_cmyk_is_ink_on_white(tmp_path, suffix):
    inks = {(0, 0, 0, 0): (255, 255, 255), (0, 0, 0, 255): (0, 0, 0), (0, 255, 255, 0): (255, 0, 0)}
    image = Image.new("CMYK", (48, 16))
    for i, ink in enumerate(inks):
        image.paste(ink, (16 * i, 0, 16 * i + 16, 16))
    image.save(tmp_path / f"a{suffix}", **LOSSLESS.get(suffix, {}))
    got = pixels(read_image(tmp_path / f"a{suffix}"))
    for i, colour in enumerate(inks.values()):
        assert np.abs(got[8, 16 * i + 8] - colour).max() <= 6


def swapped_profile() -> bytes:
    """An RGB profile whose red is blue and whose blue is red: nobody can overlook it."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")
    return swapped.replace("sRGB".encode("utf-16-be"), "odd!".encode("utf-16-be"))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_colours_go_through_the_embedded_profile(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    red = Image.new("RGB", (16, 16), (255, 0, 0))
    red.save(path, icc_profile=swapped_profile(), **LOSSLESS.get(suffix, {}))
    image = read_image(path)
    assert np.abs(pixels(image)[8, 8] - [0, 0, 255]).max() <= 3
    assert "icc_profile" not in image.info


@pytest.mark.parametrize("profile", [b"rubbish", swapped_profile()])
def test_a_profile_that_does_not_fit_is_ignored(tmp_path, profile):
    Image.new("CMYK", (4, 4), (0, 0, 0, 0)).save(tmp_path / "a.tif", icc_profile=profile)
    assert pixels(read_image(tmp_path / "a.tif"))[0, 0].tolist() == [255, 255, 255]


def test_an_srgb_profile_changes_nothing(tmp_path, picture):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture.save(tmp_path / "a.png", icc_profile=profile)
    assert np.array_equal(pixels(read_image(tmp_path / "a.png")), pixels(picture))


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_of_an_animation_the_first_frame_is_read(tmp_path, suffix):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    path = tmp_path / f"a{suffix}"
    options = LOSSLESS.get(suffix, {})
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, **options)
    assert pixels(read_image(path))[0, 0].tolist() == [255, 0, 0]


# --- what is no picture


def bomb() -> bytes:
    """A PNG that says it has 900 million pixels."""
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    body = b"IHDR" + header
    chunk = struct.pack(">I", len(header)) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\x00\x00\x00\x00IEND\xaeB`\x82"


def png_of_noise() -> bytes:
    import io

    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(buffer, format="PNG")
    return buffer.getvalue()


NO_PICTURES = {
    "text": (b"I am a text, and longer than any header that one might look at.", "not a picture"),
    "empty": (b"", "is empty"),
    "git lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "bomb": (bomb(), "million pixels"),
    "half": (png_of_noise()[:5000], "is damaged"),
    "header only": (png_of_noise()[:60], "is damaged"),
    "bit rot": (png_of_noise()[:3000] + b"\x00" * 100 + png_of_noise()[3100:], "is damaged"),
}


@pytest.mark.parametrize(("data", "words"), NO_PICTURES.values(), ids=NO_PICTURES.keys())
def test_what_is_no_picture_gets_one_sentence(tmp_path, data, words):
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with pytest.raises(ImageError) as caught:
        read_image(path)
    sentence = str(caught.value)
    assert sentence.startswith(str(path))
    assert words in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("suffix", [".jpg", ".gif", ".webp", ".tif", ".bmp"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_file_cut_off_anywhere_gets_one_sentence(tmp_path, suffix, part):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = tmp_path / f"a{suffix}"
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(ImageError) as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_get_one_sentence(tmp_path):
    with pytest.raises(ImageError, match="does not exist"):
        read_image(tmp_path / "no.png")
    with pytest.raises(ImageError, match="cannot be read"):
        read_image(tmp_path)


# --- folders


def test_pictures_are_found_in_natural_order_in_nested_folders(tmp_path):
    names = ["b/2 cat.PNG", "b/10 cat.jpg", "A 1.webp", "a 10.png", "a 2.png", "b/c/x.tiff"]
    others = ["notes.txt", ".hidden.png", ".git/x.png", "b/.cache/y.png", "x.png.txt"]
    for name in names + others:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    found = [path.relative_to(tmp_path).as_posix() for path in find_images(tmp_path)]
    assert found == [
        "A 1.webp",
        "a 2.png",
        "a 10.png",
        "b/2 cat.PNG",
        "b/10 cat.jpg",
        "b/c/x.tiff",
    ]


def test_links_are_followed_but_not_in_circles(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.png").write_bytes(b"")
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "back").symlink_to(tmp_path / "top")
    assert [path.name for path in find_images(tmp_path / "top")] == ["a.png"]


def test_a_folder_without_pictures_is_said(tmp_path):
    with pytest.raises(UserError, match="does not exist; name a folder"):
        find_images(tmp_path / "no")
    with pytest.raises(UserError, match=r"has no pictures; these are read: \.png"):
        find_images(tmp_path)
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(UserError, match="is a file"):
        find_images(tmp_path / "a.png")


# --- making pictures


def test_a_png_keeps_its_texts(tmp_path, picture):
    text = {"prompt": "a cat in the style of <wörd> 猫", "seed": "7"}
    save_png(picture, tmp_path / "deep" / "a.png", text)
    with Image.open(tmp_path / "deep" / "a.png") as image:
        assert image.info == text
        assert np.array_equal(pixels(image), pixels(picture))
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.png"]


def test_the_same_picture_gives_the_same_bytes(tmp_path, picture):
    for name in ("a.png", "b.png"):
        save_png(picture, tmp_path / name, {"seed": "1"})
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_png_of_runs_has_the_same_pixels(tmp_path, picture):
    save_png(picture, tmp_path / "a.png", by_runs=True)
    assert read_image(tmp_path / "a.png").tobytes() == picture.tobytes()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_what_was_applied_is_not_kept(tmp_path, picture, suffix):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 1
    path = tmp_path / f"a{suffix}"
    picture.save(path, exif=exif, dpi=(72, 72))
    assert read_image(path).info == {}


def test_a_grid_shows_every_picture_untouched():
    images = [Image.new("RGB", (20, 10), (i, 2 * i, 3 * i)) for i in range(7)]
    sheet = grid(images, columns=3, gap=4)
    assert sheet.size == (3 * 24 + 4, 3 * 14 + 4)
    for i, image in enumerate(images):
        x, y = 4 + (i % 3) * 24, 4 + (i // 3) * 14
        assert np.array_equal(pixels(sheet.crop((x, y, x + 20, y + 10))), pixels(image))
    assert sheet.getpixel((30, 40)) == (255, 255, 255)


def test_labels_stand_outside_the_pictures():
    images = [Image.new("RGB", (80, 60), "navy") for _ in range(4)]
    bare = grid(images, columns=2)
    labelled = grid(images, 2, labels=["s = 0", "s = 1", "", "long " * 40], row_labels=["a", "b c"])
    assert labelled.width > bare.width
    assert labelled.height > bare.height
    navy = np.array([0, 0, 128])
    assert (pixels(labelled) == navy).all(-1).sum() == 4 * 80 * 60
    assert (pixels(labelled).sum(-1) < 100).sum() > 20  # something is written in black


def test_a_grid_of_fewer_pictures_than_columns_is_no_wider():
    assert grid([Image.new("RGB", (10, 10))], columns=5, gap=0).size == (10, 10)
    with pytest.raises(ValueError, match="at least one"):
        grid([], 3)


def test_a_caption_is_added_below(picture):
    big = picture.resize((120, 80))
    captioned = with_caption(big, "s = 7.5", 24)
    assert captioned.size == (120, 104)
    assert np.array_equal(pixels(captioned.crop((0, 0, 120, 80))), pixels(big))
    assert pixels(captioned.crop((0, 80, 120, 104))).min() < 100


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [((64, 64), 256, (256, 256)), ((64, 32), 200, (192, 96)), ((300, 9), 256, (300, 9))],
)
def test_small_pictures_are_enlarged_by_a_whole_factor(size, side, expected):
    assert enlarge(Image.new("RGB", size), side).size == expected


def test_the_font_is_the_same_everywhere():
    assert font(20).getbbox("pseudoword")[2] > font(10).getbbox("pseudoword")[2]


def test_paths_may_be_text(tmp_path, picture):
    save_png(picture, str(tmp_path / "a.png"))
    assert read_image(str(tmp_path / "a.png")).size == picture.size
    assert find_images(str(tmp_path)) == [Path(tmp_path, "a.png")]
