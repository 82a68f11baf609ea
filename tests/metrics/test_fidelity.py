"""Distances between sets of pictures: closed forms, and torchmetrics' figures."""

import numpy as np
import pytest
import torch

from metrics import fidelity
from metrics.fidelity import (
    class_score,
    copies,
    frechet_distance,
    halves,
    kernel_distance,
    nearest,
    standard_error,
)


def gaussian(n: int, mean: float = 0.0, scale: float = 1.0, d: int = 8, seed: int = 0):
    return mean + scale * np.random.default_rng(seed).standard_normal((n, d))


def exactly(n: int, mean: np.ndarray, covariance: np.ndarray, seed: int = 0) -> np.ndarray:
    """Features [n, d] whose sample mean and sample covariance are exactly these."""
    x = gaussian(n, d=len(mean), seed=seed)
    x -= x.mean(0)
    whitened = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T
    return whitened @ np.linalg.cholesky(covariance).T + mean


# --- the Fréchet distance


def test_frechet_of_two_gaussians_is_the_closed_form():
    """In one dimension it is (mu_a - mu_b)^2 + (sigma_a - sigma_b)^2; diagonals add up."""
    sigma_a, sigma_b = np.array([1.0, 2.0, 0.5]), np.array([3.0, 0.1, 0.5])
    mean_a, mean_b = np.array([0.0, 1.0, -2.0]), np.array([1.0, 1.0, 2.0])
    a = exactly(50, mean_a, np.diag(sigma_a**2))
    b = exactly(70, mean_b, np.diag(sigma_b**2), seed=1)
    expected = ((mean_a - mean_b) ** 2 + (sigma_a - sigma_b) ** 2).sum()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_frechet_of_covariances_that_do_not_commute():
    """tr (S_a S_b)^(1/2) in two dimensions is sqrt(tr S_a S_b + 2 sqrt(det S_a S_b))."""
    cov_a, cov_b = np.array([[2.0, 0.7], [0.7, 1.0]]), np.array([[1.0, -0.4], [-0.4, 3.0]])
    a, b = exactly(40, np.zeros(2), cov_a), exactly(40, np.ones(2), cov_b, seed=1)
    product = cov_a @ cov_b
    root = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))
    expected = 2 + np.trace(cov_a) + np.trace(cov_b) - 2 * root
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_frechet_is_zero_on_itself_and_symmetric():
    a, b = gaussian(40, d=64), gaussian(50, 1, 2, d=64, seed=1)  # fewer pictures than features
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-9)


def test_frechet_and_kernel_are_torchmetrics_own():
    fid = pytest.importorskip("torchmetrics.image.fid")
    kid = pytest.importorskip("torchmetrics.image.kid")
    a, b = gaussian(200, d=16), gaussian(150, 0.3, 1.5, d=16, seed=1) ** 3
    moments = [(torch.tensor(x.mean(0)), torch.tensor(np.cov(x, rowvar=False))) for x in (a, b)]
    expected = float(fid._compute_fid(*moments[0], *moments[1]))
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    b = b[:100]
    a = a[:100]
    normalised = [
        torch.tensor(x / np.linalg.norm(x, axis=1, keepdims=True) * np.sqrt(16)) for x in (a, b)
    ]
    assert kernel_distance(a, b) == pytest.approx(float(kid.poly_mmd(*normalised)), rel=1e-9)


def test_frechet_of_finite_sets_of_one_kind_falls_with_their_size():
    floors = [frechet_distance(*halves(gaussian(2 * n), n)) for n in (20, 100, 500)]
    assert floors[0] > 3 * floors[1] > 9 * floors[2] > 0


# --- the kernel distance


def test_kernel_distance_is_unbiased():
    """Over many pairs of sets of one kind it is 0 on average, also when they are small."""
    values = [
        kernel_distance(gaussian(10, seed=k), gaussian(10, seed=-k - 1 + 10**6)) for k in range(300)
    ]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0 < max(values)


