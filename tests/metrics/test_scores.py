"""Scores are compared on equal terms only, and extractors have honest names."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lab.errors import UserError
from metrics import extractors, fidelity
from metrics.extractors import Extractor, clip, in_parts, inception, weights_hash
from metrics.scores import judge, require_comparable, score


def of_pixels(name: str = "mean3", identity: str = "w1") -> Extractor:
    """The mean colour as features; red, green or blue as classes."""

    def colours(pictures: np.ndarray) -> np.ndarray:
        return pictures.reshape(len(pictures), -1, 3).mean(1) / 255

    def classes(pictures: np.ndarray) -> np.ndarray:
        return np.eye(3)[colours(pictures).argmax(1)]

    return Extractor(name, identity, colours, classes)


def pictures(n: int, seed: int, low: int = 0) -> np.ndarray:
    plain = np.random.default_rng(seed).integers(low, 256, (n, 1, 1, 3))
    return np.broadcast_to(plain, (n, 4, 4, 3)).astype(np.uint8)


def measured(drawn: np.ndarray, extractor: Extractor | None = None, real: str = "r1"):
    chosen = extractor or of_pixels()
    reference = judge(chosen, pictures(len(drawn), 1))
    training = chosen.features(pictures(200, 2))
    return score("a set", chosen, judge(chosen, drawn), reference, training, real)


def test_a_score_is_the_measures_of_its_features():
    drawn, extractor = pictures(50, 3, low=100), of_pixels()
    found = measured(drawn)
    a, b = (extractor.features(p) for p in (drawn, pictures(50, 1)))
    assert found.n == 50
    assert found.frechet == fidelity.frechet_distance(a, b)
    assert found.kernel == fidelity.kernel_distance(a, b)
    assert found.classes == pytest.approx(fidelity.class_score(extractor.probabilities(drawn)))
    assert found.frechet_error > 0
    assert measured(pictures(50, 4)).frechet < found.frechet


def test_copies_of_the_training_set_are_near_and_shown_up():
    """32 of them repeated come nearer than honest pictures of too light colours, by distance."""
    found = measured(pictures(200, 2)[np.arange(96) % 32])
    assert found.frechet < measured(pictures(96, 5, low=90)).frechet
    assert (found.learned, found.repeated) == (1, 1)


def test_an_extractor_without_classes_leaves_them_out():
    found = measured(pictures(20, 3), replace(of_pixels(), probabilities=None))
    assert found.classes is None
    assert found.classes_error is None


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"n": 49}, "n = 50 pictures, the other with n = 49 pictures"),
        ({"extractor": "clip512"}, "features of mean3, the other with features of clip512"),
        ({"weights": "w2"}, "weights w1, the other with an extractor with the weights w2"),
        ({"real": "r2"}, "the real pictures r1, the other with the real pictures r2"),
    ],
)
def test_scores_on_other_terms_are_refused(other, what):
    one = measured(pictures(50, 3))
    require_comparable([one, replace(one, what="b", frechet=9.0)])
    with pytest.raises(UserError, match=r"cannot be compared: one was measured with") as caught:
        require_comparable([one, one, replace(one, what="b", **other)])
    assert what in str(caught.value)


def test_sets_of_unequal_size_are_not_compared():
    extractor = of_pixels()
    with pytest.raises(ValueError, match="20 pictures beside 30"):
        score("", extractor, judge(extractor, pictures(20, 0)), judge(extractor, pictures(30, 0)),
              extractor.features(pictures(9, 0)), "r")  # fmt: skip


def test_weights_are_known_by_their_values():
    one, two = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    assert weights_hash(one) != weights_hash(two)
    two.load_state_dict(one.state_dict())
    assert weights_hash(one) == weights_hash(two)


def test_many_pictures_are_seen_in_parts(monkeypatch):
    monkeypatch.setattr(extractors, "PICTURES_AT_ONCE", 7)
    sizes = []

    def mean(part: np.ndarray) -> torch.Tensor:
        sizes.append(len(part))
        return torch.from_numpy(part).float().mean((1, 2))

    some = pictures(20, 0)
    np.testing.assert_allclose(in_parts(some, mean), some.astype(np.float32).mean((1, 2)))
    assert sizes == [7, 7, 6]


def test_a_clip_by_its_folder():
    from storybook import architecture

    folder = architecture.__file__.replace("architecture.py", "model/clip")
    extractor = clip(folder, torch.device("cpu"))
    features = extractor.features(np.zeros((2, 64, 64, 3), np.uint8))
    assert extractor.name == f"clip{features.shape[1]}"
    assert extractor.probabilities is None
    with pytest.raises(UserError, match="name a folder or hub id"):
        clip("", torch.device("cpu"))


def test_inception_is_refused_where_it_is_not_there(monkeypatch):
    monkeypatch.setattr(extractors.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="needs torch-fidelity"):
        inception(torch.device("cpu"))


def test_inception_is_asked_for_its_last_features_and_unbiased_logits(monkeypatch):
    """torch-fidelity's interface: uint8 [n, 3, h, w] -> a tuple in the order of the names."""
    import sys
    import types

    class Network(torch.nn.Module):
        def __init__(self, name, wanted):
            super().__init__()
            assert wanted == ["2048", "logits_unbiased"]
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, x):
            assert x.dtype == torch.uint8
            assert x.shape[1] == 3
            return torch.ones(len(x), 2048), torch.zeros(len(x), 1008)

    module: types.ModuleType = types.ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    module.FeatureExtractorInceptionV3 = Network  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch_fidelity", types.ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(extractors.importlib.util, "find_spec", lambda name: object())
    extractor = inception(torch.device("cpu"))
    assert extractor.features(pictures(3, 0)).shape == (3, 2048)
    assert extractor.probabilities is not None
    np.testing.assert_allclose(extractor.probabilities(pictures(3, 0)), 1 / 1008, rtol=1e-5)
