"""The model that comes with the program draws what it was trained to draw."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.training_utils import EMAModel

from ddpm.config import Config, Data, Train
from ddpm.data import Pictures, Scan
from ddpm.denoising import sample
from ddpm.loading import load_unconditional, locate_unconditional
from ddpm.training import Trainer
from lab.processes import Processes
from storybook.bundle_drawn import bundle
from storybook.families import draw

FAMILIES = ("flowers", "faces", "nouns", "trees", "houses")


def loss_of(unet, scheduler, pixels: np.ndarray) -> float:
    """Its loss on pictures, by the training's own measure."""
    every = tuple(range(len(pixels)))
    pictures = Pictures(
        pixels, ("",) * len(every), every, every, (), Scan(1, (1, 1), (1, 1), 1, 0, 0)
    )
    config = Config(data=Data(), train=Train(), seed=5)
    trainer = Trainer(unet, scheduler, pictures, config, torch.float32, Processes.alone())
    value = trainer.measure(EMAModel(unet.parameters()), 16)
    assert value is not None
    return value


def test_it_is_small_and_knows_its_families():
    unet, scheduler = load_unconditional("drawn")
    assert sum(parameter.numel() for parameter in unet.parameters()) == 1_113_955
    folder = locate_unconditional("drawn")
    assert sum(path.stat().st_size for path in Path(folder).rglob("*")) < 4.7e6
    assert (folder / "README.md").exists()
    new = np.stack([draw(family, 10_000 + k)[0] for family in FAMILIES for k in range(6)])
    known = loss_of(unet, scheduler, new)
    assert known < 0.15  # of v
    shuffled = new.reshape(len(new), -1, 3)[:, np.random.default_rng(0).permutation(32 * 32)]
    assert loss_of(unet, scheduler, shuffled.reshape(new.shape)) > 3 * known


@pytest.mark.parametrize("family", ["flowers", "faces"])
def test_a_family_of_its_own_is_half_as_large_and_nearer_to_it(family):
    folder = locate_unconditional(f"drawn:{family}")
    assert sum(path.stat().st_size for path in Path(folder).rglob("*")) < 2.4e6
    assert not any("name_or_path" in path.read_text() for path in folder.rglob("*.json"))
    new = np.stack([draw(family, 20_000 + k)[0] for k in range(24)])
    own, base = (loss_of(*load_unconditional(name), new) for name in (f"drawn:{family}", "drawn"))
    assert own < base
    other = "faces" if family == "flowers" else "flowers"
    assert own < loss_of(*load_unconditional(f"drawn:{other}"), new)


def test_bundling_rounds_and_changes_nothing_else(tmp_path):
    folder = locate_unconditional("drawn")
    bundle(folder, tmp_path / "half")
    whole, half = (load_unconditional(one)[0] for one in (folder, tmp_path / "half"))
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(half.state_dict()[name], value.half().float())
    assert "float16" in (tmp_path / "half/README.md").read_text()


def test_it_draws_something_with_contrast_and_in_range():
    unet, scheduler = load_unconditional("drawn")
    drawn = sample(unet, scheduler, seeds=[0, 1], steps=10)
    assert drawn.shape == (2, 3, 32, 32) and drawn.abs().max() <= 1
    assert drawn.std(dim=(1, 2, 3)).min() > 0.1