def test_kernel_distance_does_not_follow_one_large_feature():
    a, b = gaussian(100, 1), gaussian(100, 1, seed=1)
    outlier = b.copy()
    outlier[0] *= 1e6
    assert kernel_distance(a, outlier) == pytest.approx(kernel_distance(a, b), abs=1e-9)
    assert kernel_distance(a, -b) > 1


# --- the score of a classifier


def test_class_score_at_its_ends():
    sure_and_varied = np.eye(7)[np.arange(70) % 7]
    assert class_score(sure_and_varied) == pytest.approx(7)
    assert class_score(np.eye(7)[np.zeros(70, int)]) == pytest.approx(1)
    assert class_score(np.full((70, 7), 1 / 7)) == pytest.approx(1)


def test_class_score_is_torchmetrics_own():
    inception = pytest.importorskip("torchmetrics.image.inception")
    logits = torch.randn(60, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3

    class Logits(torch.nn.Module):
        def forward(self, images):
            return logits

    theirs = inception.InceptionScore(feature=Logits(), splits=1)
    theirs.update(torch.zeros(60, 3, 8, 8, dtype=torch.uint8))
    expected, _ = theirs.compute()
    assert class_score(logits.softmax(1).numpy()) == pytest.approx(float(expected), rel=1e-6)


# --- copies


def test_32_repeated_training_pictures_are_shown_up():
    """They are nearer than any honest set, by the kernel as by Fréchet; their copies tell."""
    training, unseen = gaussian(600), gaussian(256, seed=1)
    honest, learned = gaussian(256, seed=2), training[np.arange(256) % 32]
    found = copies(learned, training, unseen)
    assert (found.learned, found.repeated) == (1, 1)
    fresh = copies(honest, training, unseen)
    assert fresh.learned < 0.06
    assert fresh.repeated < 0.06
    all_different = copies(training[:256], training, unseen)
    assert all_different.learned == 1
    assert all_different.repeated < 0.06


def test_nearly_a_copy_is_a_copy():
    training, unseen = gaussian(600), gaussian(256, seed=1)
    assert copies(training[:256] + 1e-3, training, unseen).learned == 1
    collapsed = gaussian(256, scale=1e-3, seed=3)
    assert copies(collapsed, training, unseen).repeated == 1


def test_nearest_leaves_out_a_picture_itself():
    points = np.array([[0.0], [1.0], [5.0]])
    np.testing.assert_allclose(nearest(points), [1, 1, 4])
    np.testing.assert_allclose(nearest(points, points), 0)


# --- how sure one can be


def test_the_standard_error_of_a_mean_is_its_closed_form():
    """The jackknife of a mean over groups of one is exactly s / sqrt(n)."""
    values = gaussian(fidelity.GROUPS, d=1)
    error = standard_error(lambda rows: float(rows.mean()), values)
    assert error == pytest.approx(values.std(ddof=1) / np.sqrt(len(values)))


def test_the_standard_error_covers_the_scatter_between_sets():
    reference = gaussian(2000, 0.5, d=4, seed=99)
    sets = [gaussian(200, d=4, seed=k) for k in range(40)]
    scatter = np.std([frechet_distance(x, reference) for x in sets])
    said = np.mean([standard_error(lambda r: frechet_distance(r, reference), x) for x in sets])
    assert 0.6 < said / scatter < 1.6


def test_halves_share_nothing():
    rows = np.arange(25)[:, None]
    a, b = halves(rows, 10)
    assert len(a) == len(b) == 10
    assert not set(a.ravel()) & set(b.ravel())
    with pytest.raises(ValueError, match="needs 26 real pictures, not 25"):
        halves(rows, 13)


@pytest.mark.parametrize(
    ("a", "b", "what"),
    [
        (gaussian(5), gaussian(5, d=7), "with one d"),
        (gaussian(1), gaussian(5), "at least two"),
        (gaussian(5) * np.nan, gaussian(5), "finite"),
        (np.zeros(5), np.zeros(5), "one d"),
    ],
)
def test_what_cannot_be_measured_is_refused(a, b, what):
    for distance in (frechet_distance, kernel_distance):
        with pytest.raises(ValueError, match=what):
            distance(a, b)
