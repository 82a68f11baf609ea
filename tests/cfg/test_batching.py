"""The batch size is measured once, kept beside the frames, and taken only where places agree."""

import json

import pytest
import torch

from cfg import batching
from diffusion.stable_diffusion import load


@pytest.fixture(scope="module")
def sd(tiny_sd_folder):
    return load(str(tiny_sd_folder), device="cpu")


def test_only_sizes_that_fit_are_tried(sd):
    assert batching.candidates_for(sd, 8) == batching.candidates_for(sd)
    assert batching.candidates_for(sd, 0.1) == [1]
    assert batching.circumstances(sd, 8) != batching.circumstances(sd)


def test_a_chosen_size_is_taken_and_nothing_is_measured(sd, tmp_path):
    assert batching.batch_size_for(sd, 5, tmp_path) == 5
    assert list(tmp_path.iterdir()) == []


def test_a_measured_size_is_kept_however_later_measurements_come_out(sd, tmp_path, monkeypatch):
    first = batching.batch_size_for(sd, "auto", tmp_path)
    assert first in batching.candidates_for(sd)
    said = json.loads((tmp_path / batching.FILE).read_text())
    assert said["batch_size"] == first
    calls = {size: batching.prediction_call(sd, size) for size in batching.candidates_for(sd)}
    agreeing = {size for size, call in calls.items() if batching._fits_and_agrees(call)}
    assert set(said["seconds_per_prediction"]) == {str(size) for size in agreeing}

    def no_measurement(*_):
        raise AssertionError

    monkeypatch.setattr(batching, "measure", no_measurement)
    assert batching.batch_size_for(sd, "auto", tmp_path) == first
    # accelerate gives a process of a launch another number of threads: its frames are the sweep's
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    assert batching.batch_size_for(sd, "auto", tmp_path) == first
    (tmp_path / batching.FILE).write_text(json.dumps({**said, "device": "another"}))
    with pytest.raises(AssertionError):  # another machine is another measurement
        batching.batch_size_for(sd, "auto", tmp_path)


def test_a_larger_batch_must_be_worth_it():
    assert batching.choose({1: 10.0, 2: 7.0, 4: 5.0, 8: 4.95, 16: 4.9}) == 4
    assert batching.choose({1: 10.0, 2: 11.0, 4: 12.0}) == 1
    assert batching.choose({1: 10.0, 2: 7.0, 4: 5.0, 8: 4.5}) == 8


def test_sizes_at_which_a_place_shows_are_not_taken(sd, monkeypatch):
    def call_for(sd, size):
        rows = torch.zeros(size, 4)
        rows[-1] += 1e-7 * (size > 2)  # as with threads whose shares end inside a picture
        return lambda: rows

    monkeypatch.setattr(batching, "prediction_call", call_for)
    assert set(batching.measure(sd, [1, 2, 4, 8])) == {1, 2}


def test_sizes_for_which_there_is_no_memory_are_not_taken(sd, monkeypatch):
    def call_for(sd, size):
        def call():
            if size > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return torch.zeros(size, 1)

        return call

    monkeypatch.setattr(batching, "prediction_call", call_for)
    assert set(batching.measure(sd, [1, 2, 4, 8])) == {1, 2}


def test_candidates_fit_the_latents(sd):
    assert batching.candidates_for(sd) == [1, 2, 4, 8, 16]
    assert max(batching.CANDIDATES["cpu"]) * 8 * 8 <= batching.CELLS["cpu"]
