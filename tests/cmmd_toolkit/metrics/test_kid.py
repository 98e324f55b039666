"""The kernel distance: a slow reference, published anchors, its standard error, subsets, and errors."""

import json

import numpy as np
import pytest
import torch
from pictures import gaussian

from cmmd_toolkit import ArgumentError, Features, GaussianStatistics
from cmmd_toolkit.estimation import blocks
from cmmd_toolkit.estimation.subset_sums import _tiles, subset_values
from cmmd_toolkit.metrics.kid import RECIPES, kernel_distance


def slow_distance(x: np.ndarray, y: np.ndarray, degree: int, gamma: float, coef0: float, estimator: str) -> float:
    """Pair by pair in extended precision."""

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (gamma * (a.astype(np.longdouble)[:, None] * b[None]).sum(axis=2) + coef0) ** degree

    within = [kernel(rows, rows) for rows in (x, y)]
    if estimator == "unbiased":
        means = [(block.sum() - np.trace(block)) / (len(block) * (len(block) - 1)) for block in within]
    else:
        means = [block.mean() for block in within]
    return float(sum(means) - 2 * kernel(x, y).mean())


@pytest.mark.parametrize("estimator", ["unbiased", "biased"])
@pytest.mark.parametrize(("n", "m"), [(2, 2), (30, 41), (7, 60)])
@pytest.mark.parametrize(("degree", "gamma", "coef0"), [(3, None, 1.0), (1, 0.5, 0.0), (2, 2.0, 0.3), (5, None, 1.0)])
def test_agrees_with_the_definition(
    n: int, m: int, degree: int, gamma: float | None, coef0: float, estimator: str
) -> None:
    x, y = gaussian(n, 5, seed=1), gaussian(m, 5, seed=2, shift=0.4)
    options = {"degree": degree, "gamma": gamma, "coef0": coef0, "estimator": estimator}
    expected = slow_distance(x, y, degree, gamma or 0.2, coef0, estimator)
    assert float(kernel_distance(reference=x, generated=y, **options)) == pytest.approx(expected, rel=1e-11, abs=1e-12)


@pytest.mark.parametrize(
    ("degree", "gamma", "coef0", "value"),
    [(2, None, 0.0, 270.7222), (2, 1.0, 0.0, 2436.5), (3, 1 / 3, 1.0, 23088.0833)],
)
def test_reaches_the_published_polynomial_anchors(degree: int, gamma: float | None, coef0: float, value: float) -> None:
    x = np.arange(1, 10).reshape(3, 3)
    y = np.array([[7, 6, 5], [4, 3, 2], [1, 1, 8], [0, 2, 5]])
    options = {"degree": degree, "gamma": gamma, "coef0": coef0, "estimator": "biased"}
    assert float(kernel_distance(reference=x, generated=y, **options)) == pytest.approx(value, abs=5e-5)


def test_of_a_set_to_itself_is_zero_when_biased_and_negative_when_not() -> None:
    x = gaussian(50, 6)
    assert float(kernel_distance(reference=x, generated=x, estimator="biased")) == pytest.approx(0, abs=1e-12)
    assert float(kernel_distance(reference=x, generated=x)) < 0


def test_is_symmetric_with_its_standard_error() -> None:
    x, y = gaussian(40, 6, seed=1), gaussian(30, 6, seed=2, shift=1)
    there, back = kernel_distance(reference=x, generated=y), kernel_distance(reference=y, generated=x)
    assert float(there) == pytest.approx(float(back), rel=1e-12)
    assert there.standard_error == pytest.approx(back.standard_error, rel=1e-12)


def test_averages_to_zero_over_draws_of_one_distribution() -> None:
    draws = [
        float(kernel_distance(reference=gaussian(30, 6, seed=i), generated=gaussian(45, 6, seed=1000 + i)))
        for i in range(200)
    ]
    assert abs(np.mean(draws)) < 4 * np.std(draws) / np.sqrt(len(draws))


