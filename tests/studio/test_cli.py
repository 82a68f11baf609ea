"""The terminal program, with small jobs of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from studio.cli import main

ROOT = Path(__file__).resolve().parents[2]
JOBS = {"alpha": "fake_alpha", "beta": "fake_beta"}

ALPHA = """
    from lab.errors import UserError
    from lab.run import Progress, write_text

    def run(config, run):
        if config.behaviour == "missing":
            raise UserError(f"{config.source} does not exist; name a folder")
        key = run.fingerprint({"config": config})
        if run.is_complete(key, discard=["made.txt"]):
            return
        for step in range(config.steps):
            run.metric(step=step)
            yield Progress("counting", step + 1, config.steps, f"now {step}")
            if step == 1:
                {"bug": lambda: 1 / 0, "stop": stop, "full": full, "mistake": mistake}.get(
                    config.behaviour, bool
                )()
        yield Progress("writing", 1, 1)
        write_text(run.folder / "made.txt", config.source)
        run.show("made.txt", "what alpha made")
        run.note("alpha measured 0.5")

    def stop():
        raise KeyboardInterrupt

    def full():
        raise OSError(28, "No space left on device", "outputs/x")

    def mistake():
        raise UserError("the model is not there; download it")
"""
BETA = """
    from lab.errors import UserError
    from lab.run import Progress, write_text

    def run(config, run):
        made = run.sibling("alpha") / "made.txt"
        if not made.exists():
            raise UserError(f"{made} does not exist; run alpha first")
        if run.is_complete(run.fingerprint(made.read_text())):
            return
        yield Progress("reading", 1, 1)
        write_text(run.folder / "read.txt", made.read_text().upper())
        run.show("read.txt", "what beta read")
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """An empty folder with two small jobs and an experiment file, as the current directory."""
    packages = tmp_path / "packages"
    configs = {
        "fake_alpha": """
            from typing import Literal
            from lab.config import Section

            class Config(Section):
                '''Makes a text. In capitals later.'''

                source: str = "here"
                '''What to write.'''
                steps: int = 3
                '''How often.'''
                behaviour: Literal["good", "bug", "stop", "full", "mistake", "missing"] = "good"
                '''What goes wrong.'''
            """,
        "fake_beta": """
            from lab.config import Section

            class Config(Section):
                '''Reads the text of alpha.'''
            """,
    }
    for (name, config), job in zip(configs.items(), (ALPHA, BETA), strict=True):
        (packages / name).mkdir(parents=True)
        (packages / name / "__init__.py").touch()
        (packages / name / "config.py").write_text(textwrap.dedent(config))
        (packages / name / "job.py").write_text(textwrap.dedent(job))
    monkeypatch.syspath_prepend(str(packages))
    for module in [name for name in sys.modules if name.startswith("fake_")]:
        del sys.modules[module]
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    Path("x.yaml").write_text("beta:\nalpha:\n  source: hello\n")
    return tmp_path / "work"


def pseudoword(*words: str) -> int:
    return main(list(words), JOBS)


def manifest(job: str = "alpha") -> dict:
    return json.loads(Path("outputs/x", job, "manifest.json").read_text())


def test_run_does_the_sections_in_order_and_names_what_to_look_at(capsys):
    assert pseudoword("run", "x.yaml") == 0
    assert Path("outputs/x/beta/read.txt").read_text() == "HELLO"
    said = capsys.readouterr()
    assert said.out == (
        "\nalpha: alpha measured 0.5\n\nLook at:\n"
        "  outputs/x/alpha/made.txt  what alpha made\n"
        "  outputs/x/beta/read.txt   what beta read\n"
    )
    assert re.search(r"alpha: done in [\d.]+ s\nbeta: reading", said.err)


def test_the_same_command_again_does_nothing_and_says_the_same(capsys):
    pseudoword("run", "x.yaml")
    first = capsys.readouterr()
    before = {path: path.read_bytes() for path in Path("outputs").rglob("*") if path.is_file()}
    assert pseudoword("run", "x.yaml") == 0
    second = capsys.readouterr()
    assert second.out == first.out
    assert "alpha: already done" in second.err
    assert {path: path.read_bytes() for path in before} == before


