"""Several processes make what one makes; and none of them outlives a job that is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]


def results(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("manifest.json", ".lock")
    }


def test_workers_make_what_one_process_makes(pictures, crop):
    one, two = crop(pictures, "one", workers=1), crop(pictures, "two", workers=2)
    assert results(one.folder) == results(two.folder)


def test_a_launch_makes_what_one_process_makes(tmp_path, pictures, crop, launch):
    one = crop(pictures, "one")
    file = tmp_path / "test.yaml"
    file.write_text(
        f"cropping: {{source: {pictures}, size: 48, pad: never, scans: {{find: []}}}}\n"
    )
    launch("cropping", file, tmp_path / "two")
    assert results(tmp_path / "two" / "test" / "cropping") == results(one.folder)


SLOW = """
import sys, time
from pathlib import Path
from lab.workers import spread

def note_and_sleep(folder):
    import os
    Path(folder, str(os.getpid())).touch()
    time.sleep(900)

if __name__ == "__main__":
    list(spread(note_and_sleep, [sys.argv[1]] * 2, workers=2))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
def test_workers_end_when_their_parent_is_killed(tmp_path):
    (tmp_path / "slow.py").write_text(SLOW)
    (tmp_path / "at work").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(tmp_path / "slow.py"), str(tmp_path / "at work")]
    parent = subprocess.Popen(command, env=environment)
    try:
        deadline = time.monotonic() + 240
        while len(at_work := list((tmp_path / "at work").iterdir())) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        parent.kill()
        parent.wait()
    while any(is_at_work(int(path.name)) for path in at_work):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_at_work(process: int) -> bool:
    """One that has ended may still be listed, where nobody asks for its exit status."""
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
