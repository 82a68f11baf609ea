"""The end of a launch."""

import sys
import types

import pytest
import torch.distributed as dist

from lab.config import Section
from lab.errors import UserError
from studio.cli import main


def a_job(failing: bool):
    """A room whose job joins a process group, as every job of a launch does."""
    config, job = types.ModuleType("fake_joining.config"), types.ModuleType("fake_joining.job")

    class Config(Section):
        """Nothing to set."""

    def run(config, run):
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
        if failing:
            raise UserError("there is no model; download it")
        yield from ()

    config.__dict__["Config"], job.__dict__["run"] = Config, run
    return {"fake_joining.config": config, "fake_joining.job": job}


@pytest.mark.parametrize("failing", [False, True])
def test_a_launch_leaves_no_process_group_behind(tmp_path, monkeypatch, failing):
    """Its threads aborted every second Python that ended with them, when little else was left."""
    for name, module in a_job(failing).items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setenv("WORLD_SIZE", "2")
    file = tmp_path / "x.yaml"
    file.write_text("joining: {}\n")
    command = ["joining", str(file), "--outputs", str(tmp_path)]
    assert main(command, {"joining": "fake_joining"}) == (2 if failing else 0)
    assert not dist.is_initialized()
