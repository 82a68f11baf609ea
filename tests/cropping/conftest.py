"""What the tests of cropping share: small pictures with one thing in them, and running the job."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cropping import job
from cropping.config import Config
from lab.run import Run


def thing(seed: int, size=(90, 60)) -> Image.Image:
    """A dark square on a light ground, somewhere."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", size, tuple(int(v) for v in rng.integers(120, 255, 3)))
    x, y = (int(rng.integers(0, max(1, side - 24))) for side in size)
    image.paste(tuple(int(v) for v in rng.integers(0, 120, 3)), (x, y, x + 24, y + 24))
    return image


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Three pictures, one of them in a folder."""
    folder = tmp_path / "pictures"
    (folder / "nested").mkdir(parents=True)
    thing(0).save(folder / "1 a cat.png")
    thing(1, (60, 90)).save(folder / "2 a dog.png")
    thing(2).save(folder / "nested" / "3 a bird.png")
    return folder


@pytest.fixture
def crop(tmp_path):
    """Run the job on a folder; give the run."""

    def cropped(source: Path, outputs: str = "out", **settings) -> Run:
        plain = {"source": str(source), "size": 48, "pad": "never", "scans": {"find": []}}
        config = Config.model_validate_json(json.dumps(plain | settings))
        with Run(tmp_path / outputs, "test", "cropping") as run:
            for _ in job.run(config, run):
                pass
        return run

    return cropped


@pytest.fixture
def lines():
    """The lines of a run's crops.jsonl."""

    def read(run: Run) -> list[dict]:
        text = (run.folder / "crops.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    return read
