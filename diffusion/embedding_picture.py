"""Pictures that carry a word, as AUTOMATIC1111 shares them: a card to look at, and the vectors.

The vectors are there twice, each sufficient: in a PNG text chunk, which image hosts remove, and in
the low four bits of two blocks of pixels at the card's sides, which survive any lossless copy.
The rules are those of AUTOMATIC1111/stable-diffusion-webui, modules/textual_inversion/
image_embedding.py, and the pictures of either program are read by the other.
"""

import base64
import json
import math
import zlib
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageOps, PngImagePlugin
from torch import Tensor

from lab.errors import UserError
from lab.images import font, read_image
from lab.run import write_atomically

CHUNK = "sd-ti-embedding"
TENSOR = "TORCHTENSOR"
SIDE = 512  # px of the card between its two blocks of data
MOST_BYTES = 64 * 2**20
"""Of the text that a picture's data may unpack to; 75 vectors of width 1280 take 2 MB."""


def read(path: Path) -> tuple[Any, dict[str, Any]]:
    """The containers and tensors that a picture carries, and no metadata.

    Raises:
        UserError: the picture carries none, or is damaged.
    """
    try:
        with Image.open(path) as image:
            image.load()
            chunk = getattr(image, "text", {}).get(CHUNK)
            pixels = np.asarray(image.convert("RGB"))
    except Exception as error:  # Pillow's decoders raise almost anything on damaged files
        raise UserError(f"{path}: this picture is damaged; get the file again") from error
    try:
        text = base64.b64decode(chunk) if chunk else _hidden_text(pixels)
        if text is not None:
            return _from_json(text), {}
    except Exception as error:  # what lies there may be anything, nested without end too
        raise UserError(
            f"{path}: what this picture says of its word is damaged; get the original file"
        ) from error
    raise UserError(
        f"{path}: this is a picture without a word in it; where it was shared, look for the "
        "original file: hosts that recompress pictures remove the vectors"
    )


def _from_json(text: bytes) -> Any:
    def revived(values: dict[str, Any]) -> Any:
        if TENSOR in values:
            return torch.from_numpy(np.array(values[TENSOR], np.float64)).float()
        return values

    return json.loads(text, object_hook=revived)


def _as_json(values: Mapping[str, Any]) -> bytes:
    def plain(value: Any) -> Any:
        if isinstance(value, Tensor):
            return {TENSOR: value.detach().float().cpu().tolist()}
        raise TypeError(f"{type(value).__name__} has no place in a picture")

    return json.dumps(dict(values), default=plain).encode()


def save(path: Path, values: Mapping[str, Any], card: Image.Image) -> None:
    """Write `card` with the `values` of an AUTOMATIC1111 file in it, as PNG or lossless WebP.

    `values` has the vectors under string_to_param, {"*": [n, d]}.
    """
    text = _as_json(values)
    vectors = next(iter(values["string_to_param"].values()))
    picture = hide(card, text, _shades(vectors))

    def write(temporary: Path) -> None:
        if path.suffix.lower() == ".webp":  # it has no text chunks: the pixels are all there is
            picture.save(temporary, "WEBP", lossless=True, exact=True)
            return
        chunks = PngImagePlugin.PngInfo()
        chunks.add_text(CHUNK, base64.b64encode(text).decode())
        picture.save(temporary, "PNG", pnginfo=chunks)

    write_atomically(path, write)


def hide(card: Image.Image, text: bytes, shades: np.ndarray) -> Image.Image:
    """The card with `text`, compressed, in a block of pixels at each side, behind a black column.

    The left block has the low four bits of every byte, the right one the high four, each in the low
    four bits of a colour value. `shades` (bytes) draw the pattern that the high bits show.
    """
    data = np.frombuffer(zlib.compress(text, level=9), np.uint8)
    height = card.height
    # whole columns of RGB pixels, and always a little more than there is to write
    size = len(data) + height - len(data) % height
    size += 3 * height - size % (3 * height)
    blocks = []
    for nibbles, order in ((data & 0x0F, shades), (data >> 4, shades[::-1])):
        block = np.resize(nibbles, size).reshape(height, -1, 3)
        blocks.append((block ^ _scramble(block.shape)) | _pattern(block.shape, order))
    low, high = (Image.fromarray(block) for block in blocks)
    whole = Image.new("RGB", (low.width + card.width + high.width + 2, height))
    whole.paste(low, (0, 0))
    whole.paste(card.convert("RGB"), (low.width + 1, 0))
    whole.paste(high, (low.width + 1 + card.width + 1, 0))
    return whole


