"""Real processes: several that share a sweep, and one that is killed."""

import pytest

from cfg import job
from cfg.config import Config
from lab.config import load_experiment
from lab.run import Run

SETTINGS = """\
cfg:
  prompt: a cat
  guidance_scales: {{from: 0, to: {to}, step: 0.25}}
  steps: 2
  batch_size: 4
  device: cpu
  video: {{size: 64, fps: 10}}
  model: {model}
"""


@pytest.fixture
def sweep(tmp_path, tiny_sd_folder):
    """The file of a sweep up to a scale."""

    def written(to):
        file = tmp_path / "x.yaml"
        file.write_text(SETTINGS.format(to=to, model=tiny_sd_folder))
        return file

    return written


def here(outputs, file):
    """The same sweep in this process."""
    config = load_experiment(file, [], {"cfg": Config}).sections["cfg"]
    assert isinstance(config, Config)
    with Run(outputs, "x", "cfg") as run:
        list(job.run(config, run))


def results(folder):
    """What was made, without what tells of time and place."""
    files = [f for f in folder.rglob("*") if f.is_file() and f.name != "manifest.json"]
    return {str(f.relative_to(folder)): f.read_bytes() for f in files}


@pytest.mark.slow
def test_two_processes_make_what_one_makes(tmp_path, sweep, launch):
    file = sweep(4)
    launch("cfg", file, tmp_path / "two")
    here(tmp_path / "one", file)
    made = results(tmp_path / "two")
    assert sum("frames" in name for name in made) == 17
    assert made == results(tmp_path / "one")


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_killed_and_continued_by_another_number_of_processes_it_ends_with_the_same_bytes(
    tmp_path, sweep, kill, launch, before, after
):
    file, outputs = sweep(10), tmp_path / "killed"
    kill("cfg", file, outputs, "x/cfg/frames/*/0*.png", count=3, processes=before)
    frames = outputs / "x" / "cfg" / "frames"
    there = when_written(frames)
    assert 3 <= len(there) < 41
    assert not (frames.parent / "guidance.mp4").exists()
    launch("cfg", file, outputs, after)
    here(tmp_path / "whole", file)
    assert results(outputs) == results(tmp_path / "whole")
    # what was there is not drawn again
    assert {path: when_written(frames)[path] for path in there} == there


def when_written(frames):
    return {path.name: path.stat().st_mtime_ns for path in frames.rglob("0*.png")}
