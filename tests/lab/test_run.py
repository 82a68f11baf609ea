"""Run folders: whatever happens to a process, its folder is complete, resumable or says why not."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lab import run as runs
from lab.errors import UserError
from lab.run import Run, file_hash, write_atomically, write_json, write_text

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and locks of POSIX")


def manifest_of(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text())


@pytest.fixture
def open_run(tmp_path):
    def open_run(**record) -> Run:
        return Run(tmp_path, "experiment", "job", record)

    return open_run


# --- files


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path, open_run):
    (tmp_path / "experiment").write_text("a file where a folder should be")
    with pytest.raises(UserError, match=r"job cannot be made .*: name"), open_run() as run:
        run.is_complete("key")


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    write_text(path, "old")

    def fail_halfway(temporary: Path) -> None:
        temporary.write_text("ne")
        raise RuntimeError("disk on fire")

    with pytest.raises(RuntimeError):
        write_atomically(path, fail_halfway)
    assert path.read_text() == "old"
    assert os.listdir(path.parent) == ["file.txt"]


def test_a_temporary_file_has_the_suffix_and_is_beside_the_result(tmp_path):
    seen: list[Path] = []

    def write(temporary: Path) -> None:
        seen.append(temporary)
        temporary.write_bytes(b"x")

    write_atomically(tmp_path / "a.safetensors", write)
    assert seen[0].suffix == ".safetensors"
    assert seen[0].parent == tmp_path
    assert seen[0].name.startswith(".tmp-")


def test_the_longest_file_name_can_be_written(tmp_path):
    path = tmp_path / ("n" * 250 + ".png")
    write_text(path, "x")
    assert path.read_text() == "x"


def test_json_is_valid_whatever_is_in_it(tmp_path):
    import numpy as np

    value = {"nan": float("nan"), "path": Path("a/b"), "set": {2, 1}, 3: (np.float32(0.5), "é")}
    write_json(tmp_path / "x.json", value)
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    back = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert back == {"nan": None, "path": "a/b", "set": [1, 2], "3": [0.5, "é"]}


def test_file_hash_is_sha256(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert file_hash(tmp_path / "x").startswith("ba7816bf8f01cfea414140de5dae2223b00361a3")


# --- the life of a run


def test_nothing_is_written_for_a_mistake_before_the_work(open_run, tmp_path):
    with pytest.raises(UserError), open_run():
        raise UserError("no such folder")
    assert os.listdir(tmp_path) == []


def test_a_finished_run_is_complete_and_says_what_it_was(open_run):
    with open_run(command="pseudoword run x", overrides=["a.b=1"]) as run:
        assert not run.is_complete("key")
        assert manifest_of(run.folder)["status"] == "running"
        run.manifest["device"] = "cpu"
        run.note("a figure")
        write_text(run.folder / "sheet.txt", "look")
        run.show(run.folder / "sheet.txt", "the sheet")
    manifest = manifest_of(run.folder)
    assert manifest["status"] == "complete"
    assert manifest["key"] == "key"
    assert manifest["device"] == "cpu"
    assert manifest["command"] == "pseudoword run x"
    assert manifest["overrides"] == ["a.b=1"]
    assert manifest["show"] == [{"path": "sheet.txt", "what": "the sheet"}]
    assert manifest["notes"] == ["a figure"]
    assert manifest["versions"]["torch"]
    assert manifest["started"] <= manifest["ended"]
    assert run.shown == [(run.folder / "sheet.txt", "the sheet")]


def finish(open_run, key: str = "key") -> Run:
    with open_run() as run:
        if not run.is_complete(key):
            write_text(run.folder / "sheet.txt", key)
            run.show("sheet.txt", "the sheet")
            run.note(f"made {key}")
    return run


def test_a_complete_run_is_not_done_again(open_run):
    first = finish(open_run)
    before = (first.folder / "manifest.json").read_bytes()
    second = finish(open_run)
    assert second.reused
    assert (first.folder / "manifest.json").read_bytes() == before
    assert second.shown == first.shown
    assert second.notes == ["made key"]


def test_another_key_or_a_missing_result_means_work(open_run):
    run = finish(open_run)
    assert not finish(open_run, "other").reused
    (run.folder / "sheet.txt").unlink()
    assert not finish(open_run, "other").reused
    assert finish(open_run, "other").reused


def test_a_failed_run_says_why_and_may_continue(open_run):
    with pytest.raises(UserError), open_run() as run:
        run.is_complete("key")
        raise UserError("the model is not there")
    assert manifest_of(run.folder)["status"] == "failed"
    assert manifest_of(run.folder)["failure"] == "the model is not there"
    with open_run() as again:
        assert not again.is_complete("key")
        assert again.continues
    assert manifest_of(run.folder)["status"] == "complete"
    assert manifest_of(run.folder)["attempts"] == 2


def test_a_bug_is_named_with_its_kind(open_run):
    with pytest.raises(ZeroDivisionError), open_run() as run:
        run.is_complete("key")
        raise ZeroDivisionError("division by zero")
    assert manifest_of(run.folder)["failure"].startswith("ZeroDivisionError: ")


def test_an_interrupted_run_says_so(open_run):
    with pytest.raises(KeyboardInterrupt), open_run() as run:
        run.is_complete("key")
        raise KeyboardInterrupt
    assert manifest_of(run.folder)["status"] == "interrupted"


def test_a_mistake_before_the_work_leaves_the_last_result_valid(open_run):
    finish(open_run)
    with pytest.raises(UserError), open_run():
        raise UserError("mistyped")
    assert finish(open_run).reused


def test_results_of_another_configuration_are_discarded_but_nothing_else(open_run):
    run = finish(open_run)
    for name in ("images/1.png", "images/2.png", "mine.txt"):
        write_text(run.folder / name, "x")
    with open_run() as other:
        other.is_complete("other", discard=["images", "sheet.*"])
        assert not other.continues
    assert sorted(os.listdir(run.folder)) == [".lock", "manifest.json", "mine.txt"]
    write_text(run.folder / "images/1.png", "x")
    with open_run() as same:
        (run.folder / "manifest.json").write_text(
            json.dumps({**manifest_of(run.folder), "status": "running"})
        )
        same.is_complete("other", discard=["images"])
    assert (run.folder / "images/1.png").exists()


def test_what_a_killed_process_left_behind_is_swept_away(open_run):
    run = finish(open_run)
    leftover = run.folder / "images" / ".tmp-123.png"
    leftover.parent.mkdir()
    leftover.write_text("half")
    finish(open_run, "other")
    assert not leftover.exists()


def test_a_damaged_manifest_means_work(open_run):
    run = finish(open_run)
    (run.folder / "manifest.json").write_text('{"status": "compl')
    assert not finish(open_run).reused


def test_the_sibling_is_the_other_job_of_the_same_experiment(open_run, tmp_path):
    assert open_run().sibling("cropping") == tmp_path / "experiment" / "cropping"


@posix
def test_two_runs_do_not_share_a_folder(open_run):
    with open_run() as first:
        first.is_complete("key")
        with pytest.raises(UserError, match="in use by another run"), open_run() as second:
            second.is_complete("key")
        assert manifest_of(first.folder)["status"] == "running"
    assert finish(open_run, "key2")


def test_only_the_first_process_writes(open_run, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with open_run() as run:
        assert not run.is_main
        assert not run.is_complete("key")
        run.metric(step=1)
    assert not run.folder.exists()


# --- fingerprints


def test_a_fingerprint_depends_on_values_only():
    assert Run.fingerprint({"a": 1, "b": (1, 2)}) == Run.fingerprint({"b": [1, 2], "a": 1})
    assert Run.fingerprint({"a": 1}) != Run.fingerprint({"a": 2})
    assert Run.fingerprint(Path("a")) == Run.fingerprint("a")


# --- metrics


def test_resuming_does_not_repeat_metrics(open_run):
    with open_run() as run:
        run.is_complete("key")
        for step in range(5):
            run.metric(step=step, loss=1.0)
        run.metric(event="preview")
        run.truncate_metrics("step", 2)
        run.metric(step=3, loss=float("nan"))
    steps = [line.get("step") for line in run.metrics()]
    assert steps == [0, 1, 2, None, 3]
    assert run.metrics()[-1] == {"step": 3, "loss": None}


def test_a_torn_last_line_is_mended(open_run):
    with open_run() as run:
        run.is_complete("key")
        run.metric(step=1)
    run.folder.joinpath("manifest.json").write_text('{"status": "running", "key": "key"}')
    with (run.folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "lo')
    with open_run() as again:
        again.is_complete("key")
        again.metric(step=2)
    assert [line["step"] for line in again.metrics()] == [1, 2]


def test_metrics_of_another_configuration_are_gone(open_run):
    for key in ("a", "b"):
        with open_run() as run:
            run.is_complete(key)
            run.metric(key=key)
    assert run.metrics() == [{"key": "b"}]


# --- death at any moment

KILLED_EVERYWHERE = textwrap.dedent(
    """
    import json, os, signal, sys
    from pathlib import Path
    from lab import provenance, run as runs
    from lab.run import Run, write_json, write_text

    provenance.code_version(), provenance.package_versions()
    runs._sync = lambda path: None       # a process dies here, not the machine

    def job(folder, key):
        with Run(folder, "experiment", "job") as run:
            if run.is_complete(key, discard=["items", "state.json"]):
                return
            state = run.folder / "state.json"
            start = json.loads(state.read_text())["step"] if state.exists() else 0
            run.truncate_metrics("step", start)
            for step in range(start + 1, 4):
                write_text(run.folder / "items" / f"{step}.txt", f"{step} {key}")
                run.metric(step=step, key=key)
                write_json(state, {"step": step})
            run.show("state.json", "the end")

    CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir")

    def dies_at(change):
        # From now on, die just before the given change of the file system.
        changes = 0
        def hook(event, arguments):
            nonlocal changes
            writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if writes or event in CHANGES:
                changes += 1
                if changes == change:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(hook)

    def forked(action):
        child = os.fork()
        if child == 0:
            try:
                action()
                os._exit(0)
            except BaseException as error:
                print(repr(error), file=sys.stderr)
                os._exit(1)
        return os.waitpid(child, 0)[1]

    def result(folder):
        return {
            path.relative_to(folder).as_posix(): path.read_text()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != "manifest.json" and path.name[0] != "."
        }

    top, expected = Path(sys.argv[1]), {}
    for key in ("old", "new"):
        assert forked(lambda: job(top / key, key)) == 0
        expected[key] = result(top / key)
    deaths, change, status = 0, 0, None
    while status != 0:
        change += 1
        for then in ("new", "old"):    # the same command again, or back to the one before
            folder = top / f"{change}-{then}"
            assert forked(lambda: job(folder, "old")) == 0
            status = forked(lambda: (dies_at(change), job(folder, "new")))
            assert status == 0 or os.WIFSIGNALED(status), status
            deaths += status != 0
            assert forked(lambda: job(folder, then)) == 0
            assert result(folder) == expected[then], (change, then, result(folder))
            manifest = json.loads((folder / "experiment/job/manifest.json").read_text())
            assert (manifest["status"], manifest["key"]) == ("complete", then), (change, manifest)
    print(deaths)
    """
)


@posix
def test_a_run_killed_anywhere_ends_with_the_same_result_when_repeated(tmp_path):
    """SIGKILL before every change of the file system, on top of another configuration's results."""
    finished = subprocess.run(
        [sys.executable, "-c", KILLED_EVERYWHERE, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=200,
        cwd=Path(runs.__file__).parent.parent,
    )
    assert finished.returncode == 0, finished.stderr
    assert int(finished.stdout) > 50  # so many deaths


@posix
def test_a_write_killed_halfway_leaves_the_old_file(tmp_path):
    write_text(tmp_path / "x.txt", "old")
    script = (
        "import os, signal, sys; from pathlib import Path; from lab.run import write_atomically\n"
        "def write(path):\n"
        "    path.write_text('ne')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_atomically(Path(sys.argv[1]) / 'x.txt', write)\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=Path(runs.__file__).parent.parent
    )
    assert finished.returncode == -signal.SIGKILL
    assert (tmp_path / "x.txt").read_text() == "old"
    assert [name for name in os.listdir(tmp_path) if not name.startswith(".tmp-")] == ["x.txt"]