def _hidden_text(pixels: np.ndarray) -> bytes | None:
    """The text that `hide` put into pixels [h, w, 3]; None where there is none."""
    lit = (pixels > 0).all(axis=2)  # cut a black frame off
    if not lit.any():
        return None
    columns, rows = np.flatnonzero(np.any(lit, axis=0)), np.flatnonzero(np.any(lit, axis=1))
    inner = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] & 0x0F
    black = np.flatnonzero(inner.sum(axis=(0, 2)) == 0)
    if len(black) < 2:
        return None
    low, high = inner[:, : black[0]], inner[:, black[-1] + 1 :]
    if low.shape != high.shape or not low.size:
        return None
    scramble = _scramble(low.shape)
    data = ((high ^ scramble) << 4) | (low ^ scramble)
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(data.tobytes(), MOST_BYTES)
    except zlib.error:  # two black columns are no proof that a picture carries anything
        return None
    return text if unpacker.eof else None


def _scramble(shape: tuple[int, ...]) -> np.ndarray:
    """The low four bits of a linear congruential sequence (Numerical Recipes' constants), so that
    equal data do not show as stripes."""
    count = math.prod(shape)

    def sequence() -> Iterator[int]:
        state = 0
        while True:
            state = (1664525 * state + 1013904223) % 2**32
            yield state % 255 & 0x0F

    return np.fromiter(islice(sequence(), count), np.uint8, count).reshape(shape)


def _shades(vectors: Tensor) -> np.ndarray:
    """Bytes that are different for different words: the first vector's magnitudes, 0..255."""
    sizes = vectors[0].detach().float().cpu().abs().numpy()[:1024]
    return (sizes / (sizes.max() or 1.0) * 255).astype(np.uint8)


def _pattern(shape: tuple[int, ...], shades: np.ndarray) -> np.ndarray:
    """Rows of discs in grey, of which only the high four bits are kept."""
    image = Image.new("RGB", (shape[1], shape[0]))
    draw = ImageDraw.Draw(image)
    count = 0
    for x in range(-6, image.width, 8):
        for row, y in enumerate(range(-6, image.height, 8)):
            left = x + (4 if row % 2 == 0 else 0)
            shade = int(shades[count % len(shades)])
            draw.ellipse((left, y, left + 6, y + 6), fill=(shade, shade, shade))
            count += 1
    return np.asarray(image) & 0xF0


def card(
    title: str, footers: tuple[str, str, str], vectors: Tensor, picture: Path | None = None
) -> Image.Image:
    """What one sees: a picture, darkened at its ends, with the word's name and three facts.

    Without a picture the vectors themselves are drawn, a band for each.
    """
    background = portrait(vectors) if picture is None else read_image(picture)
    image = ImageOps.fit(background, (SIDE, SIDE), Image.Resampling.LANCZOS)
    line = np.arange(SIDE) / SIDE * 1.5
    dark = 1 - np.cos(np.maximum(line, (1.5 - line) * 1.1))
    veil = Image.fromarray((dark * 255).clip(0, 255).astype(np.uint8)[:, None])
    image.paste("black", (0, 0), veil.resize(image.size))
    draw = ImageDraw.Draw(image)
    edge = SIDE // 40
    draw.text((edge, edge), title, "white", font(_fitting(title, 0.75 * SIDE, 72)), anchor="lt")
    size = min(_fitting(text, SIDE / 3 - 2 * edge, 32) for text in footers)
    places = ((edge, "ls"), (SIDE // 2, "ms"), (SIDE - edge, "rs"))
    for text, (x, anchor) in zip(footers, places, strict=True):
        draw.text((x, SIDE - edge), text, "white", font(size), anchor=anchor)
    return image


def _fitting(text: str, width: float, largest: float) -> float:
    """The size in which a line of text is `width` pixels long, or the largest that it may have."""
    return max(8, min(largest, 32 * width / max(1.0, font(32).getlength(text))))


def portrait(vectors: Tensor) -> Image.Image:
    """Vectors [n, d] as a picture: a band for each, warm where it is positive, cold where not."""
    values = vectors.detach().float().cpu().numpy()
    columns = np.array_split(values, min(32, values.shape[1]), axis=1)
    cells = np.stack([column.mean(axis=1) for column in columns], axis=1)
    cells = (cells / (np.quantile(np.abs(cells), 0.9) or 1.0)).clip(-1, 1)
    warm, cold, paper = (
        np.array(c, float) for c in ((214, 93, 40), (38, 92, 128), (240, 226, 200))
    )
    mixed = np.where(
        cells[..., None] > 0,
        paper + (warm - paper) * cells[..., None],
        paper + (cold - paper) * -cells[..., None],
    )
    image = Image.fromarray(mixed.round().astype(np.uint8))
    return image.resize((SIDE, SIDE), Image.Resampling.NEAREST)
