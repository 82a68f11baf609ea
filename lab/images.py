"""Any picture file -> an upright RGB picture; grids and captions; PNG files with text in them."""

import io
import os
import re
import warnings
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageDraw, ImageFont, ImageOps, PngImagePlugin

from lab.errors import UserError
from lab.run import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif")
MASK_SUFFIXES = ("-masklabel.png", ".mask.png")
"""How the file of a mask ends: `cat-masklabel.png` or `cat.mask.png` beside `cat.jpg`."""
LARGEST = 2 * 89_478_485
"""Pixels of the largest picture that is read: Pillow's limit against decompression bombs."""


class ImageError(UserError):
    """A file that cannot be read as a picture."""


def find_images(folder: str | Path) -> list[Path]:
    """The picture files in a folder and the folders below it, in natural order ("2" before "10").

    Hidden files and folders and the masks beside pictures are left out, links to folders followed.

    Raises:
        UserError: when the folder does not exist, or holds no pictures.
    """
    folder = Path(folder)
    if not folder.exists():
        raise UserError(f"{folder} does not exist; name a folder of pictures")
    if not folder.is_dir():
        raise UserError(f"{folder} is a file; name the folder that it is in")
    found: list[Path] = []
    seen: set[str] = set()
    for where, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(where)
        if real in seen:  # a link that leads back up
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(where, name)
            for name in files
            if not name.startswith(".")
            and Path(name).suffix.lower() in SUFFIXES
            and not is_mask(name)
        ]
    if not found:
        raise UserError(f"{folder} has no pictures; these are read: {', '.join(SUFFIXES)}")
    return sorted(found, key=lambda path: _natural(path.relative_to(folder)))


def is_mask(path: str | Path) -> bool:
    """Whether a file is, by its name, the mask of a picture and not a picture."""
    return Path(path).name.lower().endswith(MASK_SUFFIXES)


def _natural(path: Path) -> list[tuple[list[tuple[int, int, str]], str]]:
    """A sorting key in which numbers inside names count as numbers, and folders stay together."""
    return [
        (
            [
                (0, int(part), "") if part.isdigit() else (1, 0, part.casefold())
                for part in re.split(r"([0-9]+)", name)
                if part
            ],
            name,
        )
        for name in path.parts
    ]


def read_image(path: str | Path) -> Image.Image:
    """Read a picture as RGB, as a person sees it on white paper.

    Upright by its EXIF orientation; colours through its embedded profile (CMYK too); 16-bit values
    rescaled; transparency on white; the first frame of an animation.

    Raises:
        ImageError: with one sentence, for whatever is not a whole picture.
    """
    return read_with_alpha(path)[0]


def read_with_alpha(path: str | Path) -> tuple[Image.Image, Image.Image | None]:
    """`read_image`, and the picture's own transparency as a grey picture of the same size (255 is
    opaque); None where it has none, or the same everywhere, which says nothing.

    Raises:
        ImageError: as `read_image`.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ImageError(f"{path} does not exist; name a picture") from None
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}") from None
    if problem := _not_a_picture(data):
        raise ImageError(f"{path} {problem}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata and of large pictures
            with Image.open(io.BytesIO(data)) as image:
                if image.width * image.height > LARGEST:
                    raise Image.DecompressionBombError
                image.load()
                upright = _upright(image)
                alpha = _alpha(upright)  # first: what follows takes the metadata away
                return _to_rgb(upright), alpha
    except Image.DecompressionBombError:
        raise ImageError(
            f"{path} has more than {LARGEST / 1e6:.0f} million pixels; make it smaller"
        ) from None
    except Image.UnidentifiedImageError:
        raise ImageError(
            f"{path} is not a picture that can be read; remove it or save it as PNG"
        ) from None
    except Exception as error:  # Pillow's decoders raise almost anything on damaged files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{path} is damaged ({reason}); replace or remove it") from None


def _not_a_picture(data: bytes) -> str | None:
    if not data:
        return "is empty; replace or remove it"
    if data.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer and not the picture itself; fetch it with `git lfs pull`"
    return None


def _upright(image: Image.Image) -> Image.Image:
    try:
        if image.getexif().get(ExifTags.Base.Orientation, 1) == 1:
            return image  # copies of large pictures take longer than finding what is in them
        return ImageOps.exif_transpose(image)
    except Exception:  # metadata that cannot be parsed says nothing about orientation
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _rescaled(image).convert("RGB")
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        image = _on_white(image.convert("RGBA"))
    elif image.mode in ("1", "P"):
        image = image.convert("RGB")
    if profile and (converted := _through_profile(image, profile)):
        return converted
    if image.mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        image = ImageCms.profileToProfile(image, lab, _srgb(), outputMode="RGB") or image
    return _plain(image if image.mode == "RGB" else image.convert("RGB"))


def _alpha(image: Image.Image) -> Image.Image | None:
    if not (image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info):
        return None
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):  # one level stands for "none"
        return None
    alpha = image.convert("RGBA").getchannel("A")
    low, high = alpha.getextrema()
    return alpha if low != high else None


def _rescaled(image: Image.Image) -> Image.Image:
    """Grey values of more than 8 bits, or floats, on 0..255; `convert` alone would clip them."""
    values = np.asarray(image).astype(np.float64)
    if image.mode == "F":
        values = np.nan_to_num(values)
        low, high = min(0.0, values.min()), values.max()
        high = 1.0 if high <= 1 else 255.0 if high <= 255 else high
    else:
        low, high = min(0.0, values.min()), max(65535.0, values.max())
    scaled = (values - low) * (255 / (high - low))
    return Image.fromarray(scaled.round().astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _through_profile(image: Image.Image, profile: bytes) -> Image.Image | None:
    """The picture in sRGB by its ICC profile; None where the profile does not fit the picture."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if image.mode == "RGB" and "srgb" in ImageCms.getProfileDescription(source).lower():
            return None
        converted = ImageCms.profileToProfile(image, source, _srgb(), outputMode="RGB")
        return _plain(converted) if converted else None
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _plain(image: Image.Image) -> Image.Image:
    """Without metadata: an orientation or profile that was applied must not be applied again."""
    if image.format != "JPEG":  # to copy 14 megapixels takes as long as to decode them
        image = image.copy()
    image.info = {}
    return image


