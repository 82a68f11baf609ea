"""The tab Runs: what it lists, of whatever lies in outputs/, and how it says it."""

import fcntl
import json
import os
import re
import time
from html.parser import HTMLParser
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image

from lab.config import load_experiment
from lab.errors import UserError
from studio.cli import JOBS, models
from studio.web.bench import Bench, Tab
from studio.web.places import Places
from studio.web.queue import Queue
from studio.web.runs import listing, text
from studio.web.runs import page as runs

MODELS = models(JOBS)


def make_run(outputs: Path, name: str, job: str = "cfg", age: float = 0, **manifest) -> Path:
    """A run folder as a job leaves it; `age` in seconds."""
    folder = outputs / name / job
    folder.mkdir(parents=True)
    configuration = {"name": name, job: {"prompt": "a cat", "seed": 3, "rule": "apg"}}
    path = folder / "manifest.json"
    path.write_text(
        json.dumps(
            {"name": name, "job": job, "status": "complete", "configuration": configuration,
             "started": "2026-11-21T08:24:40+00:00", "seconds": 113.5, "notes": ["a note"],
             "show": [{"path": "report.html", "what": "all of it"}]} | manifest
        )
    )  # fmt: skip
    (folder / "report.html").write_text("<p>report</p>")
    os.utime(path, (time.time() - age, time.time() - age))
    return folder


def cards(outputs: Path, **wanted) -> list[listing.Card]:
    found = listing.entries(outputs, list(JOBS), **wanted)
    return [listing.read_card(entry, MODELS) for entry in found]


def test_the_newest_run_is_first_and_names_are_found(tmp_path):
    for age, name in enumerate(["house", "Cat", "dove"]):
        make_run(tmp_path, name, age=10 * age)
    make_run(tmp_path, "cat", "ddpm", age=1)
    (tmp_path / ".studio" / "cfg").mkdir(parents=True)
    (tmp_path / ".studio" / "cfg" / "manifest.json").write_text("{}")
    (tmp_path / "no run").mkdir()
    (tmp_path / "a file").write_text("")
    assert [card.entry.name for card in cards(tmp_path)] == ["house", "cat", "Cat", "dove"]
    assert [card.entry.name for card in cards(tmp_path, words=" CAT ")] == ["cat", "Cat"]
    assert [card.entry.name for card in cards(tmp_path, job="ddpm")] == ["cat"]


def test_what_was_drawn_between_scales_is_listed_where_its_own_name_is_asked_for(tmp_path):
    for name in ("house", "house-between", "between", "a-between"):
        make_run(tmp_path, name)
    assert {card.entry.name for card in cards(tmp_path)} == {"house", "between", "a-between"}
    assert [card.entry.name for card in cards(tmp_path, words="House")] == ["house"]
    assert len(cards(tmp_path, words="Between")) == 3
    assert [card.entry.name for card in cards(tmp_path, words="house-b")] == ["house-between"]


def test_a_card_has_what_was_set_and_said(tmp_path):
    folder = make_run(tmp_path, "house")
    (folder / "frames" / "a house").mkdir(parents=True)
    for k in range(9):
        Image.new("RGB", (8, 8)).save(folder / "frames" / "a house" / f"{k:06d}.png")
    (card,) = cards(tmp_path)
    assert card.settings == (("prompt", "a cat"), ("seed", "3"), ("rule", "apg"))
    assert [path.stem for path in card.pictures] == ["000000", "000003", "000005", "000008"]
    assert (card.status, card.notes, card.seconds) == ("complete", ("a note",), 113.5)
    assert card.files == ((folder / "report.html", "all of it"),)


