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
    methods = training_step.METHODS
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
    scales = (Decimal(0), Decimal(1), Decimal(2), Decimal(9))
    frames = sweep_frame.draw_all(sd, options, 2, tmp_path, scales)
    assert {variant: len(found) for variant, found in frames.items()} == dict.fromkeys(
        sweep_frame.VARIANTS, 1
    )
    unguided, *same = sweep_frame.differences(tmp_path / "sweep")
    assert len(same) == 3
    assert max(same) <= 1
    # the tiny model's prompts matter, so guidance off is another picture
    assert unguided > 2


def test_the_bare_evaluations_are_those_of_the_sweep(script, sd, tmp_path):
    sweep_frame = script("sweep_frame")
    calls = []
    options = SimpleNamespace(prompt="a hat", model="storybook", steps=3, scheduler="ddim")
    scales = (Decimal(0), Decimal(1), Decimal(2), Decimal(9))
    config = sweep_frame.settings_of(options)
    variants = sweep_frame.calls_for(sd, config, scales, tmp_path, 2)
    sd.unet.register_forward_hook(lambda *_: calls.append("predicted"))
    sd.vae.decoder.register_forward_hook(lambda *_: calls.append("decoded"))
    variants[sweep_frame.OURS]()
    ours, calls[:] = sorted(calls), []
    variants[sweep_frame.BARE]()
    assert sorted(calls) == ours
    # two rows are shared by all at the first step; then 6 rows a step in calls of 2
    assert ours.count("predicted") == 1 + 2 * 3
    assert ours.count("decoded") == 4


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
    began = time.perf_counter()
    times = measuring.interleaved({"a": lambda: time.sleep(0.02)}, rounds=3)
    assert all(value >= 0.02 for value in times["a"])
    assert sum(times["a"]) < time.perf_counter() - began


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux forgets a peak")
def test_a_peak_counts_what_was_used_and_no_older_peak(measuring):
    size = 100_000_000
    torch.ones(3 * size, dtype=torch.uint8)  # an older, higher peak
    peak = measuring.peak_of("cpu", lambda: torch.ones(size, dtype=torch.uint8))
    assert 0.9 * size < peak < 1.5 * size
