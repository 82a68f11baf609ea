"""The studies of sampling on a tiny model: what they draw, keep and say."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm import report, strips, studies
from ddpm.config import Config
from ddpm.data import Pictures, Scan
from ddpm.drawing import Way, alike, detail, draw_set, reference, spread
from ddpm.films import film
from ddpm.models import new_scheduler, new_unet
from ddpm.stages import Bench
from ddpm.tables import read_table
from ddpm.variants import Variant, asked_variants, bench_of, variants
from lab.errors import UserError
from lab.processes import Processes
from lab.run import Run


def config_of(**settings: Any) -> Config:
    written = {
        "data": {"source": "drawn:manga", "size": 8},
        "model": {"channels": [8, 8]},
        "schedule": {"name": "linear", "timesteps": 25},
        "train": {"steps": 2, "batch_size": 4, "validate_every": 1, "validation_pictures": 4},
        "sample": {"batch_size": 4},
        **settings,
    }
    return Config.model_validate_json(json.dumps(written))


@pytest.fixture(scope="module")
def pictures():
    pixels = np.random.default_rng(0).integers(0, 255, (24, 8, 8, 3)).astype(np.uint8)
    pixels[:12] //= 2
    scan = Scan(24, (8, 8), (8, 8), 8, 0, 0)
    parts = tuple(range(16)), tuple(range(16, 20)), tuple(range(20, 24))
    return Pictures(pixels, ("a picture",) * 24, *parts, scan=scan)


@pytest.fixture(scope="module")
def bench(pictures):
    """Random weights and few timesteps: what is tested is bookkeeping, not pictures."""
    return bench_with(pictures, {"name": "squaredcos_cap_v2", "timesteps": 6})


@pytest.fixture(scope="module")
def raw(pictures):
    return bench_with(pictures, {"name": "linear", "timesteps": 25})


def bench_with(pictures, schedule):
    config = config_of(schedule=schedule)
    assert config.schedule is not None
    unet = new_unet(config.model, 8, 0).eval().requires_grad_(False)
    scheduler = new_scheduler(config.schedule)
    cpu = torch.device("cpu")
    return Bench(unet, scheduler, pictures, cpu, torch.float32, Processes.alone())


def number(cell):
    assert isinstance(cell, float)
    return cell


def finished(stage, config, bench, outputs):
    with Run(outputs, "x", "ddpm") as run:
        for _ in stage(config, run, bench):
            pass
    return run


def drawn(bench, way, seeds, folder, batch_size=4):
    made = draw_set(bench, way, seeds, batch_size, folder)
    while True:
        try:
            next(made)
        except StopIteration as stop:
            return stop.value


def test_a_set_is_kept_as_it_was_drawn_and_read_back(bench, tmp_path):
    way = Way("some")
    first = drawn(bench, way, range(5), tmp_path)
    assert first.shape == (5, 8, 8, 3) and len(list(tmp_path.iterdir())) == 1
    np.testing.assert_array_equal(drawn(None, way, range(5), tmp_path), first)  # no model is asked
    single = drawn(bench, Way("single"), [3], tmp_path)
    np.testing.assert_array_equal(single[0], first[3])  # a picture is its seed's


def test_the_ways_leave_out_what_they_say(bench, tmp_path):
    found = {name: drawn(bench, way, range(4), tmp_path) for name, way in studies.WAYS.items()}
    assert spread(found["x_T = 0 and z = 0"]) == 0
    for name in ("as it is", "x_T = 0", "z = 0", "one x_T for all", "one z for all"):
        assert spread(found[name]) > 0
    # the first picture has its own x_T and z in each of these
    for name in ("one x_T for all", "one z for all"):
        np.testing.assert_array_equal(found[name][0], found["as it is"][0])
        assert (found[name][1:] != found["as it is"][1:]).any()


def test_timesteps_train_a_model_for_each_schedule_and_say_what_it_leaves(raw, tmp_path):
    asked = {"timesteps": {"counts": [25, 30], "pictures": 2, "measured": 2}}
    config = config_of(study=asked)
    run = finished(studies.timesteps, config, raw, tmp_path)
    folder = run.folder / "study"
    # the experiment's own model is one of the four
    models = sorted(path.name for path in (folder / "models").iterdir())
    assert models == ["T25-scaled", "T30-raw", "T30-scaled"]
    table = read_table(folder / "timesteps.table.json")
    assert [row[:2] for row in table.rows] == [
        (25, "as they are"), (25, "x 1000/T"), (30, "as they are"), (30, "x 1000/T"),
    ]  # fmt: skip
    left = [number(row[2]) for row in table.rows]
    assert left[0] > left[2] > 0.7 and left[1] < 0.01 and left[3] < 0.01
    before = (folder / "timesteps.png").read_bytes(), (folder / "timesteps.md").read_bytes()
    (folder / "timesteps.png").unlink()
    finished(studies.timesteps, config, raw, tmp_path)  # from the models and sets that are there
    assert before == (
        (folder / "timesteps.png").read_bytes(),
        (folder / "timesteps.md").read_bytes(),
    )


def test_a_variant_differs_in_its_schedule_alone(raw, tmp_path):
    with Run(tmp_path, "x", "ddpm") as run:
        made = bench_of(config_of(), run, raw, Variant(25, True))
        notes = set()
        while True:
            try:
                notes.add(next(made).stage)
            except StopIteration as stop:
                trained = stop.value
                break
        assert notes == {"training T25-scaled"}
        same = bench_of(config_of(), run, raw, Variant(25, False))
        with pytest.raises(StopIteration) as own:  # the experiment's own: nothing to train
            next(same)
        assert own.value.value is raw
    assert trained.scheduler.config["beta_end"] == pytest.approx(0.8)
    assert trained.scheduler.config["num_train_timesteps"] == 25
    assert not any(p.requires_grad for p in trained.unet.parameters())


def test_randomness_compares_every_way_with_what_the_schedule_predicts(bench, tmp_path):
    config = config_of(study={"randomness": {"pictures": 2, "measured": 4}})
    run = finished(studies.randomness, config, bench, tmp_path)
    table = read_table(run.folder / "study" / "randomness.table.json")
    rows = {row[1]: row for row in table.rows}
    assert set(rows) == set(studies.WAYS)
    assert rows["as it is"][3] == pytest.approx(1.0) and rows["as it is"][5] == 1.0
    assert rows["x_T = 0 and z = 0"][2:6] == (0.0, None, 0.0, None)
    start, steps, whole = (number(rows[name][4]) for name in ("z = 0", "x_T = 0", "as it is"))
    assert start**2 + steps**2 == pytest.approx(whole**2)
    with Image.open(run.folder / "study" / "randomness-own.png") as image:
        assert image.width > 2 * 8


def test_samplers_take_no_more_steps_than_there_are(bench, tmp_path):
    asked = {"samplers": {"steps": [2, 6, 100], "pictures": 2, "measured": 2}}
    run = finished(studies.samplers, config_of(study=asked), bench, tmp_path)
    table = read_table(run.folder / "study" / "samplers.table.json")
    assert [row[1] for row in table.rows] == [2, 6] * 4
    assert [row[0] for row in table.rows[::2]] == ["ddpm", "ddim", "ddim_eta1", "dpm++"]


def test_what_cannot_be_studied_is_said():
    with pytest.raises(UserError, match=r"ddpm\.train"):
        variants(config_of(train=None, model={"pretrained": "drawn"}), [100], [True])
    with pytest.raises(UserError, match="absent"):
        variants(config_of(schedule=None), [100], [True])
    with pytest.raises(UserError, match="10 timesteps"):
        variants(config_of(), [10], [True])
    cosine = config_of(schedule={"name": "squaredcos_cap_v2"})
    assert len(variants(cosine, [100, 200], [False, True])) == 2


def test_what_is_trained_is_known_beforehand():
    asked = {"timesteps": {"counts": [100]}, "randomness": {"scaled": [True]}}
    names = [one.name for one in asked_variants(config_of(study=asked))]
    assert names == ["T100-raw", "T100-scaled", "T25-scaled"]
    assert asked_variants(config_of()) == []
    with pytest.raises(UserError, match="absent"):
        asked_variants(config_of(study={"randomness": {"scaled": [True]}}, schedule=None))


def test_measures_of_sets():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 255, (6, 8, 8, 3)).astype(np.uint8)
    assert alike(a, a) == pytest.approx(1.0)
    assert alike(a, 255 - a) == pytest.approx(-1.0)
    assert alike(a, a[:1].repeat(6, 0)) is None
    assert spread(a[:1].repeat(6, 0)) == 0
    flat = np.full((2, 8, 8, 3), 100, np.uint8)
    assert detail(flat) == 0 < detail(a)
    known = reference(a)
    assert known.spread == pytest.approx(spread(a))
    # the variances along the components are those of the pixels
    assert float(known.variances.sum() / (8 * 8 * 3)) == pytest.approx(known.spread**2)


def test_the_page_has_what_the_stages_showed(bench, tmp_path):
    config = config_of(
        schedules={"pictures": 1},
        study={"samplers": {"steps": [2], "pictures": 1, "measured": 1}},
        film={"pictures": 1, "formats": ["gif"], "size": 32},
    )
    with Run(tmp_path, "x", "ddpm") as run:
        for stage in (strips.schedules, studies.samplers, film, report.report):
            for _ in stage(config, run, bench):
                pass
        shown = [path.name for path, _ in run.shown]
    page = (run.folder / "report.html").read_text()
    for heading in ("Step by step", "The model", "Studies", "Out of the noise"):
        assert f"<h2>{heading}</h2>" in page
    assert "Samplers and their steps" in page and "sqrt(alpha_bar_T)" in page
    assert page.count("data:image/png") >= 4 and "data:image/gif" in page
    assert "step 6: the sample" in page and "https://" not in page
    assert shown[-1] == "report.html"
