"""The benchmark of batches runs what it says."""

import importlib
from pathlib import Path

import pytest

from diffusion.pseudo_word import training_rows
from diffusion.stable_diffusion import load
from inversion.config import Config, Train
from inversion.initial import prepare_words

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("batches")


def test_batches_differ_and_the_rest_of_a_step_reaches_the_rows(script, tiny_sd_folder):
    sd = load(str(tiny_sd_folder), device="cpu", attention="plain")
    config = Config(word="<w>", train=Train(batch_size=2))
    words = prepare_words(sd, config)
    with training_rows(sd.text_encoder, words.token_ids, words.rows) as word:
        calls = script.variants(sd, config, word)
        first, second = calls[script.PLAIN](), calls[script.PLAIN]()
        assert not first.eps.equal(second.eps)
        assert calls[script.LARGE]().x_0.shape == (2, *script.LARGE_SHAPE)
        calls[script.MIXED]()
        calls[script.STEP]()
        assert word.rows.grad.abs().sum() > 0
