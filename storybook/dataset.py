"""The training pictures: drawn once by all cores, kept as one array and one file of captions."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from lab.run import Progress, write_text
from storybook.illustrator import training_drawing

CHUNK = 500
HELD_OUT = 1000  # pictures at the end of the dataset that are not trained on


@dataclass(frozen=True)
class Dataset:
    """Pictures uint8 [N, side, side, 3] (memory-mapped), their captions, and their scenes."""

    pictures: np.ndarray
    captions: list[str]
    scenes: list[dict]

    @property
    def trained(self) -> int:
        """How many pictures are trained on; those after them are kept to measure with."""
        return len(self.captions) - min(HELD_OUT, len(self.captions) // 10)


def _draw_chunk(seed: int, first: int, count: int, side: int) -> tuple[np.ndarray, list[dict]]:
    drawings = [training_drawing(seed, first + k, side) for k in range(count)]
    pictures = np.stack([np.asarray(d.image, dtype=np.uint8) for d in drawings])
    lines = [
        {"caption": d.caption, "scene": asdict(d.scene) | {"said": sorted(d.scene.said)}}
        for d in drawings
    ]
    return pictures, lines


def draw_dataset(folder: Path, count: int, side: int, seed: int = 0) -> Iterator[Progress]:
    """Draw `count` pictures of the training world into `folder`, unless they are there."""
    if (folder / "captions.jsonl").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    firsts = range(0, count, CHUNK)
    lines: list[dict] = []

    def write(path: Path) -> Iterator[Progress]:
        shape = (count, side, side, 3)
        pictures = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            jobs = [pool.submit(_draw_chunk, seed, f, min(CHUNK, count - f), side) for f in firsts]
            for first, job in zip(firsts, jobs, strict=True):
                chunk, said = job.result()
                pictures[first : first + len(chunk)] = chunk
                lines.extend(said)
                yield Progress("drawing pictures", first + len(chunk), count)
        pictures.flush()

    unfinished = folder / ".tmp-pictures.npy"
    yield from write(unfinished)
    unfinished.replace(folder / "pictures.npy")
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    write_text(folder / "captions.jsonl", text)  # last: its presence says that all is there


def load_dataset(folder: Path) -> Dataset:
    """Open what `draw_dataset` has drawn."""
    pictures = np.load(folder / "pictures.npy", mmap_mode="r")
    with (folder / "captions.jsonl").open(encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    return Dataset(pictures, [x["caption"] for x in lines], [x["scene"] for x in lines])