def test_standard_error_is_the_spread_over_draws_and_the_interval_holds_the_truth() -> None:
    estimates = [
        kernel_distance(reference=gaussian(80, 4, seed=i), generated=gaussian(120, 4, seed=1000 + i, shift=0.5))
        for i in range(300)
    ]
    values = np.array([float(estimate) for estimate in estimates])
    errors = np.array([estimate.standard_error for estimate in estimates])
    truth = expected_distance_of_shifted_gaussians(4, 0.5)
    assert np.sqrt(np.square(errors).mean()) == pytest.approx(values.std(ddof=1), rel=0.15)
    assert abs(values.mean() - truth) < 4 * values.std() / np.sqrt(len(values))
    held = np.mean([estimate.interval[0] <= truth <= estimate.interval[1] for estimate in estimates])
    assert 0.9 <= held <= 0.99


def expected_distance_of_shifted_gaussians(dim: int, shift: float) -> float:
    """E k for k = (x.y / D + 1)^3 and independent N(a, I), N(b, I): moments of x.y by hand.

    E x.y = a.b, E (x.y)^2 = (a.b)^2 + |a|^2 + |b|^2 + D, E (x.y)^3 = (a.b)^3 + 3 a.b (|a|^2 + |b|^2 + D + 2).
    """

    def mean_kernel(a: float, b: float) -> float:
        first, aa, bb = dim * a * b, dim * a * a, dim * b * b
        second = first**2 + aa + bb + dim
        third = first**3 + 3 * first * (aa + bb + dim + 2)
        return third / dim**3 + 3 * second / dim**2 + 3 * first / dim + 1

    return mean_kernel(0, 0) + mean_kernel(shift, shift) - 2 * mean_kernel(0, shift)


def test_does_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = gaussian(100, 8, seed=1), gaussian(131, 8, seed=2, shift=0.2)
    whole = kernel_distance(reference=x, generated=y)
    monkeypatch.setattr(blocks, "BLOCK", 16)
    parts = kernel_distance(reference=x, generated=y)
    assert float(parts) == pytest.approx(float(whole), rel=1e-12)
    assert parts.standard_error == pytest.approx(whole.standard_error, rel=1e-12)


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_subsets_as_large_as_the_sets_have_no_spread_and_give_the_whole_value(recipe: str) -> None:
    x, y = gaussian(20, 6, seed=1), gaussian(20, 6, seed=2, shift=1)
    estimate = kernel_distance(reference=x, generated=y, recipe=recipe, subsets=5, subset_size=20)
    assert float(estimate) == pytest.approx(float(kernel_distance(reference=x, generated=y)), rel=1e-12)
    assert estimate.parameters["subset_std"] == pytest.approx(0, abs=1e-12)
    assert estimate.standard_error is None
    assert "not a standard error" in str(estimate.no_error_reason)


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_subsets_are_seeded(recipe: str) -> None:
    x, y = gaussian(30, 6, seed=1), gaussian(25, 6, seed=2, shift=1)
    options = {"reference": x, "generated": y, "recipe": recipe, "subsets": 5, "subset_size": 10}
    assert float(kernel_distance(**options)) == float(kernel_distance(**options, seed=RECIPES[recipe].seed))
    assert float(kernel_distance(**options)) != float(kernel_distance(**options, seed=7))


@pytest.mark.parametrize("recipe", ["clean-fid", "dgm-eval"])
def test_a_shrunk_subset_is_said(recipe: str) -> None:
    estimate = kernel_distance(reference=gaussian(30, 4), generated=gaussian(25, 4, seed=1), recipe=recipe, subsets=3)
    assert estimate.parameters["subset_size"] == 25
    assert estimate.caveats[0] == "subsets of 25 rows, since a set has no 1000"


