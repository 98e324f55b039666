"""Laws of the kernel of the Frechet distance's quadratic remainder."""

import numpy as np
import pytest
from pictures import gaussian
from scipy.linalg import eigh, sqrtm

from cmmd_toolkit import frechet_distance
from cmmd_toolkit.estimation.frechet_errors import frechet_errors
from cmmd_toolkit.estimation.frechet_rows import FrechetRows, rows_by_reference, sample_rows
from cmmd_toolkit.estimation.gaussian import GaussianFit
from cmmd_toolkit.estimation.pair_bias import pair_factor

ROOTS = [np.linspace(0.5, 2.0, 6), np.geomspace(1e-4, 3.0, 6), np.full(6, 7.0)]


@pytest.mark.parametrize("roots", ROOTS)
def test_the_sum_of_squares_is_the_double_sum(roots: np.ndarray) -> None:
    a, b = gaussian(40, 6, seed=1), gaussian(30, 6, seed=2)
    u, v = a * np.sqrt(roots), b * np.sqrt(roots)
    products = np.einsum("ni,mi->nmi", u, v)
    exact = a @ b.T / 5 + np.einsum("nmi,nmj,ij->nm", products, products, 1 / (roots[:, None] + roots)) / 2 / 5
    one, two = FrechetRows(a, u, roots, 5.0), FrechetRows(b, v, roots, 5.0)
    found = one.block(slice(None), two, slice(None))
    assert found == pytest.approx(exact, abs=3e-3 * np.abs(exact).max())
    whole = one.joined(two)
    assert len(whole) == 70
    assert whole.block(slice(0, 40), whole, slice(40, 70)) == pytest.approx(found, rel=1e-6)
    own = FrechetRows(a, u, roots, 5.0)
    assert own.diagonal() == pytest.approx(float(np.trace(own.block(slice(None), own, slice(None)))), rel=1e-4)


def test_near_zero_the_frechet_distance_is_the_squared_mmd_of_this_kernel() -> None:
    x, y = gaussian(2000, 5, seed=1), gaussian(1500, 5, seed=2) * 1.01 + 0.02
    reference, generated = GaussianFit.of(x, "reference"), GaussianFit.of(y, "generated")
    rows, others = (rows_by_reference(reference, fit) for fit in (reference, generated))
    sampled = [sample_rows(side) for side in (x, y)]
    assert [len(side) for side in sampled] == [1500, 1500]
    means = [one.block(slice(None), two, slice(None)).mean(dtype=np.float64) for one, two in
             ((rows, rows), (others, others), (rows, others))]  # fmt: skip
    biased = (means[0] + means[1] - 2 * means[2]) * reference.trace
    assert biased == pytest.approx(frechet_distance(reference=sampled[0], generated=sampled[1]).value, rel=0.05)


