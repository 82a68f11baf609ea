"""The stage that measures: what is in its table, and on which terms."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler

from ddpm import measuring
from ddpm.config import Config
from ddpm.data import Pictures, Scan
from ddpm.extractors import load_extractor
from ddpm.measuring import measure, read_scores
from ddpm.stages import Bench
from ddpm.tables import read_table
from lab.errors import UserError
from lab.processes import Processes
from lab.run import Run
from metrics.fidelity import frechet_distance

SETTINGS = {"vae": {"steps": 3, "latent": 4, "batch_size": 4}}


@pytest.fixture(scope="module")
def model(tiny_unet):
    return tiny_unet, DDPMScheduler(num_train_timesteps=4)


def bench_of(model, count: int = 80) -> Bench:
    """Plain pictures of random colours: 50 to learn, the rest to test."""
    colours = np.random.default_rng(0).integers(0, 256, (count, 1, 1, 3))
    pixels = np.broadcast_to(colours, (count, 8, 8, 3)).astype(np.uint8)
    parts = tuple(range(50)), tuple(range(50, 54)), tuple(range(54, count))
    names = tuple(f"{k}.png" for k in range(count))
    scan = Scan(count, (8, 8), (8, 8), 8.0, 0, 0)
    pictures = Pictures(pixels, names, *parts, scan, fingerprint="f")
    return Bench(*model, pictures, torch.device("cpu"), torch.float32, Processes("cpu"))


def config_of(**settings) -> Config:
    values = {"data": {"source": "drawn:flowers", "size": 8}, "train": {}, "sample": {"steps": 2}}
    text = json.dumps({**values, "measure": {**SETTINGS, **settings}})
    return Config.model_validate_json(text)


def measured(folder: Path, model, there: int = 80, **settings) -> Run:
    with Run(folder, "x", "ddpm") as run:
        for _ in measure(config_of(**settings), run, bench_of(model, there)):
            pass
    return run


def test_the_table_has_every_set_with_the_floor_beside_them(tmp_path, model):
    run = measured(tmp_path, model)
    scores = read_scores(run.folder / "measure")
    assert [score.what for score in scores] == [
        "random noise", "VAE", "x: diffusion", "real pictures (the floor)",
    ]  # fmt: skip
    assert {(score.n, score.extractor) for score in scores} == {(13, "drawn64")}
    table = read_table(run.folder / "measure/table.table.json")
    assert table.columns[:2] == ("pictures", "FD-drawn64 (drawn, n = 13)")
    assert "FID" not in json.dumps(table.columns) + table.about
    assert [row[0] for row in table.rows] == [score.what for score in scores]
    assert [row[1] for row in table.rows] == [score.frechet for score in scores]
    manifest = run.read_manifest()["measure"]
    assert (manifest["frechet"], manifest["floor"]) == (scores[2].frechet, scores[3].frechet)
    assert "table.md" in {path.name for path in (run.folder / "measure").iterdir()}


def test_the_floor_is_other_real_pictures_against_those_of_every_row(tmp_path, model):
    bench = bench_of(model)
    assert bench.pictures is not None
    test = bench.pictures.part("test")
    see = load_extractor("drawn", torch.device("cpu")).features
    expected = frechet_distance(see(test[1::2]), see(test[::2]))
    run = measured(tmp_path, model)
    floor = read_scores(run.folder / "measure")[-1]
    assert floor.frechet == pytest.approx(expected, rel=1e-9)
    assert floor.learned < 0.3


def test_the_published_figures_stand_apart_and_are_called_claimed(tmp_path, model):
    run = measured(tmp_path, model, claimed="flowers")
    table = read_table(run.folder / "measure/table.table.json")
    assert table.columns[-2:] == ("claimed FID", "claimed IS")
    claims = {row[0]: row[-2:] for row in table.rows}
    assert claims["random noise"] == ("50.47", "1.0844 ± 0.0582")
    assert claims["VAE"] == ("3.25", "1.4691 ± 0.1964")
    assert claims["x: diffusion"] == ("2.07", "1.6420 ± 0.1707")
    assert claims["real pictures (the floor)"] == ("–", "–")
    assert "nothing to compare with" in table.about


def test_other_runs_stand_beside_it_on_equal_terms_only(tmp_path, model):
    other = measured(tmp_path / "other", model)
    run = measured(tmp_path, model, beside=[str(other.folder)])
    table = read_table(run.folder / "measure/table.table.json")
    assert [row[0] for row in table.rows].count("x: diffusion") == 2
    fewer = measured(tmp_path / "fewer", model, there=76)
    with pytest.raises(UserError, match=r"cannot be compared: .* n = 13 pictures, .* n = 11 pict"):
        measured(tmp_path / "refused", model, beside=[str(fewer.folder)])
    with pytest.raises(UserError, match="does not exist: measure that run first"):
        measured(tmp_path / "nothing", model, beside=["nowhere"])


def test_a_killed_measurement_continues_and_ends_with_the_same_table(tmp_path, model, monkeypatch):
    monkeypatch.setattr(measuring, "BLOCK", 4)
    whole = measured(tmp_path / "whole", model)
    run = Run(tmp_path / "killed", "x", "ddpm")
    for progress in measure(config_of(), run, bench_of(model)):
        if progress.stage == "drawing: drawn-00008":
            break
    drawn = sorted(path.name for path in (run.folder / "measure/drawn").iterdir())
    assert drawn == ["drawn-00000.png", "drawn-00004.png"]
    again = measured(tmp_path / "killed", model)
    for name in ("scores.json", "table.table.json", "table.md", "pictures.png"):
        ours, theirs = (r.folder / "measure" / name for r in (again, whole))
        assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"count": 14}, "needs 28 test pictures, n to compare with and as many for the floor"),
        ({"count": 1}, "needs 4 test pictures"),
        ({"extractor": "drwan"}, "extractor drwan is unknown; did you mean drawn?"),
    ],
)
def test_what_cannot_be_measured_is_said(tmp_path, model, settings, sentence):
    with pytest.raises(UserError, match=sentence):
        measured(tmp_path, model, **settings)


def test_without_data_or_section(tmp_path, model):
    run = Run(tmp_path, "x", "ddpm")
    bench = bench_of(model)
    assert list(measure(config_of().model_copy(update={"measure": None}), run, bench)) == []
    without = Bench(*model, None, bench.device, bench.dtype, bench.processes)
    with pytest.raises(UserError, match=r"needs real pictures: name them in ddpm\.data"):
        list(measure(config_of(), run, without))