def test_one_job_alone(capsys):
    assert pseudoword("beta", "x.yaml") == 2
    assert capsys.readouterr().err == (
        "error: outputs/x/alpha/made.txt does not exist; run alpha first\n"
    )
    assert not Path("outputs").exists()
    assert pseudoword("alpha", "x.yaml", "alpha.source=there") == 0
    assert not Path("outputs/x/beta").exists()
    assert Path("outputs/x/alpha/made.txt").read_text() == "there"


def test_a_job_without_a_section_is_said(capsys):
    Path("x.yaml").write_text("alpha:\n")
    assert pseudoword("beta", "x.yaml") == 2
    assert capsys.readouterr().err == "error: x.yaml has no section `beta:`; it has alpha\n"


def test_the_manifest_says_how_it_was_made():
    pseudoword("run", "x.yaml", "alpha.steps=2")
    assert manifest()["command"] == "pseudoword run x.yaml alpha.steps=2"
    assert manifest()["overrides"] == ["alpha.steps=2"]
    assert manifest()["configuration"]["alpha"]["steps"] == 2
    assert manifest()["configuration"]["alpha"]["source"] == "hello"


def test_results_go_where_they_are_wanted():
    assert pseudoword("run", "x.yaml", "--outputs", "else where", "name=y", "alpha.steps=1") == 0
    assert Path("else where/y/alpha/made.txt").exists()
    assert not Path("outputs").exists()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["run", "x.yaml", "alpha.stps=3"],
            "override alpha.stps=3: alpha.stps is not a setting; did",
        ),
        (["run", "no.yaml"], "no.yaml does not exist"),
        (["run", "alpha.steps=3", "x.yaml"], "alpha.steps=3 does not exist; the experiment file"),
        (["run", "x.yaml", "steps"], "override steps: this is not section.setting=value"),
        (["explain", "alhpa"], "alhpa is not a section; did you mean alpha?"),
        (
            ["explain", "alpha.stepps"],
            "alpha.stepps is not a setting of alpha; did you mean alpha.s",
        ),
        (["run", "x.yaml", "alpha.behaviour=missing"], "hello does not exist; name a folder"),
        (["run", "x.yaml", "--outputs=x.yaml"], "--outputs x.yaml: x.yaml is a file; name a fold"),
        (["run", "x.yaml", "--outputs=x.yaml/a"], "--outputs x.yaml/a: /"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing_behind(capsys, words, line):
    assert pseudoword(*words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"error: {line}")
    assert said.err.count("\n") == 1
    assert not Path("outputs").exists()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["rnu", "x.yaml"], "rnu is not a command; did you mean run?"),
        (
            ["whatever"],
            "whatever is not a command; there are run, alpha, beta, embedding, studio, explain",
        ),
        (["run"], "the following arguments are required: FILE"),
        ([], "the following arguments are required: COMMAND"),
        (["run", "x.yaml", "--sed=3"], "--sed=3 is not understood here"),
        (["explain", "alpha", "beta"], "beta is not understood here"),
    ],
)
def test_a_mistyped_command_line_is_said(capsys, words, line):
    with pytest.raises(SystemExit) as caught:
        pseudoword(*words)
    assert caught.value.code == 2
    assert capsys.readouterr().err.splitlines()[0] == f"error: {line}"


def test_all_mistakes_of_a_file_are_said_at_once(capsys):
    Path("x.yaml").write_text("alpha:\n  sorce: a\n  steps: b\nbeta:\n  c: 1\n")
    assert pseudoword("run", "x.yaml") == 2
    assert capsys.readouterr().err == (
        "error: x.yaml:2:3: alpha.sorce is not a setting; did you mean source?\n"
        "x.yaml:3:10: alpha.steps should be a whole number, not 'b'\n"
        "x.yaml:5:3: beta.c is not a setting; beta has no settings\n"
    )


def test_a_mistake_found_midway_is_kept_and_finished_jobs_are_named(capsys):
    Path("x.yaml").write_text("alpha:\n  behaviour: mistake\n")
    assert pseudoword("run", "x.yaml") == 2
    assert capsys.readouterr().err.endswith("error: the model is not there; download it\n")
    assert manifest()["status"] == "failed"
    assert manifest()["failure"] == "the model is not there; download it"
    Path("x.yaml").write_text("alpha:\nbeta:\n")
    pseudoword("alpha", "x.yaml")
    Path("outputs/x/beta").write_text("in the way")
    capsys.readouterr()
    assert pseudoword("run", "x.yaml") == 2
    said = capsys.readouterr()
    assert "error: the folder outputs/x/beta cannot be made (File exists)" in said.err
    assert "outputs/x/alpha/made.txt" in said.out


