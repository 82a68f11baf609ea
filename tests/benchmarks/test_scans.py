"""The drawn scans that finders of damage are fitted to, and the network that is trained on them."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parents[2] / "benchmarks" / "cropping"


@pytest.fixture(scope="module")
def bench():
    """The benchmark's modules, found as they are when it is run."""
    before = set(sys.modules)
    sys.path.insert(0, str(FOLDER))
    try:
        yield {name: importlib.import_module(name) for name in ("scan_folds", "scans", "strip_net")}
    finally:
        sys.path.remove(str(FOLDER))
        for name in set(sys.modules) - before:
            if getattr(sys.modules[name], "__file__", None) and Path(
                str(sys.modules[name].__file__)
            ).is_relative_to(FOLDER):
                del sys.modules[name]


def test_a_scan_follows_from_its_number(bench):
    for kind in ("clean", "crease"):
        one, again, other = (bench["scans"].scan("varied", kind, index) for index in (8, 8, 18))
        assert one.image.tobytes() == again.image.tobytes()
        assert one.image.tobytes() != other.image.tobytes()
        assert (one.damage is None) == (kind == "clean")


def test_every_form_of_fold_changes_the_page_where_it_says(bench):
    for form in bench["scan_folds"].FORMS:
        rng = np.random.default_rng(4)
        page = np.full((300, 240, 3), 0.6, np.float32)
        folded, where = bench["scan_folds"].folded(page, rng, form)
        change = np.abs(folded - page).mean(axis=2)
        assert folded.min() >= 0
        assert folded.max() <= 1
        assert 0 < where.mean() < 0.15
        assert change[where].mean() > 2 * change[~where].mean(), form.__name__


def test_the_network_answers_as_its_layers_do(bench):
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    layers = bench["strip_net"].Layers(39, 25).eval()
    with torch.no_grad():
        for weight in layers.parameters():
            weight *= 2
    standard = [rng.normal(size=(2, k)) for k in (39, 25)]
    for one in standard:
        one[1] = 0.5 + np.abs(one[1])
    strips, measures = rng.normal(size=(5, 48, 39)), rng.normal(size=(5, 25))
    net = bench["strip_net"].net_of(layers, *standard)
    x = torch.from_numpy((strips - standard[0][0]) / standard[0][1]).float().transpose(1, 2)
    told = np.clip((measures - standard[1][0]) / standard[1][1], -3, 3)
    with torch.no_grad():
        expected = layers(x, torch.from_numpy(told).float()).numpy()
    np.testing.assert_allclose(net.log_odds(strips, measures), expected, rtol=5e-3)


def test_training_tells_what_differs_and_is_the_same_again(bench):
    rng = np.random.default_rng(5)
    strips, measures = rng.normal(size=(256, 48, 39)).astype(np.float32), rng.normal(size=(256, 3))
    is_so = rng.random(256) < 0.5
    strips[is_so, :, 12] -= 2
    net, again = (bench["strip_net"].trained(strips, measures, is_so) for _ in range(2))
    assert (net.joined == again.joined).all()
    odds = net.log_odds(strips, measures)
    assert ((odds > 0) == is_so).mean() > 0.9
