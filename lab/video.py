"""Frames -> mp4, webm or gif, every frame exactly once, never more than one of them in memory."""

import math
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from moviepy import VideoClip
from PIL import Image

from lab.errors import UserError
from lab.run import write_atomically

# moviepy asks ffmpeg for yuva420p, which libx264 lacks; a filter states what browsers can show.
_YUV420P = ["-vf", "format=yuv420p"]
_GIF = "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1"
_FORMATS: dict[str, tuple[str, list[str]]] = {
    ".mp4": ("libx264", [*_YUV420P, "-crf", "16", "-movflags", "+faststart"]),
    ".webm": ("libvpx-vp9", [*_YUV420P, "-crf", "20", "-b:v", "0", "-row-mt", "1"]),
    ".gif": ("gif", ["-vf", _GIF, "-loop", "0"]),
}
_FASTEST_GIF = 50


def write_video(
    frame: Callable[[int], np.ndarray],
    count: int,
    fps: float,
    path: str | Path,
    on_frame: Callable[[int], None] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write frames 0 .. count-1 as a film, atomically; the suffix chooses .mp4, .webm or .gif.

    `frame(i)` gives uint8 [H, W, 3], all of one size; it is called in order, once for each i, and
    nothing is kept of it. `on_frame(done)` is told after each frame. Odd sides are made even by
    repeating the last column or row: browsers show only 4:2:0 films, and those have even sides.
    `metadata` (title, comment ...; any Unicode) is written into the file, and into a GIF as one
    comment. The same frames and metadata give the same bytes.

    Raises:
        UserError: for another suffix, or more frames per second than a GIF can tell apart.
        RuntimeError: when the file does not hold exactly `count` frames (a full disk, say).
    """
    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        raise UserError(f"{path} is no film that can be written; use {', '.join(_FORMATS)}")
    if path.suffix.lower() == ".gif" and fps > _FASTEST_GIF:
        raise UserError(f"{path}: a GIF shows at most {_FASTEST_GIF} frames a second; use .mp4")
    if count < 1 or fps <= 0:
        raise ValueError(f"a film needs frames and a rate, not {count} at {fps} per second")
    codec, parameters = _FORMATS[path.suffix.lower()]
    frames = _InOrder(frame, count, on_frame)
    # moviepy shows int(duration * fps) frames, at t = i / fps. The half keeps the product clear of
    # the whole numbers that rounding could fall short of (1001 / 14 * 14 may be 1000.99...).
    clip = VideoClip(lambda t: frames(round(t * fps)), duration=(count + 0.5) / fps)

    told = [part for k, v in (metadata or {}).items() for part in ("-metadata", f"{k}={v}")]

    def write(temporary: Path) -> None:
        clip.write_videofile(
            str(temporary),
            fps,
            codec=codec,
            audio=False,
            ffmpeg_params=[*parameters, "-fflags", "+bitexact", *told],
            logger=None,
        )
        if metadata and path.suffix.lower() == ".gif":
            _comment_gif(temporary, metadata)
        written = count_frames(temporary)
        if written != count:
            raise RuntimeError(f"{path} came out with {written} frames instead of {count}")

    write_atomically(path, write)


def _comment_gif(path: Path, metadata: Mapping[str, str]) -> None:
    """Put a comment extension (GIF89a, section 24) before the first frame: ffmpeg writes none."""
    text = "\n".join(f"{key}={value}" for key, value in metadata.items()).encode()
    blocks = (text[start : start + 255] for start in range(0, len(text), 255))
    comment = b"\x21\xfe" + b"".join(bytes([len(b)]) + b for b in blocks) + b"\x00"
    bare = path.with_name(f"{path.name}.bare")
    path.replace(bare)
    try:
        with bare.open("rb") as source, path.open("wb") as target:
            header = source.read(13)
            colours = 3 * 2 ** ((header[10] & 7) + 1) if header[10] & 0x80 else 0
            target.write(header + source.read(colours) + comment)
            shutil.copyfileobj(source, target)
    finally:
        bare.unlink()


class _InOrder:
    """Makes each frame once, although moviepy asks for the first one twice (to learn the size)."""

    def __init__(
        self,
        frame: Callable[[int], np.ndarray],
        count: int,
        on_frame: Callable[[int], None] | None,
    ):
        self._frame, self._count, self._on_frame = frame, count, on_frame
        self._index = -1
        self._pixels = np.zeros((0, 0, 3), np.uint8)

    def __call__(self, index: int) -> np.ndarray:
        if index == self._index:
            return self._pixels
        if index != self._index + 1 or index >= self._count:
            raise RuntimeError(f"the film asked for frame {index} after frame {self._index}")
        pixels = _even(self._frame(index))
        if self._index >= 0 and pixels.shape != self._pixels.shape:
            raise ValueError(f"frame {index} has another size than the frames before it")
        self._index, self._pixels = index, pixels
        if self._on_frame:
            self._on_frame(index + 1)
        return pixels


def _even(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"a frame is uint8 [H, W, 3], not {pixels.dtype} {list(pixels.shape)}")
    height, width = pixels.shape[:2]
    return np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def count_frames(path: str | Path) -> int:
    """How many frames a film holds, counted and not estimated from its duration."""
    frames, _ = imageio_ffmpeg.count_frames_and_secs(str(path))
    return int(frames or 0)


def read_video(path: str | Path) -> Iterator[np.ndarray]:
    """The frames of a film as they are stored, each once, as uint8 [H, W, 3].

    Raises:
        UserError: when there is no such film, or it cannot be read.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path} does not exist; name a film")
    # Without passthrough ffmpeg drops and repeats frames to keep to a constant rate.
    reader = imageio_ffmpeg.read_frames(
        str(path), pix_fmt="rgb24", output_params=["-fps_mode", "passthrough"]
    )
    try:
        width, height = next(reader)["size"]
    except (OSError, StopIteration):
        raise UserError(f"{path} is not a film that can be read") from None
    for data in reader:
        yield np.frombuffer(data, np.uint8).reshape(height, width, 3)


def video_metadata(path: str | Path) -> dict[str, str]:
    """What is written in a film: title, comment and so on, in lower case."""
    if Path(path).suffix.lower() == ".gif":
        with Image.open(path) as image:
            text = image.info.get("comment", b"").decode()
    else:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path)]
        said = subprocess.run([*command, "-f", "ffmetadata", "-"], capture_output=True, check=True)
        text = said.stdout.decode().replace("\\\n", "\n")
    pairs = (line.partition("=") for line in text.splitlines() if not line.startswith(";"))
    unescape = re.compile(r"\\(.)").sub
    return {k.lower(): unescape(r"\1", value) for k, _, value in pairs if k}


def video_rate(path: str | Path) -> float:
    """Frames per second, as the film says."""
    reader = imageio_ffmpeg.read_frames(str(path))
    try:
        rate = float(next(reader)["fps"])
    finally:
        reader.close()
    return rate if math.isfinite(rate) else 0.0
