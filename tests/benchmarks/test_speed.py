"""The table of speeds: everything is measured, and what it says follows from what was measured."""

import importlib
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from diffusion.architecture import SD1
from diffusion.stable_diffusion import load

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


@pytest.fixture
def sd(tiny_sd_folder):
    return load(str(tiny_sd_folder), device="cpu")


def options(**changed):
    chosen = {"rounds": 2, "steps": 3, "scales": 2, "batch_size": 2, "real_size": False}
    return Namespace(**{**chosen, "compile": False, **changed})


def test_everything_has_a_line(script, sd, tmp_path, monkeypatch):
    speed = script("speed")
    monkeypatch.setitem(speed.calls.SIDES, "cpu", 64)
    things = speed.all_things(sd, options(), [1, 2], 2, tmp_path)
    memory = dict.fromkeys(things, 0.0)
    for name in (speed.TRAIN, "U-Net, 2 at once", "U-Net, 1 at once"):
        memory[name] = speed.memory_of(sd.device, things[name].call)
    made = {name: thing.call for name, thing in things.items()}
    seconds = speed.measuring.interleaved(made, 1, 0)
    facts = speed.measuring.machine("cpu")
    first = {"U-Net, compiled": 61.4, "U-Net": 1.0}
    text = speed.report(sd, options(), facts, things, seconds, memory, first, 2)
    assert "Translated at the first call (U-Net, compiled: 61 s)." in text
    for name in (speed.OURS, speed.PIPELINE, speed.TRAIN, speed.TABLE, speed.HELD_OUT):
        assert f"| {name} | " in text
    assert text.count("\n| ") == len(things) + 2  # head and line
    # a step needs the gradient's way through the U-Net, a prediction does not
    assert memory[speed.TRAIN] > 2 * memory["U-Net, 2 at once"] > 2 * memory["U-Net, 1 at once"] > 0
    # predictions of the sweep: 2 shared at the first step, then 2 for each picture and step
    assert things[speed.OURS].times == 1 + 2 * 2


def test_what_is_said_of_the_goals_follows_from_the_seconds(script):
    speed = script("speed")
    one, plain = speed.Thing(lambda: None), speed.EVALUATION.format(4)
    things = {speed.OURS: speed.Thing(lambda: None, times=90), plain: speed.Thing(lambda: None, 8)}
    things |= dict.fromkeys((speed.BARE, speed.TRAIN, speed.UNET, speed.ENCODER), one)
    seconds = {
        plain: [0.02, 0.2], speed.OURS: [1.0, 10.0], speed.BARE: [0.95, 9.5],
        speed.TRAIN: [2.3, 23.0], speed.UNET: [1.0, 10.0], speed.ENCODER: [0.3, 3.0],
    }  # fmt: skip
    said = " ".join(speed.goals(things, seconds, 4).split())
    # 90 calls of 10 ms each, in a second
    assert "at 90.0% (90.0% to 90.0%) of the rate" in said
    assert "counted as work, 95.0%" in said
    assert "takes 1.15 (1.15-1.15) times" in said
    assert "and 1.00 (1.00-1.00) times that floor" in said


def test_operations_are_those_of_the_published_model(script, sd):
    """0.80 and 2.5 TFLOP for a picture of 512 px, as papers and other programs count them."""
    real = replace(sd, unet=SimpleNamespace(config=SD1.unet), vae=SimpleNamespace(config=SD1.vae))
    unet, decoder = script("speed_calls").operations(real)
    assert unet == pytest.approx(0.803e12, rel=0.01)
    assert decoder == pytest.approx(2.51e12, rel=0.01)


def test_the_real_size_is_built_in_the_asked_numbers_and_learns_both_ways(script, monkeypatch):
    calls = script("speed_calls")
    small = {"block_out_channels": (32, 64), "layers_per_block": 1, "sample_size": 8}
    blocks = {"down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D")}
    blocks |= {"up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D")}
    monkeypatch.setattr(calls, "SD1", type(SD1)(
        unet=SD1.unet | small | blocks,
        vae=SD1.vae | {"block_out_channels": (32,) * 4, "layers_per_block": 1},
        text_encoder=SD1.text_encoder | {"num_hidden_layers": 1, "intermediate_size": 64},
        scheduler=SD1.scheduler,
    ))  # fmt: skip
    sd = calls.of_real_size("cpu", "bf16")
    assert sd.resolution == 8 * 8
    assert str(next(sd.unet.parameters()).dtype) == "torch.bfloat16"
    training = calls.Training(sd, 1)
    ours, table = training.ours(), training.full_table()
    next(ours)
    assert 0 < next(ours)[0].loss < 100
    assert 0 < next(table) < 100
