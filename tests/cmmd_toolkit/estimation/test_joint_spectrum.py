"""Laws of the eigenvectors in which errors of the Frechet distance are computed, and of the bias by pairs of them."""

import numpy as np
import pytest
from pictures import gaussian

from cmmd_toolkit import GaussianStatistics
from cmmd_toolkit.estimation.gaussian import GaussianFit
from cmmd_toolkit.estimation.joint_spectrum import joint_spectrum
from cmmd_toolkit.estimation.pair_bias import PairBias


def fit(cov: np.ndarray) -> GaussianFit:
    return GaussianFit.of(GaussianStatistics(np.zeros(len(cov)), cov, 10_000), "set")


def covariance(dim: int, seed: int) -> np.ndarray:
    return np.atleast_2d(np.cov(gaussian(2 * dim + 2, dim, seed=seed), rowvar=False))


@pytest.mark.parametrize("dim", [1, 2, 3, 193, 194, 450])
def test_the_vectors_are_orthonormal_and_belong_to_their_values(dim: int) -> None:
    """Of one group of reflections, of a group that is just full, and of several."""
    reference, generated = covariance(dim, 1), covariance(dim, 2)
    squares, vectors = joint_spectrum(fit(reference), fit(generated))
    lower = np.linalg.cholesky(reference)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(dim), atol=5e-6)
    np.testing.assert_allclose(lower.T @ generated @ lower @ vectors, vectors * squares, atol=5e-6 * squares[-1])
    assert vectors.dtype == np.float32
    assert (np.diff(squares) >= 0).all()


def test_axes_that_are_the_frame_already_need_no_reflection() -> None:
    spreads = np.linspace(1.0, 2.0, 250)
    squares, vectors = joint_spectrum(fit(np.diag(spreads)), fit(np.eye(250)))
    np.testing.assert_allclose(squares, spreads)
    np.testing.assert_allclose(vectors, np.eye(250), atol=1e-6)


def test_a_singular_covariance_has_no_spectrum_and_one_that_is_merely_narrow_has() -> None:
    full = covariance(6, 1)
    turned = np.linalg.qr(gaussian(6, 6, seed=3))[0]
    singular = np.diag([1.0, 1.0, 1.0, 1.0, 0.0, 1.0])
    narrow = np.diag([1.0, 1.0, 1.0, 1.0, 1e-40, 1.0])
    assert joint_spectrum(fit(full), fit(singular)) is None
    assert joint_spectrum(fit(full), fit(narrow)) is not None
    assert joint_spectrum(fit(full), fit(turned @ narrow @ turned.T + 1e-9 * np.eye(6))) is not None


@pytest.mark.parametrize("count", [5000, 40])
def test_the_half_of_the_bias_by_pairs_stands_for_all_of_it(count: int) -> None:
    """More directions than a block has, and so few rows that the third order reaches its limit."""
    roots = np.geomspace(1e-2, 1.0, 1100)
    moments = np.outer(roots, roots) * (1 + 0.1 * np.cos(np.add.outer(roots, roots)))
    moments[np.diag_indices(1100)] += 2 * np.square(roots)
    both = (moments - np.diag(np.square(roots))) / count / (2 * np.add.outer(roots, roots))
    pairs = PairBias.of(np.asfortranarray(np.tril(moments / count)), roots, 1 / count)
    crowding = both.sum(axis=1) / roots
    mean = np.minimum(np.add.outer(crowding, crowding) / 2, 0.9)
    assert (mean.max() == 0.9) == (count == 40)
    assert pairs.total == pytest.approx(both.sum(), rel=1e-12)
    assert pairs.squares == pytest.approx(np.square(both).sum(), rel=1e-12)
    assert pairs.third_order() == pytest.approx((both * mean / (1 - mean)).sum(), rel=1e-9)