def test_failed_interrupted_and_damaged_runs_say_so(tmp_path):
    make_run(tmp_path, "1", status="failed", failure="no <word> there; learn it")
    make_run(tmp_path, "2", status="interrupted", age=1)
    make_run(tmp_path, "3", status="running", age=2)
    held = make_run(tmp_path, "4", status="running", age=3)
    for age, said in enumerate(["", "[]", "{", '{"status": 3, "show": [1, {"path": 2}]}', "\xff"]):
        folder = make_run(tmp_path, f"damaged {age}", age=10 + age)
        (folder / "manifest.json").write_text(said, encoding="latin-1")
        os.utime(folder / "manifest.json", (1e9 - age, 1e9 - age))
    with (held / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = cards(tmp_path)
    assert [card.status for card in found][:4] == [
        "failed",
        "interrupted",
        "interrupted",
        "running",
    ]
    made = [runs.card_html(card, True) for card in found]
    assert "no &lt;word&gt; there; learn it" in made[0]
    assert [text.count('data-do="resume"') for text in made[:4]] == [1, 1, 1, 0]


class Tags(HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append(tag)
        self.found += [name for name, _ in attributes if name.startswith("on")]


def test_names_and_notes_are_text_and_no_markup(tmp_path):
    evil = "<img src=x onerror=alert(1)>\"'"
    make_run(tmp_path, "plain")
    expected = Tags(runs.card_html(cards(tmp_path)[0], True)).found
    show = [{"path": "report.html", "what": evil}]
    section = {"prompt": evil, "seed": 3, "rule": evil}
    folder = make_run(
        tmp_path, "x' onclick='alert(1)", notes=[evil], show=show, age=-1,
        status="failed", failure=evil, configuration={"cfg": section},
    )  # fmt: skip
    card = cards(tmp_path)[0]
    assert card.entry.folder == folder
    assert set(Tags(runs.card_html(card, True)).found) == set(expected)


def test_files_that_a_manifest_names_elsewhere_are_not_offered(tmp_path):
    (tmp_path / "secret.html").write_text("secret")
    show = [
        {"path": path, "what": ""} for path in ("../../secret.html", "/etc/passwd", "link.html")
    ]
    folder = make_run(tmp_path / "outputs", "x", show=show)
    (folder / "link.html").symlink_to(tmp_path / "secret.html")
    (card,) = cards(tmp_path / "outputs")
    assert card.files == ()
    with pytest.raises(UserError, match="x has no report yet"):
        runs.report_html("x", folder, listing.read_json(folder / "manifest.json"))


def test_three_hundred_runs_cost_a_page(tmp_path, monkeypatch):
    for k in range(300):
        make_run(tmp_path, f"run {k}", age=k)
    read = []
    real = listing.read_json
    monkeypatch.setattr(listing, "read_json", lambda path: read.append(path) or real(path))
    found = listing.entries(tmp_path, list(JOBS))
    page = [listing.read_card(entry, MODELS) for entry in found[: runs.PAGE]]
    assert (len(found), len(page), len(read)) == (300, runs.PAGE, runs.PAGE)


def test_make_this_again_fills_one_form_and_leaves_the_others(tmp_path):
    def tab(name, job, inputs):
        return Tab(name, job, [None] * inputs, lambda c: [c["name"], c[job]["seed"]], None)

    tabs = [tab("crop", "cropping", 3), tab("guidance", "cfg", 2)]
    manifest = listing.read_json(make_run(tmp_path, "house") / "manifest.json")
    target, values = runs.filled(tabs, "cfg", manifest, "house")
    assert target == "guidance"
    assert values[4:] == ["house", "house", 3]
    assert len(values) == 1 + 3 + 1 + 2
    with pytest.raises(UserError, match="made in the terminal"):
        runs.filled(tabs[:1], "cfg", manifest, "")
    with pytest.raises(UserError, match="is not written in its manifest"):
        runs.filled(tabs, "cfg", {}, "")


# --- an experiment as text


@pytest.fixture
def bench(tmp_path) -> Bench:
    """A bench whose queue takes work and does none."""
    outputs, readable = tmp_path / "outputs", tmp_path / "experiments"
    readable.mkdir()
    places = Places([readable], outputs)
    return Bench(outputs, places, Queue(outputs, places, warm=False))


EXPERIMENTS = sorted((Path(__file__).parents[4] / "experiments").glob("*.yaml"))


@pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda file: file.stem)
def test_a_run_of_any_job_is_made_again_from_its_text(tmp_path, file):
    """The text of a run means what its manifest says, for every job that there is."""
    said = load_experiment(file, [], MODELS).resolved
    for job in [key for key in said if key != "name"]:
        written = tmp_path / f"{job}.yaml"
        written.write_text(text.again(said, job, said["name"], MODELS), encoding="utf-8")
        again = load_experiment(written, [], MODELS)
        assert again.resolved == (said if job == "tune" else {"name": said["name"], job: said[job]})


def test_make_this_again_opens_the_text_where_no_tab_has_a_form(bench):
    section = {"prompts": ["a cat"], "seeds": [3], "guidance_scales": [1.0]}
    make_run(bench.outputs, "house", "sample", configuration={"name": "house", "sample": section})
    wish = {"act": "again", "name": "house", "job": "sample"}
    reader, written, fold, target = runs._pressed(bench, [], wish)
    assert (reader, target) == ("", gr.skip()) and fold.open
    assert written.startswith("name: house\nsample:\n") and "a cat" in written
    assert text.begin(bench, written) == "house"
    assert bench.queue.all()[0].jobs == ("sample",)
    with pytest.raises(UserError, match="is not written in its manifest"):
        text.again({}, "sample", "house", MODELS)


def test_a_file_is_opened_with_a_name_and_started(bench):
    file = bench.places.roots[0] / "one.yaml"
    file.write_text("# mine\nsample: {prompts: [a cat]}\n")
    assert text.files_in(bench.places) == [str(file)]
    written = text.read(bench.places, str(file))
    assert written == "name: one\n# mine\nsample: {prompts: [a cat]}\n"
    file.write_text(written)
    assert text.read(bench.places, str(file)) == written
    assert text.begin(bench, written) == "one"
    (bench.places.roots[0] / "out.yaml").symlink_to("/etc/hostname")
    for other in ("/etc/passwd", str(file.parent), "../x.yaml", str(file.parent / "out.yaml")):
        with pytest.raises(UserError):
            text.read(bench.places, other)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("", "write an experiment first"),
        (None, "write an experiment first"),
        ("x" * 200_000, "more than"),
        ("name: [", "line 1: not valid YAML"),
        ("just words", "line 1: "),
        ("sample: {}", "give it a name"),
        ("name: one", "no section"),
        ("name: ../one\nsample: {}", "no name for a folder"),
        ("name: one\nsamples: {}", "did you mean sample"),
        ("name: one\nsample: {promts: [a]}", "did you mean prompts"),
        ("name: one\nsample: {words: [/etc/passwd]}", "outside of the folders"),
        ("name: one\ntune: {storage: /tmp/x.db}\nsample: {}", "keeps trials in the run folder"),
    ],
)
def test_what_a_text_gets_wrong_is_a_sentence_and_nothing_is_queued(bench, written, words):
    with pytest.raises(UserError, match=re.escape(words)):
        text.begin(bench, written)
    assert bench.queue.all() == []


