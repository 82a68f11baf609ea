"""The section `tune:`: what can be written there, and how each mistake is said."""

import json
from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from lab.config import load_experiment
from lab.tree import parse
from studio.cli import models
from tuning.config import Config
from tuning.plot import GREY, height, parallel_coordinates, ticks_of
from tuning.space import overrides_of, space_of
from tuning.study import Tried

FILE = """
ground:
hill:
  x: 5
tune:
  objective: hill.height
  trials: 2
  ranges:
    {}
"""
ONE = "hill.x: {from: 0, to: 10}"


def write(ranges: str = ONE, text: str = FILE) -> None:
    Path("x.yaml").write_text(text.format(ranges))


@pytest.fixture
def opened(place, jobs):
    """A space of some ranges of the hill."""

    def space(ranges: str):
        write(ranges)

        def open_with(texts):
            return load_experiment("x.yaml", texts, models(jobs))

        tune = open_with([]).sections["tune"]
        assert isinstance(tune, Config)
        return space_of(tune.ranges, open_with)

    return space


@pytest.mark.parametrize(
    ("written", "distribution"),
    [
        ("hill.x: {from: 0, to: 10}", FloatDistribution(0, 10)),
        ("hill.x: {from: 0.5, to: 2}", FloatDistribution(0.5, 2)),
        ("hill.x: {from: 1e-4, to: 1e-2, log: true}", FloatDistribution(1e-4, 1e-2, log=True)),
        ("hill.x: {from: 0, to: 1, step: 0.25}", FloatDistribution(0, 1, step=0.25)),
        ("hill.x: {from: 0, to: 1, step: 0.4}", FloatDistribution(0, 0.8, step=0.4)),
        ("hill.count: {from: 1, to: 64}", IntDistribution(1, 64)),
        ("hill.count: {from: 1, to: 64, log: true}", IntDistribution(1, 64, log=True)),
        ("hill.count: {from: 8, to: 64, step: 8}", IntDistribution(8, 64, step=8)),
        ("hill.count: {from: 1, to: 10, step: 4}", IntDistribution(1, 9, step=4)),
        ("hill.kind: [soft, null]", CategoricalDistribution(['"soft"', "null"])),
        ("hill.x: [1, 2.5]", CategoricalDistribution(["1", "2.5"])),
    ],
)
def test_what_is_written_is_what_is_tried(opened, written, distribution):
    assert opened(written) == {written.partition(":")[0]: distribution}


def test_a_float_keeps_its_last_bit_on_its_way_into_the_experiment(opened, jobs):
    space = opened("hill.rate: {from: 1e-5, to: 1, log: true}")
    for value in (0.1 + 0.2, 1e-5, 1 / 3, 1.2345678901234567e-05):
        (text,) = overrides_of(space, {"hill.rate": value})
        experiment = load_experiment("x.yaml", [text], models(jobs))
        assert experiment.resolved["hill"]["rate"] == value


@pytest.mark.parametrize(
    ("ranges", "sentence"),
    [
        ("hill.y: {from: 0, to: 1}", "tune.ranges.hill.y: hill.y is not a setting; hill has x"),
        ("hill.cout: [1, 2]", "tune.ranges.hill.cout: hill.cout is not a setting; did you mean c"),
        ("hill.count: {from: 0.5, to: 2}", "hill.count should be a whole number, not 0.5"),
        ("hill.count: [1, two]", "hill.count should be a whole number, not 'two'"),
        ("hlil.x: [1, 2]", "hlil is not a section; did you mean hill?"),
        ("hill.x: {from: 2, to: 1}", "tune.ranges.hill.x: from should be below to"),
        ("hill.x: {from: 0, to: 1, log: true}", "log needs a range above 0"),
        ("hill.x: {from: 1, to: 2, log: true, step: 1}", "log and step do not go together"),
        ("hill.x: {form: 1, to: 2}", "tune.ranges.hill.x.form is not a setting; did you mean from"),
        ("hill.x: [1]", "hill.x should have two values or more"),
        ("hill.x: [1, 1]", "hill.x has 1 twice"),
        ("tune.seed: [1, 2]", "tune.seed is a setting of the search itself"),
        ("hill.x: 3", "tune.ranges.hill.x should be a mapping with from, to, log, step or a list"),
    ],
)
def test_a_mistake_in_the_ranges_is_said_before_anything_is_written(
    pseudoword, capsys, ranges, sentence
):
    write(ranges)
    assert pseudoword("run", "x.yaml") == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert sentence in said
    assert not Path("outputs").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["tune.objective=height"], "should be JOB.NAME, such as ddpm.validation"),
        (["tune.objective=hil.height"], "x.yaml has no section `hil:`; it has ground, hill"),
        (["tune.objective=ground.depth"], "tune.ranges.hill.x: hill is not among what leads to"),
        (["tune.goal=minimise"], "did you mean minimize?"),
    ],
)
def test_a_mistake_in_the_objective_is_said_before_anything_is_written(
    pseudoword, capsys, words, sentence
):
    write()
    assert pseudoword("tune", "x.yaml", *words) == 2
    assert sentence in capsys.readouterr().err
    assert not Path("outputs").exists()


