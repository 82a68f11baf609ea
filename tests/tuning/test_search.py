"""The search on two small jobs: what it tries, what it keeps, and that nothing stops it."""

import json
import signal
from pathlib import Path
from typing import Any

import optuna
import pytest

import tuning.job
import tuning.results

FILE = """
ground:
  level: 3
hill:
  x: 5
tune:
  objective: hill.height
  trials: 8
  random_trials: 3
  prune_after_trials: 2
  ranges:
    hill.x: {from: 0, to: 10}
    hill.rate: {from: 1e-4, to: 1, log: true}
    hill.kind: [soft, hard]
"""
TUNE = Path("outputs/x/tune")


@pytest.fixture(autouse=True)
def here(place: Path) -> Path:
    Path("x.yaml").write_text(FILE)
    return place


def listing(folder: Path = TUNE) -> list[dict[str, Any]]:
    return json.loads((folder / "trials.json").read_text())


def made(folder: Path = TUNE) -> dict[str, bytes]:
    """What a search leaves for its reader."""
    names = ("trials.json", "best.yaml", "parallel.png", "report.html")
    return {name: (folder / name).read_bytes() for name in names}


WHOLE: dict[str, bytes] = {}


@pytest.fixture
def whole(pseudoword) -> dict[str, bytes]:
    """What the search leaves that nothing interrupted, called x as the others."""
    if not WHOLE:
        pseudoword("run", "x.yaml", "--outputs", "undisturbed")
        WHOLE.update(made(Path("undisturbed/x/tune")))
        WHOLE["report.html"] = WHOLE["report.html"].replace(b"undisturbed", b"outputs")
    return WHOLE


def height_of(folder: Path) -> float:
    return json.loads((folder / "manifest.json").read_text())["summit"]["height"]


# --- what it finds


def test_run_of_the_best_trials_file_in_a_new_process_gives_the_same_figure(pseudoword, start):
    assert pseudoword("run", "x.yaml") == 0
    trials = listing()
    assert len(trials) == 8
    best = min((t for t in trials if t["state"] == "complete"), key=lambda t: t["value"])
    process = start("run", str(TUNE / "best.yaml"))
    _, said = process.communicate(timeout=100)
    assert process.returncode == 0, said
    lines = Path("outputs/x-best/hill/metrics.jsonl").read_text().splitlines()
    assert min(json.loads(line)["height"] for line in lines) == best["value"]
    trial = TUNE / "trials" / f"{best['number']:04d}" / "hill"
    assert (trial / "metrics.jsonl").read_bytes() == Path(
        "outputs/x-best/hill/metrics.jsonl"
    ).read_bytes()
    assert height_of(Path("outputs/x-best/hill")) == height_of(trial)


def test_it_comes_nearer_than_chance(pseudoword):
    """The lowest point is at x = 2, rate = 1."""
    pseudoword("tune", "x.yaml", "tune.trials=24", "tune.prune=none", "tune.random_trials=8")
    values = [trial["value"] for trial in listing()]
    assert min(values[8:]) < min(values[:8])
    assert sorted(values[16:])[4] < sorted(values[:8])[4]


def test_the_same_command_again_does_nothing_and_more_trials_continue(pseudoword, capsys):
    pseudoword("tune", "x.yaml", "tune.trials=4")
    before, stamp = made(), (TUNE / "study.db").stat().st_mtime_ns
    capsys.readouterr()
    assert pseudoword("tune", "x.yaml", "tune.trials=4") == 0
    assert "tune: already done" in capsys.readouterr().err
    assert (made(), (TUNE / "study.db").stat().st_mtime_ns) == (before, stamp)
    pseudoword("tune", "x.yaml", "tune.trials=6")
    whole = listing()
    assert whole[:4] == json.loads(before["trials.json"])
    assert len(whole) == 6
    assert pseudoword("tune", "x.yaml", "name=y", "tune.trials=6") == 0
    assert listing(Path("outputs/y/tune")) == whole


def test_another_search_leaves_nothing_of_the_first(pseudoword):
    pseudoword("tune", "x.yaml", "tune.trials=4")
    before = listing()
    pseudoword("tune", "x.yaml", "tune.trials=3", "tune.seed=1")
    assert len(listing()) == 3
    assert listing()[0] != before[0]
    assert sorted(p.name for p in (TUNE / "trials").iterdir()) == ["0000", "0001", "0002"]


# --- nothing stops it


def test_failures_are_recorded_and_the_search_goes_on(pseudoword, capsys):
    Path("x.yaml").write_text(
        FILE.replace("hill.kind: [soft, hard]", "hill.kind: [soft, bug, nan, mistake]")
    )
    assert pseudoword("run", "x.yaml", "tune.prune=none", "tune.seed=1") == 0
    reasons = {t["settings"]["hill.kind"]: t["reason"] for t in listing() if t["state"] == "failed"}
    assert reasons == {
        "bug": "ValueError: it fell over",
        "nan": "height is no number at step 2",
        "mistake": "the hill is too steep",
    }
    assert {t["settings"]["hill.kind"] for t in listing() if t["state"] != "failed"} == {"soft"}
    failed = sum(t["state"] == "failed" for t in listing())
    assert f"{failed} failed" in capsys.readouterr().out
    page = (TUNE / "report.html").read_text()
    assert "ValueError: it fell over" in page


