"""A tiny model, pictures that are noise, and a training on them in one call."""

import copy

import pytest
import torch

from diffusion.pseudo_word import register, training_rows
from diffusion.stable_diffusion import load
from inversion.batches import Material
from inversion.config import Config, Objective, Stop, Train
from inversion.data import Example
from inversion.initial import initial_rows, vocabulary_norms
from inversion.latents import Latents
from inversion.training import train
from lab.device import noise

WORD = "<w>"


@pytest.fixture
def sd(tiny_sd_folder):
    return load(str(tiny_sd_folder), device="cpu", attention="plain")


@pytest.fixture
def material(sd, tmp_path):
    """Five pictures and two templates."""
    shape = sd.latent_shape()
    means = [noise((2, *shape), 7, k) for k in range(5)]
    examples = [Example(tmp_path / f"{k}.png", f"thing {k}") for k in range(5)]
    latents = [Latents(mean, torch.full_like(mean, 0.1)) for mean in means]
    return Material(examples, latents, ("a [filewords] by [name]", "[name]: [filewords]"), WORD)


@pytest.fixture
def configured():
    """A configuration whose objective is measured every two steps, and which never stops."""

    def configured(train: Train, seed: int = 3, **changes) -> Config:
        sections = {"objective": Objective(pictures=2, every=2), "stop": Stop(rule="never")}
        return Config(word=WORD, num_vectors=2, train=train, seed=seed, **(sections | changes))

    return configured


@pytest.fixture
def first_rows(sd):
    """The initial rows of a seed."""
    return lambda seed: initial_rows(sd, Config(), 2, seed)


@pytest.fixture
def learn(sd, configured, first_rows):
    """The items of a training, the rows at its end, and the State after step `stop`, as a file
    would hold it."""

    def learn(material, settings, state=None, stop=None):
        config = settings if isinstance(settings, Config) else configured(settings)
        if WORD not in sd.words:
            register(sd, WORD, 2)
        items, now = [], None
        norms = vocabulary_norms(sd)
        with training_rows(sd.text_encoder, sd.words[WORD].token_ids, first_rows(config.seed)) as w:
            for item, reached in train(sd, w, material, config, norms, state):
                now = copy.deepcopy(reached)
                items.append(item)
                if item.step == stop:
                    break
            return items, w.rows.detach().clone(), now

    return learn
