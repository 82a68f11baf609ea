"""What the tabs share: mistakes become sentences, and work says how it stands."""

import fcntl
import json
import time

import gradio as gr
import pytest

from lab.errors import UserError
from lab.run import Progress
from studio.web import parts, tickets
from studio.web.bench import Bench
from studio.web.places import Places
from studio.web.queue import Queue
from studio.web.tickets import Ticket


@pytest.fixture
def said(monkeypatch):
    sentences: list[str] = []
    monkeypatch.setattr(gr, "Warning", lambda sentence, **_: sentences.append(sentence))
    return sentences


def test_a_users_mistake_is_said_and_changes_nothing(said, capsys):
    @parts.guarded
    def handler(value):
        raise UserError(f"{value} is no picture\nname another")

    assert handler("<b>x</b>") == gr.skip()
    assert said == ["&lt;b&gt;x&lt;/b&gt; is no picture<br>name another"]
    assert capsys.readouterr().err == ""


def test_what_is_unforeseen_is_one_sentence_and_a_traceback_in_the_terminal(said, capsys):
    @parts.guarded
    def handler():
        return 1 // 0

    assert handler() == gr.skip()
    assert said == [parts.UNFORESEEN]
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_handler_that_yields_keeps_what_it_has_shown(said):
    @parts.guarded
    def handler(count):
        yield from range(count)
        raise UserError("enough")

    assert list(handler(2)) == [0, 1, gr.skip()]
    assert said == ["Enough"]


@pytest.fixture
def bench(tmp_path):
    places = Places([], tmp_path)
    return Bench(tmp_path, places, Queue(tmp_path, places, warm=False))


def manifest(bench, **values):
    folder = bench.folder("house", "cfg")
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(values))


def ticket(bench, **values):
    bench.queue._tickets.append(Ticket("id", "house", ("cfg",), "draw", **values))


def test_nothing_is_said_of_no_run(bench):
    assert parts.describe(bench, "", "cfg") == ("", False, False, False)
    assert parts.describe(bench, "house", "cfg") == ("", False, False, False)
    with pytest.raises(UserError):
        bench.folder("../house", "cfg")
    with pytest.raises(UserError, match="xyz is no job"):
        bench.folder("house", "xyz")


@pytest.mark.parametrize(
    ("status", "words", "resume", "again"),
    [
        ("complete", "Done", False, False),
        ("interrupted", "Stopped", True, False),
        ("failed", "no such word", True, False),
        ("running", "Cut off", True, False),
    ],
)
def test_a_run_of_the_terminal_says_how_it_stands(bench, status, words, resume, again):
    manifest(bench, status=status, failure="no such word" if status == "failed" else "")
    text, may_stop, may_resume, active = parts.describe(bench, "house", "cfg")
    assert words in text
    assert (may_stop, may_resume, active) == (False, resume, again)


def test_what_the_terminal_is_doing_is_watched(bench):
    manifest(bench, status="running")
    with (bench.folder("house", "cfg") / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        text, *buttons, active = parts.describe(bench, "house", "cfg")
    assert "in the terminal" in text
    assert (buttons, active) == ([False, False], True)


def test_what_waits_and_what_runs_can_be_stopped(bench):
    manifest(bench, status="complete")
    ticket(bench)
    text, may_stop, may_resume, active = parts.describe(bench, "house", "cfg")
    assert "Waiting" in text and "the next one" in text
    assert (may_stop, may_resume, active) == (True, False, True)
    bench.queue._tickets[0].status = "running"
    bench.queue._tickets[0].hear(Progress("drawing <it>", 1, 40, ""))
    text = parts.describe(bench, "house", "cfg")[0]
    assert "Drawing &lt;it&gt;" in text and "1 of 40" in text and '<progress max="40"' in text


def test_what_waits_says_for_what_and_how_long_that_takes(bench, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(tickets.time, "monotonic", lambda: clock[0])
    bench.queue._tickets += [Ticket("1", "<long>", ("cfg",), "draw", "running"),
                             Ticket("2", "next", ("cfg",), "draw")]  # fmt: skip
    ticket(bench)
    text = parts.describe(bench, "house", "cfg")[0]
    assert "number 2 in the queue; &lt;long&gt; is under way<" in text
    bench.queue._tickets[0].hear(Progress("drawing", 0, 40, ""))
    clock[0] = 400
    bench.queue._tickets[0].hear(Progress("drawing", 20, 40, ""))
    text = parts.describe(bench, "house", "cfg")[0]
    assert "&lt;long&gt; is under way, about 5 min left<" in text


def test_the_newest_account_counts(bench):
    """A ticket that failed before anything began says why; a later run of the terminal is later."""
    manifest(bench, status="complete")
    ticket(bench, status="failed", sentence="there are no pictures", ended=time.time() + 9)
    assert "there are no pictures" in parts.describe(bench, "house", "cfg")[0]
    bench.queue._tickets[0].ended = time.time() - 9
    assert "Done" in parts.describe(bench, "house", "cfg")[0]