def test_takes_features_and_tensors() -> None:
    x, y = gaussian(20, 4, seed=1).astype(np.float32), gaussian(20, 4, seed=2).astype(np.float32)
    expected = float(kernel_distance(reference=x, generated=y))
    estimate = kernel_distance(reference=Features(x), generated=torch.from_numpy(y))
    assert float(estimate) == expected
    assert json.loads(json.dumps(estimate.parameters)) == estimate.parameters


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recipe": "tf"}, "recipe: expected one of default, torch-fidelity, .*got 'tf'"),
        ({"estimator": "both"}, "estimator: expected unbiased or biased, got 'both'"),
        ({"recipe": "dgm-eval", "estimator": "biased"}, "estimator: expected unbiased, as dgm-eval computes"),
        ({"recipe": "torch-fidelity"}, "subset_size: expected at most 6, the rows of the smaller set, got 1000"),
        ({"recipe": "torchmetrics", "subset_size": 7}, "subset_size: expected at most 6.* got 7; give a smaller"),
        ({"recipe": "dgm-eval", "subset_size": 1}, "subset_size: expected a whole number of at least 2, got 1"),
        ({"recipe": "dgm-eval", "subsets": 0}, "subsets: expected a whole number of at least 1, got 0"),
        ({"subsets": 5}, "expected none, since the default recipe takes the whole sets"),
        ({"degree": 0}, "degree: expected a whole number of at least 1, got 0"),
        ({"degree": 1.5}, "degree: expected a whole number of at least 1, got 1.5"),
        ({"gamma": 0.0}, "gamma: expected a finite number > 0, got 0.0"),
        ({"coef0": -1.0}, "coef0: expected a finite number of at least 0, got -1.0"),
        ({"generated": np.zeros((5, 3))}, "different width: reference has 4, generated has 3"),
        ({"generated": np.zeros((1, 4))}, "generated: expected at least 2 rows for a kernel distance, got 1"),
        ({"generated": np.full((6, 4), np.nan)}, "generated: NaN or infinity in row 0"),
        (
            {"reference": GaussianStatistics(np.zeros(4), np.eye(4))},
            "reference holds mean and covariance only, and this metric needs",
        ),
    ],
)
def test_refuses_what_it_cannot_score(options: dict[str, object], message: str) -> None:
    arguments = {"reference": gaussian(8, 4), "generated": gaussian(6, 4, seed=1), **options}
    with pytest.raises(ArgumentError, match=message):
        kernel_distance(**arguments)


@pytest.mark.parametrize(("rows", "size", "count"), [(40, 25, 9), (400, 6, 5), (30, 30, 2), (700, 12, 300)])
@pytest.mark.parametrize("block", [16, 1024])
def test_many_subsets_have_the_values_of_each_pair_alone(
    rows: int, size: int, count: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of sets that the subsets cover many times, and of sets where they hardly meet."""
    x, y = gaussian(rows, 5, seed=1).astype(np.float32), gaussian(rows + 3, 5, seed=2, shift=0.3)
    random = np.random.default_rng(0)
    draws = [tuple(random.choice(len(own), size, replace=False) for own in (x, y)) for _ in range(count)]
    monkeypatch.setattr(blocks, "BLOCK", block)
    found = subset_values(x, y, (3, 0.2, 1.0), draws)
    options = {"degree": 3, "gamma": 0.2, "coef0": 1.0}
    each = [float(kernel_distance(reference=x[i], generated=y[j], **options)) for i, j in draws[:9]]
    assert len(found) == count
    np.testing.assert_allclose(found[:9], each, rtol=1e-11, atol=1e-13)


def test_subsets_of_small_sets_are_summed_together_and_those_of_large_ones_apart() -> None:
    united, draws = [np.arange(50)] * 2, [(np.arange(20), np.arange(20))] * 30
    assert {tile.subsets.start for tile in _tiles(united, draws, 8)} == {None}
    assert {tile.subsets.start for tile in _tiles([np.arange(5000)] * 2, draws, 8)} == set(range(30))


@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_single_precision_products_of_subsets_change_little(offset: float) -> None:
    x, y = (np.maximum(gaussian(500, 64, seed=seed), 0) + offset for seed in (1, 2))
    draws = [
        tuple(np.random.default_rng((side, i)).choice(500, 200, replace=False) for side in (0, 1)) for i in range(8)
    ]
    double, single = (subset_values(x, y, (3, 1 / 64, 1.0), draws, single=own) for own in (False, True))
    assert 0 < np.abs(single - double).max() < 1e-5 * double.std()


def test_the_precision_of_subsets_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = gaussian(60, 4, seed=1), gaussian(60, 4, seed=2)
    options = {"recipe": "torch-fidelity", "subsets": 3, "subset_size": 50}
    double = kernel_distance(reference=x, generated=y, **options)
    monkeypatch.setattr("cmmd_toolkit.metrics.kid._EXACT_MULTIPLICATIONS", 1e4)
    single = kernel_distance(reference=x, generated=y, **options)
    far = kernel_distance(reference=1e15 * x, generated=1e15 * y, **options)
    assert double.parameters["precision"] == far.parameters["precision"] == "float64"
    assert single.parameters["precision"] == "float32 products, float64 sums"
    assert float(single) == pytest.approx(float(double), rel=1e-5)
