"""Waves of frames: everything once, nothing too large, and no bit that depends on the company."""

import json
import threading
from decimal import Decimal

import pytest

from cfg import sweep
from cfg.cells import frames_of, lines_of
from cfg.config import Config
from cfg.forecast import predictions_of
from cfg.frames import missing
from cfg.sweep import render, waves_of
from cfg.telemetry import read_telemetry
from diffusion import stable_diffusion
from diffusion.stable_diffusion import load

RULES = ["plain", "apg", "rescale", {"interval": [0.5, 1.5]}, {"name": "cfg++"}]
SCALES = [Decimal(text) for text in ("0", "0.5", "1", "3", "7.5", "-1")]


@pytest.fixture(scope="module")
def sd(tiny_sd_folder):
    return load(str(tiny_sd_folder), device="cpu")


def frames(folder, scales=SCALES, **settings):
    config = Config.model_validate_json(json.dumps({"prompt": "a cat", "steps": 3, **settings}))
    return [f for line in lines_of(config, []) for f in frames_of(line, scales, folder, {})]


def drawn(sd, planned, batch_size=4, waves=None):
    """The bytes of the frames' files, by their names."""
    chosen = waves_of(planned, batch_size) if waves is None else waves
    for _ in render(sd, chosen, batch_size):
        pass
    return {f"{f.path.parent.name}/{f.path.name}": f.path.read_bytes() for f in planned}


@pytest.mark.parametrize("batch_size", [1, 2, 5, 8])
def test_waves_hold_every_frame_once_and_fill_two_calls_at_most(tmp_path, batch_size):
    planned = frames(tmp_path, seed=[1, 2, 3], rule=RULES, steps=[3, 4])
    waves = waves_of(planned, batch_size)
    assert [f for wave in waves for f in wave] == planned
    for wave in waves:
        assert len({(f.line.rule, f.line.steps) for f in wave}) == 1
        assert 1 <= len(wave) <= 2 * batch_size
    assert waves_of([], batch_size) == []


def test_single_predictions_are_packed_more_densely(tmp_path):
    ends = frames(tmp_path, [Decimal(0), Decimal(1)], seed=list(range(16)))
    assert [len(wave) for wave in waves_of(ends, 4)] == [8, 8, 8, 8]
    others = frames(tmp_path, [Decimal(2), Decimal(3)], seed=list(range(16)))
    assert [len(wave) for wave in waves_of(others, 4)] == [4] * 8


@pytest.mark.parametrize(("scheduler", "rules"), [("ddim", RULES), ("euler_a", ["apg"])])
def test_a_frame_is_the_same_bytes_alone_and_in_any_company_and_order(
    sd, tmp_path, scheduler, rules
):
    study = {"seed": [1, 2], "prompt": ["a cat", "a dog"], "rule": rules, "scheduler": scheduler}
    scales = [Decimal(text) for text in ("0", "1", "7.5")]
    together = drawn(sd, frames(tmp_path / "together", scales, **study))
    backwards = frames(tmp_path / "backwards", scales, **study)
    assert drawn(sd, backwards, waves=waves_of(backwards[::-1], 4)) == together
    for rule in rules:
        one = {"seed": 2, "prompt": "a dog", "rule": rule, "scheduler": scheduler}
        alone = drawn(sd, frames(tmp_path / "alone", scales[:0:-1], **one))
        assert {name: together[name] for name in alone} == alone


def test_shares_of_two_processes_are_the_sweep_of_one(sd, tmp_path):
    whole = drawn(sd, frames(tmp_path / "whole", seed=[1, 2]))
    planned = frames(tmp_path / "shared", seed=[1, 2])
    waves = waves_of(planned, 4)
    for index in range(2):
        for _ in render(sd, waves[index::2], 4):
            pass
    assert drawn(sd, planned, waves=[]) == whole


def test_telemetry_has_a_row_for_every_frame_and_is_there_after_the_drawing(sd, tmp_path):
    planned = frames(tmp_path)
    drawn(sd, planned)
    told = read_telemetry([frame.path for frame in planned])
    assert told.cosine.shape == (len(SCALES), 3)
    single = [scale in (0, 1) for scale in SCALES]
    assert [bool(row) for row in (told.cosine != told.cosine).all(axis=1)] == single
    # the predictions of the first step are those of every scale
    first = told.difference[[not s for s in single], 0]
    assert (first == first[0]).all()


def test_the_forecast_is_what_is_computed(sd, tmp_path):
    """At batch size 1 every row is a call."""
    rules = [*RULES, {"schedule": "linear"}]
    planned = frames(tmp_path, SCALES[:4], rule=rules, prompt=["a cat", "a dog"])
    calls = []
    hook = sd.unet.register_forward_hook(lambda *_: calls.append(1))
    drawn(sd, planned, batch_size=1)
    hook.remove()
    assert predictions_of(sd, planned) == len(calls)


def test_a_frame_that_cannot_be_written_stops_the_sweep(sd, tmp_path):
    planned = frames(tmp_path / "frames")
    planned[0].path.parent.parent.mkdir()
    planned[0].path.parent.write_text("a file in the way")
    with pytest.raises(OSError):
        drawn(sd, planned)


def test_a_wave_is_sampled_before_the_pictures_of_the_one_before_have_come(
    sd, tmp_path, monkeypatch
):
    """A device whose copies come when the next wave has begun: who waits for them waits in vain."""
    planned = frames(tmp_path / "overlapped")
    begun = [threading.Event() for _ in range(len(waves_of(planned, 2)) + 1)]
    begun[-1].set()
    expected = drawn(sd, frames(tmp_path / "expected"), batch_size=2)
    denoise, fetched_later, waves = sweep.denoise, stable_diffusion.fetched_later, []

    def watched(*args, **settings):
        for step in denoise(*args, **settings):
            begun[len(waves)].set()
            yield step
        waves.append(1)

    def slow(tensor):
        fetch, following = fetched_later(tensor), begun[len(waves)]

        def when_the_next_has_begun():
            assert following.wait(120)
            return fetch()

        return when_the_next_has_begun

    monkeypatch.setattr(sweep, "denoise", watched)
    monkeypatch.setattr(stable_diffusion, "fetched_later", slow)
    assert drawn(sd, planned, batch_size=2) == expected
    assert len(waves) > 1


def test_what_was_drawn_is_written_whole_where_the_sweep_is_left(sd, tmp_path):
    planned = frames(tmp_path, seed=[1, 2])
    left = render(sd, waves_of(planned, 2), 2)
    while next(left).done < 3:
        pass
    left.close()
    there = [frame for frame in planned if frame.path.exists()]
    assert 3 <= len(there) < len(planned)
    assert len(missing(planned)) == len(planned) - len(there)
    assert len(list(tmp_path.rglob("*.png"))) == len(there)  # and nothing half done
