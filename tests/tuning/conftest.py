"""Two small jobs to search in: `hill`, whose curve falls to its height, and `ground` before it."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from studio.cli import main

ROOT = Path(__file__).resolve().parents[2]
JOBS = {"ground": "fake_ground", "hill": "fake_hill", "tune": "tuning"}

CONFIGS = {
    "fake_ground": """
        from lab.config import Section

        class Config(Section):
            '''What the hill stands on.'''

            level: float = 0.0
            '''How high it is.'''
        """,
    "fake_hill": """
        from typing import Literal
        from lab.config import Section

        class Config(Section):
            '''A curve that falls.'''

            x: float = 1.0
            '''Where on the hill.'''
            rate: float = 0.01
            '''How fast it falls.'''
            count: int = 1
            '''A whole number.'''
            kind: str | None = "soft"
            '''Of what: soft, hard, bug, nan, mistake, stop, full.'''
            steps: int = 6
            '''How long the curve is.'''
        """,
}
GROUND = """
    from lab.run import Progress, write_text

    VERSION = 1

    def run(config, run):
        if run.is_complete(run.fingerprint({"config": config})):
            return
        yield Progress("levelling", 1, 1)
        write_text(run.folder / "level.txt", str(config.level))
        run.show("level.txt", "the level")
    """
HILL = """
    import math, os, signal, time
    from pathlib import Path
    from lab.errors import UserError
    from lab.run import Progress, write_text

    def run(config, run):
        ground = run.sibling("ground") / "level.txt"
        level = float(ground.read_text()) if ground.exists() else 0.0
        if run.is_complete(run.fingerprint({"config": config, "level": level})):
            return
        if meet := os.environ.get("MEET"):  # nobody begins before two are there
            Path(meet, str(os.getpid())).touch()
            while len(os.listdir(meet)) < 2:
                time.sleep(0.01)
        done = max([line["step"] for line in run.metrics()], default=0)
        height = level + (config.x - 2) ** 2 + math.log10(config.rate) ** 2 + config.count
        for step in range(done + 1, config.steps + 1):
            value = height + 10.0 / step
            if step == 2 and config.kind == "nan":
                value = math.nan
            if step == 2 and config.kind == "bug":
                raise ValueError("it fell over")
            if step == 2 and config.kind == "mistake":
                raise UserError("the hill is too steep")
            if step == 2 and config.kind == "full":
                raise OSError(28, "No space left on device", "hill")
            run.metric(step=step, height=value, other=step)
            time.sleep(float(os.environ.get("PACE", "0")))
            if step >= 3 and os.environ.get("KILL_AT") == f"{config.x:.6f}":
                os.kill(os.getpid(), signal.SIGKILL)
            yield Progress("falling", step, config.steps)
        write_text(run.folder / "hill.txt", str(height))
        run.manifest |= {"summit": {"height": height, "nothing": math.nan}}
        run.show("hill.txt", "how high it is")
    """


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory in which the two jobs can be imported."""
    packages = tmp_path / "packages"
    jobs = {"fake_ground": GROUND, "fake_hill": HILL}
    for name, config in CONFIGS.items():
        (packages / name).mkdir(parents=True)
        (packages / name / "__init__.py").touch()
        (packages / name / "config.py").write_text(textwrap.dedent(config))
        (packages / name / "job.py").write_text(textwrap.dedent(jobs[name]))
    monkeypatch.syspath_prepend(str(packages))
    for module in [name for name in sys.modules if name.startswith("fake_")]:
        del sys.modules[module]
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def jobs() -> dict[str, str]:
    """Section -> package, as the terminal program has it."""
    return JOBS


@pytest.fixture
def pseudoword(place: Path) -> Callable[..., int]:
    """The terminal program with these jobs."""
    return lambda *words: main([str(word) for word in words], JOBS)


@pytest.fixture
def start(place: Path) -> Callable[..., subprocess.Popen]:
    """The same in a process of its own."""
    code = f"import sys; from studio.cli import main; sys.exit(main(sys.argv[1:], {JOBS!r}))"
    path = os.pathsep.join([str(ROOT), str(place.parent / "packages")])

    def started(*words: str, **environment: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-c", code, *words],
            env={**os.environ, "PYTHONPATH": path, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return started
