"""The benchmarks compare with what they say, and their instruments measure."""

import importlib
import time
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from diffusion.stable_diffusion import load

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    """Imports a benchmark as its own folder's scripts do."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


@pytest.fixture
def measuring(script):
    return script("measuring")


@pytest.fixture
def sd(tiny_sd_folder):
    return load(str(tiny_sd_folder), device="cpu", attention="plain")


def test_the_compared_loop_learns_the_word_and_restores_all_other_rows(script, sd):
    full_table = script("full_table")
    before = sd.text_encoder.get_input_embeddings().weight.clone()
    pixels = torch.rand(3, 3, sd.resolution, sd.resolution) * 2 - 1
    pictures = full_table.Pictures(pixels, ["a cat", "a dog", "a hat"], ["[filewords] [name]"], 2)
    rows = torch.randn(2, before.shape[1])
    steps = full_table.full_table_steps(sd, pictures, "<w>", rows, 1e-2)
    losses = [next(steps) for _ in range(3)]
    after = sd.text_encoder.get_input_embeddings().weight
    assert all(0 < loss < 100 for loss in losses)
    assert after.shape == (len(before) + 2, before.shape[1])
    assert torch.equal(after[:-2], before)
    # AdamW moves every number by about its rate in every step
    assert ((after[-2:] - rows).abs() > 1e-3).float().mean() > 0.9


def test_every_method_trains_and_leaves_the_shared_model_as_it_was(script, sd, tmp_path):
    training_step = script("training_step")
    for shade in (0, 90, 200):
        Image.new("RGB", (32, 32), (shade, 80, 255 - shade)).save(tmp_path / f"a {shade}.png")
    options = SimpleNamespace(pictures=str(tmp_path), batch_size=2, num_vectors=2)
    before = [weight.clone() for weight in sd.text_encoder.parameters()]
    methods = (training_step.OURS, training_step.THEIRS, training_step.CACHED)
    running = [training_step.steps_of(method, sd, options) for method in methods]
    for _ in range(2):
        for steps in running:
            next(steps)
    assert all(map(torch.equal, before, sd.text_encoder.parameters()))
    assert training_step.WORD not in sd.tokenizer.get_vocab()


def test_the_compared_sweeps_draw_the_same_pictures_above_1(script, sd, tmp_path):
    sweep_frame = script("sweep_frame")
    options = SimpleNamespace(
        prompt="a hat", model="storybook", steps=3, scheduler="ddim", rounds=1
    )
    scales = {sweep_frame.ABOVE: [Decimal(2), Decimal(9)], sweep_frame.BELOW: [Decimal(0)]}
    frames = sweep_frame.draw_all(sd, options, scales, tmp_path)
    assert all(len(found) == 1 for groups in frames.values() for found in groups.values())
    same = sweep_frame.differences(tmp_path, sweep_frame.ABOVE)
    assert len(same) == 2
    assert max(same) <= 1
    # the tiny model's prompts matter, so guidance off is another picture
    assert sweep_frame.differences(tmp_path, sweep_frame.BELOW)[0] > 2


def test_variants_take_turns_and_warm_up_uncounted(measuring):
    order = []
    variants = {name: lambda name=name: order.append(name) for name in "ABC"}
    times = measuring.interleaved(variants, rounds=2, warmups=1)
    assert "".join(order) == "ABCABCABC"
    assert [len(values) for values in times.values()] == [2, 2, 2]


def test_a_slow_round_does_not_change_the_ratio(measuring):
    ratio = measuring.ratios([2.0, 20.0, 2.0], [1.0, 10.0, 1.0])
    assert (ratio.lower, ratio.median, ratio.upper) == (2, 2, 2)


def test_seconds_are_seconds(measuring):
    times = measuring.interleaved({"a": lambda: time.sleep(0.02)}, rounds=3)
    assert all(0.02 <= value < 2 for value in times["a"])


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux forgets a peak")
def test_a_peak_counts_what_was_used_and_no_older_peak(measuring):
    size = 100_000_000
    torch.ones(3 * size, dtype=torch.uint8)  # an older, higher peak
    peak = measuring.peak_of("cpu", lambda: torch.ones(size, dtype=torch.uint8))
    assert 0.9 * size < peak < 1.5 * size