def test_a_figure_that_the_job_does_not_write_ends_the_search_with_those_it_writes(
    pseudoword, capsys
):
    write()
    assert pseudoword("tune", "x.yaml", "tune.objective=hill.hieght") == 2
    assert (
        "tune.objective: hill wrote no figure called hieght; there are height, other, step, "
        "summit.height\n" in capsys.readouterr().err
    )


def test_a_figure_of_the_manifest(pseudoword):
    write()
    assert pseudoword("tune", "x.yaml", "tune.objective=hill.summit.height") == 0
    for trial in json.loads(Path("outputs/x/tune/trials.json").read_text()):
        # without its ground's level, 0, and with the rate of 0.01
        assert trial["value"] == pytest.approx((trial["settings"]["hill.x"] - 2) ** 2 + 4 + 1)
    assert pseudoword("tune", "x.yaml", "name=y", "tune.objective=hill.summit.nothing") == 2
    listing = json.loads(Path("outputs/y/tune/trials.json").read_text())
    assert {trial["reason"] for trial in listing} == {"summit.nothing is no number"}


def test_the_last_figure_and_the_largest(pseudoword):
    write()
    pseudoword("tune", "x.yaml", "tune.objective=hill.other", "tune.goal=maximize")
    assert [t["value"] for t in json.loads(Path("outputs/x/tune/trials.json").read_text())] == [
        6,
        6,
    ]
    pseudoword("tune", "x.yaml", "tune.objective=hill.other")
    assert [t["value"] for t in json.loads(Path("outputs/x/tune/trials.json").read_text())] == [
        1,
        1,
    ]
    pseudoword("tune", "x.yaml", "tune.objective=hill.other", "tune.take=last")
    assert [t["value"] for t in json.loads(Path("outputs/x/tune/trials.json").read_text())] == [
        6,
        6,
    ]


def test_what_no_trial_changes_is_done_once(pseudoword):
    write()
    pseudoword("run", "x.yaml", "ground.level=7")
    assert (Path("outputs/x/ground/level.txt")).read_text() == "7.0"
    folders = sorted(path.name for path in Path("outputs/x/tune/trials/0000").iterdir())
    assert "hill" in folders
    values = [t["value"] for t in json.loads(Path("outputs/x/tune/trials.json").read_text())]
    assert min(values) > 7
    assert "level: 7" in Path("outputs/x/tune/best.yaml").read_text()


def test_only_the_best_trials_results_are_kept_unless_all_are_wanted(pseudoword):
    write()
    pseudoword("run", "x.yaml", "tune.trials=3", "tune.prune=none")
    assert len(list(Path("outputs/x/tune/trials").glob("*/hill/hill.txt"))) == 1
    assert len(list(Path("outputs/x/tune/trials").glob("*/hill/manifest.json"))) == 3
    assert len(list(Path("outputs/x/tune/trials").glob("*/hill/metrics.jsonl"))) == 3
    pseudoword("run", "x.yaml", "name=y", "tune.keep=all", "tune.trials=3", "tune.prune=none")
    assert len(list(Path("outputs/y/tune/trials").glob("*/hill/hill.txt"))) == 3


