"""What the tests of the tab Crop share: a bench that does nothing by itself, and small pictures."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cropping import job
from cropping.config import Config
from lab.config import load_experiment
from lab.run import Run
from studio import cli
from studio.web.bench import Bench
from studio.web.crop.form import Form
from studio.web.crop.read import read_crops
from studio.web.places import Places
from studio.web.queue import Queue


def _draw(path, seed: int, size=(90, 60)) -> None:
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", size, tuple(int(v) for v in rng.integers(120, 255, 3)))
    x, y = (int(rng.integers(0, side - 24)) for side in size)
    image.paste(tuple(int(v) for v in rng.integers(0, 120, 3)), (x, y, x + 24, y + 24))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


@pytest.fixture
def draw():
    """Write a picture: a dark square on a light ground, somewhere."""
    return _draw


@pytest.fixture
def bench(tmp_path) -> Bench:
    """A bench with three pictures, whose queue takes work and does none: `cut` does it."""
    readable, outputs = tmp_path / "pictures", tmp_path / "outputs"
    _draw(readable / "1 a cat.png", 0)
    _draw(readable / "2 a dog.png", 1, (60, 90))
    _draw(readable / "nested" / "3 a bird.png", 2)
    places = Places([readable], outputs)
    return Bench(outputs, places, Queue(outputs, places))


@pytest.fixture
def form():
    """A form over those pictures that says what to do, quickly."""

    def filled(bench: Bench, **values) -> Form:
        source = str(bench.places.roots[0])
        return replace(
            Form(source=source, name="one", way="crop", size=48, damage="leave"), **values
        )

    return filled


@pytest.fixture
def cut():
    """Do what waits in the queue for a run, as the terminal would; give the run."""

    def done(bench: Bench, name: str) -> Run:
        file = bench.outputs / ".studio" / f"{name}.yaml"
        experiment = load_experiment(file, [], cli.models({"cropping": "cropping"}))
        config = experiment.sections["cropping"]
        assert isinstance(config, Config)
        record = {"configuration": experiment.resolved}
        with Run(bench.outputs, name, "cropping", record) as run:
            for _ in job.run(config, run):
                pass
        for standing in bench.queue.all():
            bench.queue.stop(standing.id)
        return run

    return done


@pytest.fixture
def crops_of():
    """A run as the tab reads it."""

    def read(bench: Bench, name: str = "one"):
        found = read_crops(bench.folder(name, "cropping"))
        assert found is not None
        return found

    return read


@pytest.fixture
def boxes():
    """The rectangles of a run's crops, by the pictures' file names."""

    def listed(run: Run) -> dict[str, list[list[int]]]:
        found: dict[str, list[list[int]]] = {}
        for line in map(json.loads, (run.folder / "crops.jsonl").read_text().splitlines()):
            found.setdefault(line["source"].rsplit("/", 1)[1], []).append(line["box"])
        return found

    return listed
