"""The queue, with small jobs that need no torch: what it promises of order, stopping, and dying."""

import fcntl
import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from lab.errors import UserError
from lab.run import Progress
from studio.cli import main
from studio.web import tickets
from studio.web.places import Places
from studio.web.queue import Queue
from studio.web.runs.listing import is_held

JOBS = {"slow": "fake_slow", "after": "fake_after"}
CONFIG = """
    from typing import Literal
    from lab.config import Section

    class Config(Section):
        '''Counts.'''

        steps: int = 3
        '''How far.'''
        seconds: float = 0.0
        '''How long for each.'''
        gate: str = ""
        '''A file without which the last step is not made.'''
        behaviour: Literal["good", "bug", "mistake", "die"] = "good"
        '''What goes wrong.'''
    """
JOB = """
    import os, signal, time
    from lab.errors import UserError
    from lab.run import Progress

    def run(config, run):
        if run.is_complete(run.fingerprint(config)):
            return
        begin = len(run.metrics()) if run.continues else 0
        for k in range(begin, config.steps):
            time.sleep(config.seconds)
            while config.gate and k == config.steps - 1 and not os.path.exists(config.gate):
                yield Progress("counting", k, config.steps)
                time.sleep(0.01)
            if config.behaviour == "bug":
                raise ValueError("a bug")
            if config.behaviour == "mistake":
                raise UserError("there are no pictures; add some")
            if config.behaviour == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            run.metric(step=k, process=os.getpid())
            yield Progress("counting", k + 1, config.steps, "so far so good")
    """


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packages")
    for package in JOBS.values():
        (folder / package).mkdir()
        (folder / package / "__init__.py").touch()
        (folder / package / "config.py").write_text(textwrap.dedent(CONFIG))
        (folder / package / "job.py").write_text(textwrap.dedent(JOB))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield folder


def new_queue(outputs: Path) -> Queue:
    queue = Queue(outputs, Places([], outputs), JOBS, warm=False)
    queue.start()
    return queue


@pytest.fixture(scope="module")
def queue(packages, tmp_path_factory):
    made = new_queue(tmp_path_factory.mktemp("queue") / "outputs")
    yield made
    made.close()


def until(condition, seconds: float = 120.0):
    """What `condition` returns, once that is true."""
    ends = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < ends, "it took too long"
        time.sleep(0.01)
    return found


def ended(queue: Queue, ticket: str):
    return until(lambda: (s := queue.standing(ticket)).place < 0 and s)


def manifest(queue: Queue, name: str, job: str = "slow") -> dict:
    return json.loads((queue.outputs / name / job / "manifest.json").read_text())


