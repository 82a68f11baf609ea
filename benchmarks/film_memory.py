"""Peak memory of writing a film, at 100 and at 1,001 frames: `python benchmarks/film_memory.py`.

Each film is written in a process of its own, from frames that lie on the disk as PNG files, as a
sweep's do. Writes benchmarks/results/film_memory.md and .json.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path

import measuring
import numpy as np
from PIL import Image

from cfg.analysis import Measured
from cfg.cells import Line, Sweep, frames_of
from cfg.config import Rule
from cfg.film import write_film
from cfg.showing import Video
from lab.video import count_frames

COUNTS = (100, 1001)
KINDS = {"one line": 1, "4 lines side by side": 4}
SIDE = 64  # px of a frame, as storybook draws them; the film is 512 px or twice that


def variants() -> dict[str, tuple[str, int]]:
    return {f"{kind} | {count}": (kind, count) for kind in KINDS for count in COUNTS}


def sweep_in(folder: Path, lines: int, count: int) -> tuple[Sweep, list[Measured]]:
    """A sweep of smooth noise that grows brighter, written as a sweep's frames are."""
    scales = tuple(Decimal(k) * Decimal("0.02") for k in range(count))
    chosen = [Line("a bird", "a bird", "", None, k, Rule(), 25, "ddim") for k in range(lines)]
    frames, measured = [], []
    for line in chosen:
        rng = np.random.default_rng(line.seed)
        base = np.asarray(Image.fromarray(rng.integers(0, 200, (8, 8, 3), np.uint8)).resize(
            (SIDE, SIDE), Image.Resampling.BICUBIC))  # fmt: skip
        own = frames_of(line, scales, folder / "frames", {})
        for frame in own:
            picture = np.clip(base + 40.0 * frame.index / count, 0, 255).astype(np.uint8)
            frame.path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(frame.path, compress_level=1)
        frames += own
        still = np.ones(count)
        measured.append(Measured(line, own, np.array([float(s) for s in scales]), still[1:],
                                 still[1:], None, still, {}, None, None, None))  # fmt: skip
    return Sweep(tuple(chosen), scales, tuple(frames), 8), measured


def print_peak(variant: str) -> None:
    """Bytes that the film takes beyond what the process has, ffmpeg's own, and seconds."""
    kind, count = variants()[variant]
    lines = KINDS[kind]
    with tempfile.TemporaryDirectory() as folder:
        sweep, measured = sweep_in(Path(folder), lines, count)
        path = Path(folder) / "film.mp4"
        start = time.perf_counter()
        peak = measuring.peak_of(
            "cpu",
            lambda: write_film(sweep, sweep.lines, Video(), path, metadata={}, measured=measured),
        )
        seconds = time.perf_counter() - start
        assert count_frames(path) == count
    unit = 1 if sys.platform == "darwin" else 1024
    encoder = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    print(f"{peak} {encoder} {seconds}")


def measured_in_own_process(variant: str) -> list[float]:
    print(f"writing: {variant}", file=sys.stderr)
    command = [sys.executable, *sys.argv, "--memory-of", variant]
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [float(word) for word in finished.stdout.split()[-3:]]


def arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__)
    add = options.add_argument
    add("--results", type=Path, default=measuring.HERE / "results", help="where the table goes")
    add("--memory-of", help=argparse.SUPPRESS)
    return options.parse_args()


def main() -> None:
    options = arguments()
    if options.memory_of:
        print_peak(options.memory_of)
        return
    numbers = {name: measured_in_own_process(name) for name in variants()}
    rows = []
    for kind in KINDS:
        for count in COUNTS:
            ours, encoder, seconds = numbers[f"{kind} | {count}"]
            rows.append([f"{kind}, {count:,} frames", measuring.megabytes(ours),
                         measuring.megabytes(encoder), f"{seconds:.1f} s"])  # fmt: skip
    table = measuring.markdown(["film", "ours, beyond the start", "ffmpeg", "time"], rows)
    facts = measuring.machine("cpu")
    how = measuring.paragraph("""Peak resident memory while a film is written, measured once for
        each row in a process of its own: of our process beyond what it had before, and of ffmpeg,
        which keeps the pictures that the codec looks ahead to. Frames of 64 px lie on the disk; the
        film is 512 px wide, side by side about 1,024. Neither grows with the number of frames.""")
    text = "\n\n".join(["# Memory of a film", measuring.described(facts), how, table]) + "\n"
    measuring.keep(options.results, "film_memory", text, {"machine": facts, "numbers": numbers})


if __name__ == "__main__":
    measuring.run(main)
