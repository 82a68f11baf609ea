"""The drawn families: seeded, told in words, alike at every size; the networks that know them."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

from metrics.features import read, see
from storybook import train_drawn
from storybook.drawn import DrawnNet, load_drawn_clip, load_drawnnet, save_drawnnet
from storybook.families import FAMILIES, draw
from storybook.train_clip import pixels
from storybook.training import Plan


@pytest.mark.parametrize("family", FAMILIES)
def test_a_picture_depends_on_family_seed_and_index_alone(family):
    later, first = draw(family, 5, seed=3), draw(family, 4, seed=3)
    again = draw(family, 5, seed=3)
    assert np.array_equal(later[0], again[0]) and later[1] == again[1]
    assert not np.array_equal(later[0], first[0])
    assert not np.array_equal(later[0], draw(family, 5, seed=4)[0])
    assert later[0].shape == (32, 32, 3) and later[0].dtype == np.uint8


@pytest.mark.parametrize("family", FAMILIES)
def test_a_picture_looks_alike_at_every_size(family):
    for index in range(3):
        small, caption = draw(family, index)
        large, same = draw(family, index, size=64)
        reduced = np.asarray(Image.fromarray(large).resize((32, 32), Image.Resampling.BOX), float)
        assert np.abs(small - reduced).mean() < 12
        assert caption == same


@pytest.mark.parametrize("family", FAMILIES)
def test_pictures_are_various_and_captions_are_words(family):
    drawings = [draw(family, k) for k in range(40)]
    assert len({picture.tobytes() for picture, _ in drawings}) == 40
    assert len({caption for _, caption in drawings}) > 12
    spread = np.stack([picture for picture, _ in drawings]).astype(float).std(0).mean()
    assert spread > 25, f"{family} varies by {spread:.0f} of 255 only"
    for _, caption in drawings:
        assert re.fullmatch(r"an? [a-z\- ]+", caption), caption
        assert not re.search(r"\ba [aeio]|\ban [^aeiou]", caption), caption


def test_manga_is_black_and_white_and_nouns_are_cells():
    for index in range(5):
        manga, _ = draw("manga", index)
        assert np.array_equal(manga[..., 0], manga[..., 1])
        assert np.array_equal(manga[..., 0], manga[..., 2])
        noun, _ = draw("nouns", index)
        assert np.array_equal(draw("nouns", index, size=64)[0], noun.repeat(2, 0).repeat(2, 1))


def fresh(count: int) -> tuple[list[np.ndarray], list[str]]:
    """Pictures that no network has seen, and their families."""
    names = [list(FAMILIES)[k % len(FAMILIES)] for k in range(count)]
    return [draw(name, k, seed=987)[0] for k, name in enumerate(names)], names


def test_the_shipped_networks_know_the_families():
    pictures, names = fresh(70)
    told = load_drawnnet().classify(pixels(np.stack(pictures), "cpu"))
    assert np.mean([a == b for a, b in zip(told, names, strict=True)]) >= 0.97
    clip = load_drawn_clip()
    cosines = see(clip, pictures) @ read(clip, list(train_drawn.ASKED.values())).T
    named = [list(train_drawn.ASKED)[k] for k in cosines.argmax(1)]
    assert np.mean([a == b for a, b in zip(named, names, strict=True)]) >= 0.93


def test_drawnnet_judges_each_picture_alone_and_is_kept_whole(tmp_path):
    net = DrawnNet(("flowers", "faces")).eval()
    save_drawnnet(net, tmp_path / "net.safetensors")
    again = load_drawnnet(tmp_path / "net.safetensors")
    assert again.families == net.families
    pictures = torch.rand((4, 3, 32, 32)) * 2 - 1
    torch.testing.assert_close(again(pictures), net(pictures), rtol=1e-2, atol=1e-3)
    torch.testing.assert_close(again(pictures[2:3]), again(pictures)[2:3], rtol=1e-4, atol=1e-5)
    assert again(torch.zeros(1, 3, 48, 80)).shape == (1, again.num_features)


def test_the_command_trains_both_networks_and_writes_their_figures(tmp_path):
    work, out, plan = tmp_path / "work", tmp_path / "out", Plan(2, 8, 1e-3)
    work.mkdir()
    stages = {p.stage for p in train_drawn.train(work, out, torch.device("cpu"), 70, plan, plan)}
    assert stages == {"drawing pictures", "DrawnNet", "text and picture encoders"}
    assert load_drawn_clip(out / "clip").side == 32
    assert load_drawnnet(out / "drawnnet.safetensors").families == tuple(FAMILIES)
    card = (out / "README.md").read_text()
    assert "63 pictures" in card and "7 others" in card and "{" not in card