def test_where_every_trial_fails_it_says_so(pseudoword, capsys):
    Path("x.yaml").write_text(
        FILE.replace("  x: 5", "  kind: nan").replace("    hill.kind: [soft, hard]\n", "")
    )
    assert pseudoword("run", "x.yaml", "tune.trials=3") == 2
    said = capsys.readouterr().err
    assert "error: all 3 trials of x.yaml failed: height is no number at step 2" in said
    assert not (TUNE / "best.yaml").exists()
    assert (TUNE / "parallel.png").exists()


def test_a_full_disk_stops_it(pseudoword, capsys):
    Path("x.yaml").write_text(
        FILE.replace("  x: 5", "  kind: full").replace("    hill.kind: [soft, hard]\n", "")
    )
    assert pseudoword("run", "x.yaml") == 2
    assert "No space left on device" in capsys.readouterr().err
    assert not (TUNE / "trials.json").exists()


def test_worse_curves_are_stopped_early(pseudoword):
    pseudoword("run", "x.yaml")
    pruned = [trial for trial in listing() if trial["state"] == "pruned"]
    assert pruned
    for trial in pruned:
        folder = TUNE / "trials" / f"{trial['number']:04d}" / "hill"
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        assert trial["reason"] == f"stopped at step {lines[-1]['step']}"
        assert trial["value"] == lines[-1]["height"]
        manifest = json.loads((folder / "manifest.json").read_text())
        assert manifest["status"] == "failed"
        assert manifest["failure"] == f"Pruned: {trial['reason']}"
    assert all(trial["number"] >= 2 for trial in pruned)
    pseudoword("run", "x.yaml", "name=y", "tune.prune=none")
    assert {t["state"] for t in listing(Path("outputs/y/tune"))} == {"complete"}


class Killed(BaseException):
    """As by a signal that nobody hears: nothing may catch it and go on."""


@pytest.mark.parametrize(
    "where", ["suggest_categorical", "choose", "run_trial", "tell", "save", "before the plot"]
)
def test_killed_anywhere_it_ends_with_the_same_bytes(pseudoword, whole, monkeypatch, where):
    owner, name = tuning.job, where
    if where == "suggest_categorical":  # between two settings of a trial
        owner = optuna.Trial
    elif where == "before the plot":
        name = "draw"
    calls, original = [], getattr(owner, name)
    fatal = 1 if name == "draw" else 5

    def fails(*arguments, **named):
        calls.append(name)
        if len(calls) == fatal:
            raise Killed
        return original(*arguments, **named)

    monkeypatch.setattr(owner, name, fails)
    with pytest.raises(Killed):
        pseudoword("run", "x.yaml")
    monkeypatch.setattr(owner, name, original)
    assert pseudoword("run", "x.yaml") == 0
    assert made() == whole


def test_killed_by_the_system_in_a_trial_it_continues_there(pseudoword, whole, start):
    victim = json.loads(whole["trials.json"])[4]
    process = start("run", "x.yaml", KILL_AT=f"{victim['settings']['hill.x']:.6f}")
    process.communicate(timeout=100)
    assert process.returncode == -signal.SIGKILL
    assert len(listing()) == 4
    assert len((TUNE / "trials/0004/hill/metrics.jsonl").read_text().splitlines()) == 3
    assert pseudoword("run", "x.yaml") == 0
    assert made() == whole


def test_a_trial_that_always_takes_the_program_with_it_is_given_up(start, whole):
    victim = json.loads(whole["trials.json"])[2]
    at = f"{victim['settings']['hill.x']:.6f}"
    for attempt in range(4):
        process = start("run", "x.yaml", "tune.trials=4", KILL_AT=at)
        process.communicate(timeout=100)
        assert process.returncode == (0 if attempt == 3 else -signal.SIGKILL)
    assert listing()[2]["state"] == "failed"
    assert listing()[2]["reason"] == "ended the whole program 3 times"
    assert listing()[3]["state"] in ("complete", "pruned")


# --- many at once


def test_two_processes_with_one_database_share_a_search(start, tmp_path):
    shared = f"tune.storage=sqlite:///{tmp_path}/shared.db"
    (tmp_path / "meet").mkdir()  # or the first is done with all before the second has begun
    slowly = {"MEET": str(tmp_path / "meet"), "PACE": "0.05"}
    both = [start("run", "x.yaml", shared, "--outputs", folder, **slowly) for folder in ("a", "b")]
    for process in both:
        _, said = process.communicate(timeout=200)
        assert process.returncode == 0, said
    numbers = [
        {int(path.name) for path in Path(folder, "x/tune/trials").iterdir()} for folder in "ab"
    ]
    assert not numbers[0] & numbers[1]
    assert numbers[0] | numbers[1] >= set(range(8))
    assert len(numbers[0] | numbers[1]) <= 9  # both may have begun the last one


def test_a_database_with_another_search_of_that_name_is_refused(pseudoword, capsys, tmp_path):
    shared = f"tune.storage=sqlite:///{tmp_path}/shared.db"
    assert pseudoword("run", "x.yaml", shared, "tune.trials=1") == 0
    assert pseudoword("run", "x.yaml", shared, "tune.seed=5", "--outputs", "b") == 2
    assert "holds another search called x: give this one a name" in capsys.readouterr().err


def test_no_database_is_a_mistake(pseudoword, capsys):
    assert pseudoword("run", "x.yaml", "tune.storage=nowhere://x") == 2
    assert "tune.storage nowhere://x cannot be opened" in capsys.readouterr().err