def test_ctrl_c_is_no_failure(capsys):
    assert pseudoword("run", "x.yaml", "alpha.behaviour=stop") == 130
    assert capsys.readouterr().err.endswith("stopped; the same command continues\n")
    assert manifest()["status"] == "interrupted"


def test_a_full_disk_is_one_sentence(capsys):
    assert pseudoword("run", "x.yaml", "alpha.behaviour=full") == 2
    sentence = (
        "error: No space left on device: outputs/x; make room, and the same command continues"
    )
    assert capsys.readouterr().err.splitlines()[-1] == sentence


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        pseudoword("run", "x.yaml", "alpha.behaviour=bug")
    assert manifest()["status"] == "failed"
    assert manifest()["failure"].startswith("ZeroDivisionError")


def test_a_log_file_gets_few_lines(capsys):
    pseudoword("alpha", "x.yaml", "alpha.steps=2000")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) <= 8
    assert any(line.startswith("alpha: counting 2000 of 2000, ") for line in lines)
    assert "now 1999" in lines[-3]


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    pseudoword("alpha", "x.yaml")
    said = capsys.readouterr().err
    assert "alpha: counting" in said
    assert "3/3" in said


def test_only_the_first_process_speaks_and_writes(capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    Path("x.yaml").write_text("alpha:\n  steps: 1\n")
    pseudoword("alpha", "x.yaml")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")
    assert not Path("outputs/x/alpha/manifest.json").exists()


def test_explain(capsys):
    assert pseudoword("explain") == 0
    sections = capsys.readouterr().out
    assert "  alpha  Makes a text\n  beta   Reads the text of alpha\n" in sections
    assert pseudoword("explain", "alpha") == 0
    assert "alpha.steps  (a whole number; default 3)\n    How often." in capsys.readouterr().out
    assert pseudoword("explain", "alpha.source") == 0
    assert "steps" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [["--help"], ["run", "--help"], ["alpha", "-h"], ["explain", "-h"]]
)
def test_help_teaches(capsys, words):
    with pytest.raises(SystemExit) as caught:
        pseudoword(*words)
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert "explain" in text
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "\x1b" not in text
    if words == ["--help"]:
        assert "pseudoword run experiments/storybook.yaml" in text


# --- the process


def start(*words: str, **options) -> subprocess.Popen:
    code = f"import sys; from studio.cli import main; sys.exit(main(sys.argv[1:], {JOBS!r}))"
    path = os.pathsep.join([str(ROOT), str(Path.cwd().parent / "packages")])
    return subprocess.Popen(
        [sys.executable, "-c", code, *words],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_as_in_a_terminal,
        **options,
    )


def _as_in_a_terminal() -> None:
    """A shell's background job, as CI may run the tests, is deaf to Ctrl-C, and so its children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


SLOW = """
    import time
    from lab.run import Progress

    def run(config, run):
        if run.is_complete("key"):
            return
        for step in range(100_000):
            run.metric(step=step)
            yield Progress("sleeping", step, 100_000)
            time.sleep(0.05)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_in_order(place, number):
    (place.parent / "packages/fake_alpha/job.py").write_text(textwrap.dedent(SLOW))
    process = start("alpha", "x.yaml")
    metrics = Path("outputs/x/alpha/metrics.jsonl")
    deadline = time.monotonic() + 240
    while not metrics.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert said.endswith("stopped; the same command continues\n")
    assert manifest()["status"] == "interrupted"


def test_a_reader_that_leaves_does_no_harm():
    process = start("explain", "alpha")
    assert process.stdout and process.stderr
    process.stdout.close()
    assert process.wait(timeout=120) == 0
    assert process.stderr.read() == ""
    process.stderr.close()


def test_it_starts_without_loading_what_is_slow():
    code = (
        "import sys; from studio.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'numpy', 'PIL', 'cv2', 'moviepy'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or None)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr
