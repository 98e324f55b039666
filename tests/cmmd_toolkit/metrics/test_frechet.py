"""The Frechet distance: closed forms, symmetry, peers' oracles, and the routes against each other."""

import json

import mpmath
import numpy as np
import pytest
import scipy.linalg
import torch
from pictures import gaussian, shared_path
from safetensors.numpy import load_file

from cmmd_toolkit import ArgumentError, Features, GaussianStatistics, frechet_distance
from cmmd_toolkit.estimation import gaussian as gaussian_fit
from cmmd_toolkit.metrics import frechet


def test_of_two_unit_gaussians_one_apart_in_each_of_2048_dimensions_is_2048() -> None:
    identity = np.eye(2048)
    one, other = GaussianStatistics(np.zeros(2048), identity), GaussianStatistics(np.ones(2048), identity)
    assert float(frechet_distance(reference=one, generated=other)) == pytest.approx(2048, rel=1e-12)


@pytest.mark.parametrize("shape", [(40, 12), (12, 40), (500, 64), (13, 12)])
def test_of_a_set_to_itself_is_zero(shape: tuple[int, int]) -> None:
    x = gaussian(*shape)
    estimate = frechet_distance(reference=x, generated=x)
    assert abs(float(estimate)) < 1e-9 * estimate.parameters["trace_reference"]


@pytest.mark.parametrize(("n", "m", "dim"), [(60, 45, 20), (20, 30, 50), (100, 15, 40)])
def test_is_symmetric(n: int, m: int, dim: int) -> None:
    x, y = gaussian(n, dim, seed=1), gaussian(m, dim, seed=2, shift=0.3)
    forward = float(frechet_distance(reference=x, generated=y))
    assert forward == pytest.approx(float(frechet_distance(reference=y, generated=x)), rel=1e-10)


def test_of_a_shifted_set_is_the_squared_shift() -> None:
    x = gaussian(300, 16)
    assert float(frechet_distance(reference=x, generated=x + 0.5)) == pytest.approx(16 * 0.25, rel=1e-9)


def test_of_a_scaled_set_is_the_closed_form() -> None:
    x = gaussian(300, 16)
    x -= x.mean(axis=0)
    expected = (3 - 1) ** 2 * np.trace(np.cov(x, rowvar=False))
    assert float(frechet_distance(reference=x, generated=3 * x)) == pytest.approx(expected, rel=1e-9)


def test_is_invariant_under_rotation_and_a_common_shift() -> None:
    x, y = gaussian(80, 10, seed=1), gaussian(90, 10, seed=2, scale=1.4)
    turn = np.linalg.qr(gaussian(10, 10, seed=3))[0]
    moved = float(frechet_distance(reference=x @ turn + 7, generated=y @ turn + 7))
    assert moved == pytest.approx(float(frechet_distance(reference=x, generated=y)), rel=1e-9)


@pytest.mark.parametrize(("n", "m", "dim"), [(40, 50, 8), (12, 14, 8)])
def test_agrees_with_50_digit_arithmetic_where_n_exceeds_d(n: int, m: int, dim: int) -> None:
    x, y = gaussian(n, dim, seed=5), gaussian(m, dim, seed=6, shift=0.2, scale=2.0)
    expected = mpmath_frechet(x, y)
    assert float(frechet_distance(reference=x, generated=y)) == pytest.approx(expected, rel=1e-10)


def mpmath_frechet(x: np.ndarray, y: np.ndarray) -> float:
    """|m_x - m_y|^2 + tr S_x + tr S_y - 2 sum sqrt eig(S_x S_y), by 50 digits on the eigenvalues of L^T S_y L."""
    with mpmath.workdps(50):
        means, covs = [], []
        for rows in (x, y):
            matrix = mpmath.matrix(rows.tolist())
            mean = mpmath.matrix([mpmath.fsum(matrix[:, j]) / matrix.rows for j in range(matrix.cols)])
            centred = matrix - mpmath.ones(matrix.rows, 1) * mean.T
            means.append(mean)
            covs.append(centred.T * centred / (matrix.rows - 1))
        lower = mpmath.cholesky(covs[0])
        eigenvalues = mpmath.eigsy(lower.T * covs[1] * lower, eigvals_only=True)
        difference = means[0] - means[1]
        traces = mpmath.fsum(covs[0][i, i] + covs[1][i, i] for i in range(x.shape[1]))
        roots = mpmath.fsum(mpmath.sqrt(value) for value in eigenvalues)
        return float((difference.T * difference)[0] + traces - 2 * roots)


@pytest.mark.parametrize(("n", "m", "dim"), [(200, 150, 32), (3000, 2500, 256)])
def test_agrees_with_the_matrix_square_root(n: int, m: int, dim: int) -> None:
    x, y = gaussian(n, dim, seed=7), gaussian(m, dim, seed=8, scale=1.2)
    one, other = Features(x).statistics(), Features(y).statistics()
    root = np.trace(scipy.linalg.sqrtm(one.cov @ other.cov).real)
    expected = np.square(one.mean - other.mean).sum() + np.trace(one.cov) + np.trace(other.cov) - 2 * root
    for reference, generated in ((Features(x), Features(y)), (one, other), (one, Features(y))):
        assert float(frechet_distance(reference=reference, generated=generated)) == pytest.approx(expected, rel=1e-8)


def test_routes_agree_where_both_are_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = gaussian(400, 30, seed=1), gaussian(300, 30, seed=2, scale=1.3)
    fast = frechet_distance(reference=x, generated=y)
    monkeypatch.setattr(frechet, "RELATIVE_TOLERANCE", 0.0)
    accurate = frechet_distance(reference=x, generated=y)
    assert (fast.parameters["route"], accurate.parameters["route"]) == ("fast", "accurate")
    assert float(fast) == pytest.approx(float(accurate), rel=1e-10)


def test_takes_the_accurate_route_for_singular_covariances() -> None:
    x = gaussian(200, 10)
    repeated = np.concatenate([x, x], axis=1)
    assert frechet_distance(reference=repeated, generated=repeated[:150]).parameters["route"] == "accurate"


def test_does_not_depend_on_the_chunk_size(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = gaussian(120, 200, seed=1), gaussian(300, 200, seed=2)
    whole = float(frechet_distance(reference=x, generated=y))
    monkeypatch.setattr(gaussian_fit, "_CHUNK_ROWS", 17)
    assert float(frechet_distance(reference=x, generated=y)) == pytest.approx(whole, rel=1e-11)


def test_takes_tensors_of_every_floating_type() -> None:
    x, y = torch.randn(50, 6), torch.randn(40, 6)
    expected = float(frechet_distance(reference=x.numpy(), generated=y.numpy()))
    assert float(frechet_distance(reference=x, generated=y)) == expected
    half = float(frechet_distance(reference=x.bfloat16(), generated=y.bfloat16()))
    assert half == pytest.approx(expected, rel=0.1)


def test_warns_of_rank_deficiency_in_its_caveats() -> None:
    estimate = frechet_distance(reference=gaussian(10, 20), generated=gaussian(50, 20))
    assert "10 pictures for 20 feature dimensions" in estimate.caveats[0]
    assert "10 pictures for 20 feature dimensions are too few" in str(estimate.no_error_reason)
    assert len(estimate.caveats) == 1


@pytest.mark.parametrize(
    ("reference", "generated", "message"),
    [
        (np.zeros((5, 3)), np.zeros((5, 4)), "different width: reference has 3, generated has 4"),
        (np.zeros((1, 3)), np.zeros((5, 3)), "reference: a covariance needs at least two rows, got 1"),
        (np.zeros(3), np.zeros((5, 3)), r"reference: expected numbers of shape \(N, D\)"),
        (np.zeros((5, 3)), np.full((5, 3), np.nan), "generated: NaN or infinity in row 0"),
        (np.zeros((5, 3)), np.array([["a"] * 3]), "generated: expected numbers"),
    ],
)
def test_refuses_what_it_cannot_score(reference: np.ndarray, generated: np.ndarray, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        frechet_distance(reference=reference, generated=generated)


def test_refuses_a_covariance_with_negative_eigenvalues() -> None:
    broken = GaussianStatistics(np.zeros(2), np.diag([1.0, -1.0]))
    with pytest.raises(ArgumentError, match="negative eigenvalue"):
        frechet_distance(reference=broken, generated=broken)
    whole = GaussianStatistics(np.zeros(2), np.diag([1.0, 1e-9]))
    tilted = GaussianStatistics(np.zeros(2), np.diag([1.0, -1e-3]))  # hardly seen in the product of both
    for other in (whole, gaussian(50, 2, seed=0)):
        for given in (broken, tilted):
            with pytest.raises(ArgumentError, match="generated: the covariance has a negative eigenvalue"):
                frechet_distance(reference=other, generated=given)
        with pytest.raises(ArgumentError, match="reference: the covariance has a negative eigenvalue"):
            frechet_distance(reference=tilted, generated=other)


def test_a_singular_covariance_that_is_given_is_one_all_the_same() -> None:
    flat = GaussianStatistics(np.zeros(3), np.diag([1.0, 4.0, 0.0]))
    full = GaussianStatistics(np.ones(3), np.diag([4.0, 1.0, 9.0]))
    expected = 3 + 5 + 14 - 2 * (2 + 2)
    for sides in ((flat, full), (full, flat)):
        assert float(frechet_distance(reference=sides[0], generated=sides[1])) == pytest.approx(expected, rel=1e-12)


def test_reaches_every_recorded_value() -> None:
    folder = shared_path("oracles", "metrics")
    features = load_file(folder / "features.safetensors")
    pairs = json.loads((folder / "values.json").read_text())["pairs"]
    checked = 0
    for name, pair in pairs.items():
        entries = pair["metrics"].get("frechet", {})
        for label, entry in entries.items():
            atol = entry.get("atol", {}).get("value")
            if "error" in entry or "value" in entry.get("unreliable", []) or atol is None:
                continue
            x, y = features[f"{name}.x"], features[f"{name}.y"]
            value = float(frechet_distance(reference=x, generated=y))
            assert value == pytest.approx(entry["values"]["value"], rel=0, abs=atol), (name, label)
            checked += 1
    assert checked > 50