KEY = "pseudoword-key"  # PNG text: a hash of everything that decides the picture


def save_png(
    image: Image.Image,
    path: str | Path,
    text: Mapping[str, str] | None = None,
    *,
    by_runs: bool = False,
) -> None:
    """Write a PNG atomically, with `text` in its text chunks (seed, prompt ...; any Unicode).

    `by_runs`: look for runs of equal bytes only, and for no repetitions. Paint and grain become as
    small, or smaller, in a third of the time; printed pages become larger.
    """
    chunks = PngImagePlugin.PngInfo()
    for key, value in (text or {}).items():
        chunks.add_itxt(key, str(value))
    way = {"compress_level": 1, "compress_type": zlib.Z_RLE} if by_runs else {}
    write_atomically(
        path, lambda temporary: image.save(temporary, format="PNG", pnginfo=chunks, **way)
    )


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure of matplotlib's as PNG, atomically."""
    write_atomically(path, lambda temporary: figure.savefig(temporary, format="png", dpi=110))


def key_of(path: Path) -> str | None:
    """What decided a picture's pixels: the `KEY` in its PNG text; None where the file is missing,
    damaged, or was not written with one."""
    try:
        with Image.open(path) as image:
            key = image.info.get(KEY)
            image.verify()  # reads to the end and checks every checksum
    except (OSError, SyntaxError, ValueError):
        return None
    return str(key) if key else None


def font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own scalable font: the same letters on every machine."""
    return ImageFont.load_default(size)


def enlarge(image: Image.Image, side: int) -> Image.Image:
    """The picture with its longer side near `side` but not above it: small pictures, seen well.

    The factor is a whole number (Lanczos), so equal pixels stay equally large. A picture that is as
    large already is returned as it is.
    """
    factor = side // max(image.size)
    if factor <= 1:
        return image
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.LANCZOS)


def with_caption(image: Image.Image, text: str, height: int = 24) -> Image.Image:
    """The picture with a white strip of `height` pixels below it and the text centred in it."""
    canvas = Image.new("RGB", (image.width, image.height + height), "white")
    canvas.paste(image.convert("RGB"), (0, 0))
    _write(canvas, text, (0, image.height, image.width, image.height + height))
    return canvas


def grid(
    images: Sequence[Image.Image],
    columns: int,
    labels: Sequence[str] | None = None,
    row_labels: Sequence[str] | None = None,
    gap: int = 4,
    background: str = "white",
) -> Image.Image:
    """Pictures in rows of `columns`, each centred in a cell of the largest one's size.

    `labels` has a caption for each picture, `row_labels` one for each row (at its left). Captions
    that do not fit are shortened.
    """
    if not images:
        raise ValueError("a grid needs at least one picture")
    columns = max(1, min(columns, len(images)))
    rows = -(-len(images) // columns)
    width, height = max(i.width for i in images), max(i.height for i in images)
    strip = max(12, min(24, height // 6)) if labels else 0
    margin = min(160, max(60, width)) + gap if row_labels else 0
    canvas = Image.new(
        "RGB",
        (margin + columns * (width + gap) + gap, rows * (height + strip + gap) + gap),
        background,
    )
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        x = margin + gap + column * (width + gap)
        y = gap + row * (height + strip + gap)
        offset = (x + (width - image.width) // 2, y + (height - image.height) // 2)
        canvas.paste(image.convert("RGB"), offset)
        if labels and index < len(labels):
            _write(canvas, labels[index], (x, y + height, x + width, y + height + strip))
        if row_labels and column == 0 and row < len(row_labels):
            _write(canvas, row_labels[row], (gap, y, margin, y + height), lines=True)
    return canvas


def _write(
    canvas: Image.Image, text: str, box: tuple[int, int, int, int], *, lines: bool = False
) -> None:
    """Text centred in a box, in black or white, wrapped if `lines`, shortened where it must be."""
    draw = ImageDraw.Draw(canvas)
    x0, y0, x1, y1 = box
    chosen = font(max(8, min(14, (y1 - y0) * 0.6)))
    parts = _wrapped(draw, text, x1 - x0, chosen) if lines else [" ".join(text.split())]
    fitting = [_shortened(draw, part, x1 - x0, chosen) for part in parts]
    middle = canvas.getpixel(((x0 + x1) // 2, min(y0, canvas.height - 1)))
    dark = isinstance(middle, tuple) and sum(middle[:3]) < 3 * 128
    draw.multiline_text(
        ((x0 + x1) / 2, (y0 + y1) / 2),
        "\n".join(fitting),
        fill="white" if dark else "black",
        font=chosen,
        anchor="mm",
        align="center",
    )


def _wrapped(draw: ImageDraw.ImageDraw, text: str, width: int, chosen) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        if lines and draw.textlength(f"{lines[-1]} {word}", font=chosen) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines or [""]


def _shortened(draw: ImageDraw.ImageDraw, text: str, width: int, chosen) -> str:
    if draw.textlength(text, font=chosen) <= width:
        return text
    while text and draw.textlength(text + "...", font=chosen) > width:
        text = text[:-1]
    return text.rstrip() + "..."