def test_the_best_trials_file_is_the_searched_one_with_its_settings(pseudoword):
    text = FILE.replace("  x: 5", '  x: 5\n  kind: "no"  # a word, not a truth value')
    write("hill.rate: {from: 1e-5, to: 1e-4, log: true}", text)
    pseudoword("run", "x.yaml", "hill.steps=4")
    best = json.loads(Path("outputs/x/tune/manifest.json").read_text())["best"]
    tree = parse(Path("outputs/x/tune/best.yaml").read_text(), "best.yaml")
    assert not tree.mistakes
    assert tree.values == {
        "name": "x-best",
        "ground": None,
        "hill": {"x": 5, "kind": "no", "steps": 4, "rate": best["settings"]["hill.rate"]},
    }


def test_a_dry_run_says_what_would_be_tried(pseudoword, capsys):
    write()
    assert pseudoword("run", "x.yaml", "--dry-run") == 0
    assert capsys.readouterr().out == (
        "tune: 2 trials of hill with 1 settings, to minimize hill.height; 0 are over\n"
        "tune: once before them: ground\n"
    )
    assert not Path("outputs").exists()


def test_one_job_alone_ignores_the_search(pseudoword):
    write()
    assert pseudoword("hill", "x.yaml") == 0
    assert Path("outputs/x/hill/hill.txt").exists()
    assert not Path("outputs/x/tune").exists()


def test_several_processes_are_told_to_share_a_database(pseudoword, capsys, monkeypatch):
    write()
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert pseudoword("run", "x.yaml") == 2
    assert "start `pseudoword tune` once for each with the same tune.storage" in (
        capsys.readouterr().err
    )


# --- the plot


SPACE = {
    "hill.x": FloatDistribution(0, 10),
    "hill.rate": FloatDistribution(1e-4, 1, log=True),
    "hill.count": IntDistribution(1, 3),
    "hill.kind": CategoricalDistribution(['"soft"', "null"]),
}


def test_an_axis_has_its_ends_at_its_ends():
    assert [height(SPACE["hill.x"], v) for v in (0, 2.5, 10)] == [0, 0.25, 1]
    assert height(SPACE["hill.rate"], 1e-2) == pytest.approx(0.5)
    assert [height(SPACE["hill.kind"], v) for v in ("soft", None)] == [0, 1]
    assert ticks_of(SPACE["hill.count"]) == [(0, "1"), (0.5, "2"), (1, "3")]
    assert [text for _, text in ticks_of(SPACE["hill.rate"])] == [
        "0.0001", "0.001", "0.01", "0.1", "1",
    ]  # fmt: skip
    assert ticks_of(SPACE["hill.kind"]) == [(0, "soft"), (1, "none")]


def test_failed_and_pruned_trials_are_grey_lines_that_end_outside_of_the_figures():
    settings = {"hill.x": 5.0, "hill.rate": 1e-2, "hill.count": 2, "hill.kind": "soft"}
    over = [
        Tried(0, "complete", 3.0, settings, ""),
        Tried(1, "complete", 1.0, settings, ""),
        Tried(2, "pruned", 2.0, settings, "stopped at step 3"),
        Tried(3, "failed", None, settings, "ValueError"),
        Tried(4, "failed", None, {}, "killed before it began"),
    ]
    config = Config(objective="hill.height", ranges={"hill.x": (1, 2)})
    axes = parallel_coordinates(over, SPACE, config).axes[0]
    lines = [line for line in axes.lines if len(line.get_ydata()) == len(SPACE) + 1]
    assert len(lines) == 4
    grey = [line for line in lines if line.get_color() == GREY]
    assert len(grey) == 2
    assert all(line.get_ydata()[-1] > 1 for line in grey)
    coloured = {line.get_ydata()[-1]: line for line in lines if line not in grey}
    assert set(coloured) == {0, 1}  # the best one at the bottom, where it is to be small
    assert coloured[0].get_linewidth() > coloured[1].get_linewidth()
    written = {text.get_text() for text in axes.texts}
    assert {"failed", "stopped early", "hill.height", "hill.rate"} <= written
