"""Translated U-Nets: the same predictions, one translation for all that have one shape."""

import json
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
import torch

from cfg import job
from cfg.cells import frames_of, lines_of
from cfg.config import Config
from cfg.frames import read_frame
from cfg.sweep import render, waves_of
from diffusion import compiling
from diffusion.compiling import Translated, translated, why_not
from diffusion.stable_diffusion import load
from lab.device import noise
from lab.errors import UserError
from lab.run import Run

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def sd(tiny_sd_folder):
    return load(str(tiny_sd_folder), device="cpu")


@pytest.fixture(autouse=True)
def forgotten():
    """Translations are kept by the code that was translated, across tests."""
    torch._dynamo.reset()
    why_not.cache_clear()
    yield
    torch._dynamo.reset()
    why_not.cache_clear()


@pytest.fixture
def translations():
    """A compiler that changes nothing, and what it was given."""
    given = []

    def compiler(graph, inputs):
        given.append(graph)
        return graph.forward

    return given, compiler


def drawn(sd, folder, **settings):
    scales = [Decimal(text) for text in ("0", "0.5", "1", "3", "7.5", "-1")]
    config = Config.model_validate_json(json.dumps({"prompt": "a cat", "steps": 3, **settings}))
    frames = [f for line in lines_of(config, []) for f in frames_of(line, scales, folder, {})]
    for _ in render(sd, waves_of(frames, 4), 4):
        pass
    return np.stack([read_frame(frame) for frame in frames]).astype(int)


def test_a_sweep_is_translated_once_for_all_scales_and_steps(sd, tmp_path, translations):
    given, compiler = translations
    other = replace(sd, unet=Translated(sd.unet, CPU, backend=compiler))
    study = {"seed": [1, 2], "rule": ["plain", "apg"]}
    pictures = drawn(other, tmp_path / "other", **study)
    assert len(given) == 1
    assert np.array_equal(pictures, drawn(sd, tmp_path / "plain", **study))


@pytest.mark.real_size  # not for its size: the compiler takes minutes
def test_the_compilers_pictures_are_the_same_within_rounding(sd, tmp_path):
    if reason := why_not(CPU):
        pytest.skip(reason)
    x, t, states = noise((4, 4, 8, 8), 0, 0), torch.tensor(500), noise((4, 77, 32), 0, 1)
    with torch.no_grad():
        expected = sd.unet(x, t, encoder_hidden_states=states).sample
        found = translated(sd).unet(x, t, encoder_hidden_states=states).sample
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    apart = drawn(translated(sd), tmp_path / "other") - drawn(sd, tmp_path / "plain")
    assert abs(apart).max() <= 2


def test_a_prediction_outlives_the_next_one():
    """A CUDA graph writes into the same place every time that it is started."""
    place = torch.zeros(2)

    def compiler(graph, inputs):
        def run(*args):
            place.copy_(graph.forward(*args)[0])
            return (place,)

        return run

    class Doubling(torch.nn.Module):
        def forward(self, x):
            return Prediction(x * 2)

    class Prediction:
        def __init__(self, sample):
            self.sample = sample

    unet = Translated(Doubling(), CPU, backend=compiler)
    first, second = (unet(torch.full((2,), value)).sample for value in (1.0, 5.0))
    assert first.tolist() == [2, 2] and second.tolist() == [10, 10]


def test_what_else_is_asked_of_it_the_u_net_answers(sd):
    unet = translated(sd).unet
    assert unet.config is sd.unet.config
    assert next(unet.parameters()) is next(sd.unet.parameters())


def asked(folder, tiny_sd_folder, **settings):
    said = {"prompt": "a cat", "guidance_scales": [0, 3], "steps": 2, "batch_size": 2}
    said |= {"device": "cpu", "model": str(tiny_sd_folder), "video": {"size": 64}} | settings
    config = Config.model_validate_json(json.dumps(said))
    with Run(folder, "x", "cfg") as run:
        list(job.run(config, run))
    frames = sorted((folder / "x/cfg/frames").rglob("*.png"))
    return run, [path.read_bytes() for path in frames]


def test_without_a_compiler_it_is_said_and_the_frames_are_those_without(
    tmp_path, tiny_sd_folder, monkeypatch
):
    monkeypatch.setattr(job, "why_not", lambda device: "no g++")
    run, frames = asked(tmp_path / "a", tiny_sd_folder, compile=True)
    assert any("compile: torch.compile cannot work on cpu here (no g++)" in n for n in run.notes)
    assert frames == asked(tmp_path / "b", tiny_sd_folder)[1]


def test_with_one_the_frames_know_that_they_are_others(tmp_path, tiny_sd_folder, monkeypatch):
    monkeypatch.setattr(job, "why_not", lambda device: "")
    monkeypatch.setattr(job, "translated", lambda sd: sd)
    run, frames = asked(tmp_path / "a", tiny_sd_folder, compile=True)
    assert not any("compile" in note for note in run.notes)
    plain = asked(tmp_path / "b", tiny_sd_folder)[1]
    assert len(frames) == len(plain) and all(a != b for a, b in zip(frames, plain, strict=True))


def test_a_compiler_that_is_not_there_is_named(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("InvalidCxxCompiler: none\nwith a long story")

    monkeypatch.setattr(compiling.torch, "compile", broken)
    assert why_not(CPU) == "InvalidCxxCompiler: none"


def test_training_without_a_compiler_is_a_mistake(monkeypatch):
    from inversion import speed
    from inversion.config import Train

    monkeypatch.setattr(speed, "why_not", lambda device: "no g++")
    with pytest.raises(UserError, match=r"inversion.train.compile cannot work on cpu here"):
        speed.require_compiler(CPU, Train(compile=True))