def lines(queue: Queue, name: str) -> list[dict]:
    text = (queue.outputs / name / "slow" / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


LONG = {"steps": 2000, "seconds": 0.02}


def running(queue: Queue, name: str, **settings) -> str:
    """A ticket that has made its first steps."""
    ticket = queue.submit({"name": name, "slow": {**LONG, **settings}}, "count")
    until(lambda: queue.standing(ticket).done > 1)
    return ticket


def test_a_ticket_is_the_terminals_run(queue, capsys):
    ticket = queue.submit({"name": "one", "slow": {"steps": 4}}, "count to four")
    standing = ended(queue, ticket)
    assert (standing.status, standing.sentence, standing.done) == ("done", "", 4)
    file = queue.outputs / ".studio" / "one.yaml"
    assert main(["slow", str(file), "--outputs", str(queue.outputs)], JOBS) == 0
    assert "already done" in capsys.readouterr().err
    assert manifest(queue, "one")["command"] == f"pseudoword slow {file}"


def test_an_experiment_of_two_jobs_runs_both_and_keeps_the_other_sections(queue):
    experiment = {"name": "two", "after": {"steps": 1}, "slow": {"steps": 1}}
    assert ended(queue, queue.submit(experiment, "both")).status == "done"
    assert manifest(queue, "two", "after")["status"] == "complete"
    ended(queue, queue.submit({"name": "two", "slow": {"steps": 2}}, "the first anew"))
    assert (queue.outputs / ".studio" / "two.yaml").read_text() == (
        "name: two\nslow:\n  steps: 2\nafter:\n  steps: 1\n"
    )


def test_one_at_a_time_in_order_unless_one_goes_first(queue):
    first = running(queue, "order-1")
    second = queue.submit({"name": "order-2", "slow": {}}, "second")
    third = queue.submit({"name": "order-3", "slow": {}}, "third", front=True)
    places = [queue.standing(ticket).place for ticket in (first, second, third)]
    assert places == [0, 2, 1]
    assert queue.of("order-2") == queue.standing(second)
    queue.stop(first)
    ended(queue, second)
    began = [manifest(queue, name)["ended"] for name in ("order-3", "order-2")]
    assert began == sorted(began)


def test_stop_ends_within_a_step_and_the_process_goes_on(queue, paused):
    ticket = running(queue, "stopped")
    with paused(queue):
        done = len(lines(queue, "stopped"))
        queue.stop(ticket)
    assert ended(queue, ticket).status == "stopped"
    assert len(lines(queue, "stopped")) <= done + 1  # one was under way while we counted
    assert manifest(queue, "stopped")["status"] == "interrupted"
    assert ended(queue, queue.submit({"name": "next", "slow": {}}, "next")).status == "done"
    assert lines(queue, "next")[0]["process"] == lines(queue, "stopped")[0]["process"]


def test_go_on_continues_where_it_was(queue):
    gate = queue.outputs / "gate"
    ticket = running(queue, "resumed", steps=60, gate=str(gate))
    queue.stop(ticket)
    assert ended(queue, ticket).status == "stopped"
    gate.touch()
    assert ended(queue, queue.again("resumed", "slow")).status == "done"
    assert [line["step"] for line in lines(queue, "resumed")] == list(range(60))
    with pytest.raises(UserError, match="nothing has no slow to go on with"):
        queue.again("nothing", "slow")


def test_the_time_left_is_the_rest_at_the_speed_so_far(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(tickets.time, "monotonic", lambda: clock[0])
    ticket = tickets.Ticket("id", "name", ("slow",), "count", "running")
    ticket.hear(Progress("counting", 10, 110))
    assert ticket.seconds_left() is None
    clock[0] = 110
    ticket.hear(Progress("counting", 30, 110))
    assert ticket.seconds_left() == pytest.approx(80 * 10 / 20)
    ticket.hear(Progress("writing", 0, 2))  # another stage has another speed
    clock[0] = 112
    assert ticket.seconds_left() is None
    ticket.hear(Progress("writing", 1, 2))
    assert ticket.seconds_left() == pytest.approx(2)
    ticket.status = "done"
    assert ticket.seconds_left() is None


def test_what_waits_is_taken_back(queue):
    first = running(queue, "busy")
    waiting = queue.submit({"name": "patient", "slow": {}}, "wait")
    queue.stop(waiting)
    queue.stop(first)
    assert ended(queue, waiting).status == "stopped"
    ended(queue, first)
    queue.stop(first)  # nothing happens
    assert not (queue.outputs / "patient").exists()


def test_a_process_that_dies_is_replaced_and_says_so(queue):
    dead = queue.submit({"name": "dead", "slow": {"behaviour": "die"}}, "die")
    after = queue.submit({"name": "alive", "slow": {}}, "live")
    standing = ended(queue, dead)
    assert standing.status == "failed"
    assert standing.sentence.startswith("the process that computes was ended from outside (SIGKILL")
    assert ended(queue, after).status == "done"


@pytest.mark.parametrize(
    ("behaviour", "sentence"),
    [
        ("mistake", "there are no pictures; add some"),
        ("bug", "this should not have happened (ValueError: a bug); the terminal of the studio"),
    ],
)
def test_a_failure_is_a_sentence(queue, behaviour, sentence):
    name = f"fails-{behaviour}"
    standing = ended(queue, queue.submit({"name": name, "slow": {"behaviour": behaviour}}, "fail"))
    assert standing.status == "failed"
    assert standing.sentence.startswith(sentence)
    assert "Traceback" not in standing.sentence
    assert manifest(queue, name)["status"] == "failed"


def test_a_folder_that_the_terminal_works_in_is_left_to_it(queue):
    folder = queue.outputs / "shared" / "slow"
    folder.mkdir(parents=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        standing = ended(queue, queue.submit({"name": "shared", "slow": {}}, "share"))
    assert standing.status == "failed"
    assert "is in use by another run; wait for it" in standing.sentence


@pytest.mark.parametrize(
    ("experiment", "sentence"),
    [
        ({"name": "x", "slow": {"stepps": 3}}, "stepps is not a setting; did you mean steps?"),
        ({"name": "x", "slow": {"steps": "3"}}, "steps should be a whole number"),
        ({"name": "x", "slow": {"seconds": float("nan")}}, "seconds should be"),
        ({"name": "x"}, "it has no section"),
        ({"slow": {}}, "give it a name"),
        ({"name": "../x", "slow": {}}, "is no name for a folder"),
        ({"name": "x", "fast": {}}, "fast is not a section"),
    ],
)
def test_a_mistake_is_said_and_nothing_is_queued(queue, experiment, sentence):
    before, files = queue.all(), sorted(queue.outputs.rglob("*"))
    with pytest.raises(UserError) as error:
        queue.submit(experiment, "nothing")
    assert sentence in str(error.value)
    assert ".check" not in str(error.value)
    assert (queue.all(), sorted(queue.outputs.rglob("*"))) == (before, files)


def test_one_run_is_not_begun_twice(queue):
    first = running(queue, "twice")
    with pytest.raises(UserError, match="the run twice is under way already; stop it first"):
        queue.submit({"name": "twice", "slow": {}}, "again")
    queue.stop(first)
    ended(queue, first)


def test_a_studio_that_is_started_again_goes_on(packages, tmp_path):
    first, gate = new_queue(tmp_path), tmp_path / "gate"
    with pytest.raises(UserError, match="another studio works in"):
        new_queue(tmp_path)
    ticket = running(first, "long", steps=100, gate=str(gate))
    waiting = first.submit({"name": "later", "slow": {}}, "later")
    first.close()
    assert manifest(first, "long")["status"] == "interrupted"
    made = len(lines(first, "long"))
    gate.touch()
    second = new_queue(tmp_path)
    try:
        assert [second.standing(t).name for t in (ticket, waiting)] == ["long", "later"]
        assert ended(second, ticket).status == ended(second, waiting).status == "done"
        assert [line["step"] for line in lines(second, "long")] == list(range(100))
        assert lines(second, "long")[made]["process"] != lines(second, "long")[0]["process"]
    finally:
        second.close()


SERVER = """
import sys, time
from pathlib import Path
from studio.web.places import Places
from studio.web.queue import Queue
if __name__ == "__main__":
    outputs = Path(sys.argv[1])
    queue = Queue(outputs, Places([], outputs), {"slow": "fake_slow"}, warm=False)
    queue.start()
    queue.submit({"name": "orphan", "slow": {"steps": 2000, "seconds": 0.02}}, "count")
    time.sleep(600)
"""


def test_what_a_killed_studio_was_doing_is_interrupted_and_goes_on(packages, tmp_path):
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    outputs = tmp_path / "outputs"
    path = os.pathsep.join([str(packages), str(Path(__file__).resolve().parents[3])])
    server = subprocess.Popen(
        [sys.executable, str(script), str(outputs)], env={**os.environ, "PYTHONPATH": path}
    )
    folder = outputs / "orphan" / "slow"
    until(lambda: (folder / "metrics.jsonl").exists())
    server.kill()
    server.wait()
    told = folder / "manifest.json"
    until(lambda: json.loads(told.read_text())["status"] == "interrupted")
    until(lambda: not is_held(folder))  # its last word is written before it lets go
    queue = new_queue(outputs)
    try:
        standing = until(lambda: (s := queue.of("orphan")) and s.done > 1 and s)
        queue.stop(standing.id)
        assert ended(queue, standing.id).status == "stopped"
        steps = [line["step"] for line in lines(queue, "orphan")]
        assert steps == list(range(len(steps)))
    finally:
        queue.close()
