"""A thousand damaged and odd files: each is cropped or said in one line, and nothing is half."""

import io
import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from cropping import job
from cropping.config import Config
from lab.run import Run

FORMATS = {"png": {}, "jpg": {}, "gif": {}, "webp": {"lossless": True}, "tif": {}, "bmp": {}}


def encoded(image: Image.Image, suffix: str, **options) -> bytes:
    buffer = io.BytesIO()
    names = {"jpg": "JPEG", "tif": "TIFF"}
    image.save(buffer, names.get(suffix, suffix.upper()), **FORMATS[suffix], **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body
    return head + struct.pack(">I", zlib.crc32(body)) + b"\x00\x00\x00\x00IEND\xaeB`\x82"


def odd_pictures(noise: np.ndarray) -> Iterator[tuple[str, bytes]]:
    """Files that are pictures, of every mode, shape and metadata."""
    image = Image.fromarray(noise)
    for mode in ("1", "L", "P", "RGBA", "LA", "I", "I;16"):
        yield f"mode {mode.replace(';', ' ')}.png", encoded(image.convert("L").convert(mode), "png")
    yield "cmyk.jpg", encoded(image.convert("CMYK"), "jpg")
    yield "float.tif", encoded(image.convert("F"), "tif")
    yield "clear.png", encoded(Image.new("RGBA", (30, 20), (9, 9, 9, 0)), "png")
    for size in ((1, 1), (1, 400), (400, 1), (2, 3), (3, 900), (17, 16)):
        yield f"size {size}.png", encoded(image.resize(size), "png")
    frames = [Image.new("RGB", (9, 9), c) for c in ("red", "blue")]
    yield "film.gif", encoded(frames[0], "gif", save_all=True, append_images=frames[1:])
    yield "odd exif.jpg", encoded(image, "jpg", exif=b"Exif\x00\x00MM\x00\xff\xff\xff\xff")
    yield "odd profile.png", encoded(image, "png", icc_profile=b"rubbish")
    yield "picture.jpg.png", encoded(image, "jpg")  # the wrong suffix
    yield "a quote ' and ünïcode 猫.png", encoded(image, "png")
    yield "x" * 200 + ".png", encoded(image, "png")
    yield "white.png", encoded(Image.new("RGB", (40, 30), "white"), "png")


def damaged_files(rng: np.random.Generator, noise: np.ndarray) -> Iterator[tuple[str, bytes]]:
    """Files that are no pictures, or half of one."""
    yield "empty.png", b""
    yield "text.jpg", b"this is a text"
    yield "lfs.png", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
    yield "bomb.png", png_header(60_000, 60_000)
    yield "nothing.png", png_header(0, 0)
    whole = {suffix: encoded(Image.fromarray(noise), suffix) for suffix in FORMATS}
    for index in range(2000):
        suffix = list(FORMATS)[index % len(FORMATS)]
        data = bytearray(whole[suffix])
        if index % 3 == 0:  # noise after the magic number
            data[8:] = rng.bytes(len(data) - 8)
        else:
            data = data[: int(rng.integers(4, len(data) // 2))]
        yield f"{index:04d} damaged.{suffix}", bytes(data)


def test_a_thousand_odd_files(tmp_path):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (16, 24, 3)).astype(np.uint8)
    folder = tmp_path / "pictures"
    folder.mkdir()
    odd, damaged = dict(odd_pictures(noise)), damaged_files(rng, noise)
    files = odd | {name: data for _, (name, data) in zip(range(1000), damaged, strict=False)}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "clear.txt").write_bytes(b"\xff\xfe\xff")
    (folder / "white-masklabel.png").write_bytes(b"no mask")
    assert len(files) > 1000
    with Run(tmp_path / "out", "odd", "cropping") as run:
        steps = list(job.run(Config(source=str(folder), size=16, workers=1), run))
    assert steps[-1].done == steps[-1].total

    lines = [json.loads(line) for line in (run.folder / "crops.jsonl").read_text().splitlines()]
    cropped = {Path(line["source"]).name for line in lines}
    left_out = [note for note in run.notes if note.startswith("left out: ")]
    assert len(cropped) + len(left_out) == len(files)
    assert set(odd) - cropped == {"white.png"}  # because of its mask
    assert all("\n" not in note and "Traceback" not in note for note in run.notes)
    for line in lines:
        with Image.open(run.folder / line["file"]) as crop:
            crop.load()
            assert crop.size == (16, 16)
        text = (run.folder / line["file"]).with_suffix(".txt").read_text(encoding="utf-8")
        assert text == line["caption"] + "\n"
    wanted = {line["file"] for line in lines} | {line["mask"] for line in lines if line["mask"]}
    there = {path.relative_to(run.folder).as_posix() for path in run.folder.glob("images/*.png")}
    assert there == wanted
    assert not list(run.folder.rglob(".tmp-*"))