def test_correlated_errors_of_covariance_entries_are_counted() -> None:
    """Rows of unit length in clusters: their second moments move together."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((6, 24)) * 3

    def draw() -> np.ndarray:
        rows = centres[random.integers(0, 6, 300)] + random.standard_normal((300, 24))
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    values, stated = [], []
    for _ in range(80):
        x, y = draw(), draw()
        values.append(frechet_distance(reference=x, generated=y).corrected)
        errors = frechet_errors(GaussianFit.of(x, "reference"), GaussianFit.of(y, "generated"))
        stated.append(errors.spread.degenerate)
    assert np.sqrt(np.mean(stated)) == pytest.approx(np.std(values), rel=0.25)


def test_few_rows_that_carry_the_spread_have_a_reason_in_place_of_an_interval() -> None:
    x = gaussian(200, 6, seed=1)
    x[:3] *= 40
    estimate = frechet_distance(reference=x, generated=gaussian(200, 6, seed=2))
    assert estimate.interval is None
    assert "few pictures account for most of the spread" in estimate.no_error_reason


@pytest.mark.parametrize("lowest", [1.0, 1e-2, 1e-6])
def test_the_factor_of_pairs_is_small_and_right_for_every_spectrum(lowest: float) -> None:
    roots = np.geomspace(lowest, 1.0, 300)
    factor = pair_factor(roots)
    assert factor.shape[1] <= 40
    np.testing.assert_allclose(factor @ factor.T, 1 / (2 * (roots[:, None] + roots)), rtol=1e-4)


@pytest.mark.parametrize(("n", "dim", "least"), [(300, 6, 1.0), (64, 48, 1e-2), (80, 1, 1.0)])
def test_influences_and_moments_are_those_of_the_definition(n: int, dim: int, least: float) -> None:
    """Nearly singular covariances of few pictures, too: eigenvectors are float32."""
    scales = np.geomspace(1, least, dim)
    x, y = gaussian(n, dim, seed=1) * scales, (1.2 * gaussian(200, dim, seed=2) + 0.3) * scales
    reference, generated = GaussianFit.of(x, "x"), GaussianFit.of(y, "y")
    found = frechet_errors(reference, generated)
    cov_x, cov_y = (np.atleast_2d(np.cov(own.T)) for own in (x, y))
    root = sqrtm(cov_x)
    inverse = np.linalg.inv(root)
    transport = inverse @ sqrtm(root @ cov_y @ root) @ inverse  # of x to y
    centred, shift = x - x.mean(axis=0), x.mean(axis=0) - y.mean(axis=0)
    moved = np.einsum("ni,ij,nj->n", centred, transport, centred)
    influence = 2 * centred @ shift + np.square(centred).sum(axis=1) - moved
    np.testing.assert_allclose(found.reference, influence, atol=1e-5 * np.abs(influence).max())
    assert found.bias == pytest.approx(_bias(x, y, cov_x, cov_y), rel=1e-5)


def _bias(x: np.ndarray, y: np.ndarray, cov_x: np.ndarray, cov_y: np.ndarray) -> float:
    """tr S_x / n + tr S_y / m + 1/2 sum_ij [Var(u_x,i u_x,j) / n + Var(u_y,i u_y,j) / m] / (s_i + s_j), and the third
    order, from full matrices in a frame of the generalised eigenvectors of S_y and S_x^-1."""
    squares, axes = eigh(cov_y, np.linalg.inv(cov_x))
    roots = np.sqrt(squares)
    second = np.zeros((len(roots), len(roots)))
    for rows, frame in ((x, np.linalg.inv(cov_x) @ axes), (y, axes)):
        joint = (rows - rows.mean(axis=0)) @ frame
        joint *= np.sqrt(roots / np.einsum("ij,ij->j", joint, joint) * (len(rows) - 1))
        products = joint[:, :, None] * joint[:, None, :]
        second += (np.square(products).mean(axis=0) - np.diag(roots**2)) / len(rows) / (2 * (roots[:, None] + roots))
    crowding = (second / roots[:, None]).sum(axis=1)
    mean = np.minimum((crowding[:, None] + crowding) / 2, 0.9)
    traces = np.trace(cov_x) / len(x) + np.trace(cov_y) / len(y)
    return float(traces + second.sum() + (second * mean / (1 - mean)).sum())


@pytest.mark.parametrize("spread", [1e-37, 1e-40, 1e-60])
def test_a_feature_that_hardly_varies_changes_no_error(spread: float) -> None:
    x, y = gaussian(300, 4, seed=1).astype(np.float64), gaussian(300, 4, seed=2) * 1.2
    without = frechet_distance(reference=x, generated=y)
    estimate = frechet_distance(
        reference=np.column_stack([x, gaussian(300, 1, seed=3) * spread]),
        generated=np.column_stack([y, gaussian(300, 1, seed=4) * spread]),
    )
    assert estimate.standard_error == pytest.approx(without.standard_error, rel=1e-5)
    assert estimate.interval == pytest.approx(without.interval, rel=1e-5)