def test_a_search_goes_on_with_the_sections_that_it_tries(bench):
    tune = "tune: {objective: sample.seconds, trials: 2, ranges: {sample.steps: [5, 9]}}"
    written = f"name: one\n{tune}\nsample: {{prompts: [a]}}\n"
    (bench.outputs / ".studio").mkdir(parents=True)
    file = bench.outputs / ".studio" / "trial.yaml"
    file.write_text(written)
    said = load_experiment(file, [], MODELS).resolved
    make_run(bench.outputs, "one", "tune", configuration=said)  # in the terminal
    bench.queue.again("one", "tune")
    again = load_experiment(bench.outputs / ".studio" / "one.yaml", [], MODELS)
    assert again.resolved == said


def test_what_failed_before_it_had_a_card_is_said(bench):
    text.begin(bench, "name: one\nsample: {prompts: [a cat]}")
    ticket = bench.queue._tickets[0]
    ticket.status, ticket.sentence, ticket.ended = "failed", "there is no such word", time.time()
    shown = runs._refreshed(bench, "", "", 0, ("", ""))[0]
    assert "there is no such word" in shown and "data-do" not in shown
    make_run(bench.outputs, "one", "sample")
    assert runs._refreshed(bench, "", "", 0, ("", ""))[0] == gr.skip()
