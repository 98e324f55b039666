"""Laws of standard errors, intervals, tests and sample sizes."""

from itertools import permutations, product
from typing import Any

import numpy as np
import pytest
from bootstrap import bootstrap, mmd_of_counts
from pictures import gaussian

from cmmd_toolkit import ArgumentError, frechet_distance, joint_test, squared_mmd, two_sample_test
from cmmd_toolkit.estimation import blocks
from cmmd_toolkit.estimation.frechet_errors import frechet_errors
from cmmd_toolkit.estimation.gaussian import GaussianFit
from cmmd_toolkit.estimation.groups import holm, letters
from cmmd_toolkit.estimation.ustatistics import spread_of
from cmmd_toolkit.metrics import frechet
from cmmd_toolkit.metrics.kid import kernel_distance
from cmmd_toolkit.metrics.mmd import MmdReference


def kernel_of(x: np.ndarray, y: np.ndarray, sigma: float) -> np.ndarray:
    squared = np.square(x[:, None] - y[None]).sum(axis=2)
    return np.exp(-squared / (2 * sigma**2))


def slow_variance(x: np.ndarray, y: np.ndarray, sigma: float) -> tuple[float, float]:
    """The unbiased variance and its pair part by sums over distinct rows, as the decomposition defines them."""

    def zeta_within(k: np.ndarray) -> float:
        n = len(k)
        pairs = np.mean([k[i, j] ** 2 for i, j in permutations(range(n), 2)])
        chains = np.mean([k[i, j] * k[i, q] for i, j, q in permutations(range(n), 3)])
        apart = np.mean([k[i, j] * k[q, p] for i, j, q, p in permutations(range(n), 4)])
        return float(pairs - 2 * chains + apart)

    def zeta_between(k: np.ndarray) -> float:
        n, m = k.shape
        rows, columns = list(permutations(range(n), 2)), list(permutations(range(m), 2))
        by_row = np.mean([k[i, j] * k[i, q] for i, (j, q) in product(range(n), columns)])
        by_column = np.mean([k[i, j] * k[q, j] for (i, q), j in product(rows, range(m))])
        apart = np.mean([k[i, j] * k[q, p] for (i, q), (j, p) in product(rows, columns)])
        return float(np.mean(k**2) - by_row - by_column + apart)

    n, m = len(x), len(y)
    kx, ky, kxy = kernel_of(x, x, sigma), kernel_of(y, y, sigma), kernel_of(x, y, sigma)
    zetas = [max(z, 0.0) for z in (zeta_within(kx), zeta_within(ky), zeta_between(kxy))]
    degenerate = 2 * zetas[0] / (n * (n - 1)) + 2 * zetas[1] / (m * (m - 1)) + 4 * zetas[2] / (n * m)
    a = 2 * (kx.sum(axis=1) - 1) / (n - 2) - 2 * kxy.mean(axis=1)
    b = 2 * (ky.sum(axis=1) - 1) / (m - 2) - 2 * kxy.mean(axis=0)
    noise = zetas[0] * 4 / (n * (n - 2)) + zetas[1] * 4 / (m * (m - 2)) + 8 * zetas[2] / (n * m)
    return a.var(ddof=1) / n + b.var(ddof=1) / m - noise + degenerate, degenerate


def test_the_variance_of_mmd_is_the_sum_over_distinct_rows() -> None:
    x, y = gaussian(7, 3, seed=1), gaussian(6, 3, seed=2) + 0.7
    spread = spread_of(MmdReference(x, 1.3, "unbiased", 0).score(y).terms)
    variance, degenerate = slow_variance(x.astype(np.float64), y.astype(np.float64), 1.3)
    assert spread.degenerate == pytest.approx(degenerate, rel=1e-9)
    assert spread.projected - spread.excess == pytest.approx(variance, rel=1e-9)


@pytest.mark.parametrize("shift", [0.0, 0.4, 1.5])
def test_the_standard_error_of_mmd_is_the_spread_over_draws(shift: float) -> None:
    draws = [
        squared_mmd(reference=gaussian(60, 6, seed=k), generated=gaussian(60, 6, seed=1000 + k) + shift, bandwidth=3.0)
        for k in range(300)
    ]
    values = np.array([draw.value for draw in draws])
    errors = np.array([draw.standard_error for draw in draws])
    truth = 0.0 if shift == 0 else values.mean()
    inside = np.mean([draw.interval[0] <= truth <= draw.interval[1] for draw in draws if draw.interval])
    assert errors.mean() == pytest.approx(values.std(), rel=0.13)
    assert 0.92 <= inside <= 0.985


def test_the_standard_error_does_not_depend_on_blocks_order_or_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = gaussian(90, 5, seed=1).astype(np.float64), gaussian(70, 5, seed=2) + 0.5
    whole = squared_mmd(reference=x, generated=y, bandwidth=2.0)
    turned = squared_mmd(reference=x[::-1] + 7.0, generated=y + 7.0, bandwidth=2.0)
    swapped = squared_mmd(reference=y, generated=x, bandwidth=2.0)
    monkeypatch.setattr(blocks, "BLOCK", 16)
    parts = squared_mmd(reference=x, generated=y, bandwidth=2.0)
    for other in (turned, swapped, parts):
        assert other.standard_error == pytest.approx(whole.standard_error, rel=1e-9)
        assert other.interval == pytest.approx(whole.interval, rel=1e-9)


def test_both_precisions_agree_on_the_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = gaussian(400, 32, seed=1), gaussian(300, 32, seed=2) + 0.05
    double = squared_mmd(reference=x, generated=y, bandwidth=8.0)
    monkeypatch.setattr("cmmd_toolkit.metrics.mmd._EXACT_MULTIPLICATIONS", 0.0)
    single = squared_mmd(reference=x, generated=y, bandwidth=8.0)
    assert single.parameters["precision"].startswith("float32")
    assert single.standard_error == pytest.approx(double.standard_error, rel=1e-3)


def test_too_few_pictures_have_a_reason_in_place_of_an_interval() -> None:
    estimate = squared_mmd(reference=gaussian(19, 3), generated=gaussian(50, 3, seed=4))
    assert estimate.standard_error is None
    assert estimate.interval is None
    assert "19 pictures are too few" in estimate.no_error_reason
    assert squared_mmd(reference=gaussian(20, 3), generated=gaussian(50, 3, seed=4)).interval is not None


def test_the_bootstrap_without_self_pairs_agrees_and_is_not_shifted() -> None:
    x, y = gaussian(150, 4, seed=1), gaussian(120, 4, seed=2) + 0.6
    estimate = squared_mmd(reference=x, generated=y, bandwidth=2.5)
    found = bootstrap(mmd_of_counts(reference=x, generated=y, bandwidth=2.5), 150, 120, resamples=400)
    assert found.standard_error == pytest.approx(estimate.standard_error, rel=0.12)
    assert found.values.mean() == pytest.approx(estimate.value, abs=0.15 * found.standard_error)
    ones = mmd_of_counts(reference=x, generated=y, bandwidth=2.5)(np.ones(150), np.ones(120))
    assert ones == pytest.approx(estimate.value, rel=1e-9)


def test_kid_has_the_same_errors_as_its_spread_over_draws() -> None:
    draws = [
        kernel_distance(reference=gaussian(60, 5, seed=k), generated=gaussian(60, 5, seed=900 + k) * 1.1)
        for k in range(200)
    ]
    values = np.array([draw.value for draw in draws])
    assert np.mean([draw.standard_error for draw in draws]) == pytest.approx(values.std(), rel=0.15)


def fits(x: np.ndarray, y: np.ndarray) -> tuple[GaussianFit, GaussianFit]:
    return GaussianFit.of(x, "reference"), GaussianFit.of(y, "generated")


def test_the_influence_is_the_derivative_of_the_frechet_distance() -> None:
    x, y = gaussian(80, 4, seed=1).astype(np.float64), gaussian(70, 4, seed=2) * 1.4 + 0.3
    errors = frechet_errors(*fits(x, y))

    def weighted(weights: np.ndarray) -> float:
        mean = weights @ x / weights.sum()
        cov = (x - mean).T @ ((x - mean) * weights[:, None]) / (weights.sum() - 1)
        from cmmd_toolkit import GaussianStatistics

        return float(frechet_distance(reference=GaussianStatistics(mean, cov), generated=y))

    slopes = []
    for row in range(0, 80, 9):
        weights, step = np.ones(80), 1e-4
        weights[row] += step
        up = weighted(weights)
        weights[row] -= 2 * step
        slopes.append((up - weighted(weights)) / (2 * step) * 79)
    centred = errors.reference[::9] - errors.reference.mean()
    trace_term = np.mean(np.array(slopes) - centred)  # the divisor n - 1 moves every row's slope alike
    assert np.array(slopes) - trace_term == pytest.approx(centred, abs=0.02 * np.abs(centred).max())


@pytest.mark.parametrize(("shift", "stretch"), [(0.0, 1.0), (0.6, 1.2)])
def test_the_bias_and_error_of_frechet_are_those_over_draws(shift: float, stretch: float) -> None:
    def draw(k: int) -> tuple[np.ndarray, np.ndarray]:
        return gaussian(150, 10, seed=k), gaussian(150, 10, seed=7000 + k) * stretch + shift

    truth = 10 * (shift**2 + (stretch - 1) ** 2)
    estimates = [frechet_distance(reference=x, generated=y) for x, y in map(draw, range(300))]
    values = np.array([estimate.value for estimate in estimates])
    bias = np.mean([estimate.parameters["bias"] for estimate in estimates])
    inside = np.mean([e.interval[0] <= truth <= e.interval[1] for e in estimates if e.interval])
    assert values.mean() - bias == pytest.approx(truth, abs=0.5 * values.std())
    assert np.mean([e.standard_error for e in estimates]) == pytest.approx(values.std(), rel=0.15)
    assert 0.91 <= inside <= 0.985


def test_the_delta_method_agrees_with_the_bootstrap_far_from_zero() -> None:
    x, y = gaussian(400, 5, seed=3).astype(np.float64), gaussian(400, 5, seed=4) * 1.5 + 1.0
    random = np.random.default_rng(0)
    values = [
        frechet.distance(*fits(x[random.integers(0, 400, 400)], y[random.integers(0, 400, 400)])).value
        for _ in range(300)
    ]
    estimate = frechet_distance(reference=x, generated=y)
    assert estimate.standard_error == pytest.approx(np.std(values), rel=0.12)


@pytest.mark.parametrize(
    ("n", "dim", "message"),
    [
        (40, 4, "40 pictures for 4 feature dimensions are too few"),
        (60, 60, "60 pictures for 60"),
        (62, 60, "bias of 62"),
    ],
)
def test_frechet_says_where_no_interval_can_be_given(n: int, dim: int, message: str) -> None:
    estimate = frechet_distance(reference=gaussian(n, dim, seed=1), generated=gaussian(n, dim, seed=2))
    assert (estimate.standard_error, estimate.interval) == (None, None)
    assert message in estimate.no_error_reason


def test_frechet_of_constant_or_repeated_features_has_no_interval() -> None:
    x = gaussian(100, 6, seed=1).astype(np.float64)
    x[:, 5] = x[:, 4]
    estimate = frechet_distance(reference=x, generated=gaussian(100, 6, seed=2))
    assert estimate.interval is None
    assert "covariance is singular" in estimate.no_error_reason


def test_permutations_are_those_of_the_slow_statistic() -> None:
    x, y = gaussian(12, 3, seed=1).astype(np.float64), gaussian(9, 3, seed=2) + 0.8
    found = two_sample_test(reference=x, generated=y, bandwidth=1.5, permutations=99)
    kernel = kernel_of(np.vstack([x, y]), np.vstack([x, y]), 1.5)
    np.fill_diagonal(kernel, 0.0)

    def slow(chosen: np.ndarray) -> float:
        rest = np.setdiff1d(np.arange(21), chosen)
        own = kernel[np.ix_(chosen, chosen)].sum() / 132 + kernel[np.ix_(rest, rest)].sum() / 72
        return float(own - 2 * kernel[np.ix_(chosen, rest)].mean())

    random = np.random.default_rng(0)
    dealt = [slow(np.arange(12)), *(slow(random.permutation(21)[:12]) for _ in range(99))]
    assert found.statistic == pytest.approx(dealt[0], rel=1e-10)
    assert found.p_value == pytest.approx(np.mean(np.array(dealt) >= dealt[0] - 1e-12))


def test_the_two_sample_test_keeps_its_level_and_finds_a_difference() -> None:
    same = [
        two_sample_test(
            reference=gaussian(40, 4, seed=k), generated=gaussian(30, 4, seed=500 + k), permutations=99, seed=k
        ).p_value
        for k in range(300)
    ]
    assert 0.02 <= np.mean(np.array(same) <= 0.05) <= 0.085
    assert two_sample_test(reference=gaussian(60, 4), generated=gaussian(60, 4, seed=9) + 0.8).p_value <= 0.001


def test_a_set_against_itself_is_not_different() -> None:
    x = gaussian(50, 4)
    assert two_sample_test(reference=x, generated=x).p_value > 0.9
    assert two_sample_test(reference=np.ones((30, 3)), generated=np.ones((30, 3)), bandwidth=1.0).p_value == 1.0


def test_large_sets_are_thinned_out_and_it_says_so() -> None:
    found = two_sample_test(reference=gaussian(300, 3), generated=gaussian(100, 3, seed=2), max_rows=80)
    assert (found.n_reference, found.n_generated) == (40, 40)
    assert "subset of 40 of 300 reference rows and 40 of 100 generated rows" in found.caveats[0]


@pytest.mark.parametrize("swapped", [False, True])
def test_thinning_keeps_a_small_set_whole(swapped: bool) -> None:
    sides = gaussian(50_000, 2), gaussian(500, 2, seed=2)
    large, small = ("generated", "reference") if swapped else ("reference", "generated")
    found = two_sample_test(**{large: sides[0], small: sides[1]}, permutations=19, max_rows=2000)  # type: ignore[arg-type]
    sizes = {"reference": found.n_reference, "generated": found.n_generated}
    assert sizes == {large: 1500, small: 500}
    assert found.caveats == (f"a seeded subset of 1,500 of 50,000 {large} rows; raise max_rows for all",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bandwidth": "median"}, "use median-pooled"),
        ({"permutations": 5}, "permutations: expected a whole number of at least 19"),
        ({"generated": np.zeros((5, 2))}, "different width"),
        ({"generated": np.full((5, 3), np.nan)}, "NaN or infinity"),
    ],
)
def test_the_two_sample_test_refuses(change: dict, message: str) -> None:
    given = {"reference": gaussian(30, 3), "generated": gaussian(30, 3, seed=1), **change}
    with pytest.raises(ArgumentError, match=message):
        two_sample_test(**given)


@pytest.mark.parametrize("test", [two_sample_test, joint_test])
def test_a_seed_is_a_whole_number_of_any_type(test: Any) -> None:
    x, y = gaussian(60, 3), gaussian(60, 3, seed=1)
    found = [
        test(reference=x, generated=y, permutations=19, seed=seed).p_value for seed in (3, np.float64(3), np.int8(3))
    ]
    assert found[0] == found[1] == found[2]


def test_holm_is_the_step_down_rule() -> None:
    found = holm({(0, 1): 0.01, (0, 2): 0.04, (1, 2): 0.03})
    assert found == pytest.approx({(0, 1): 0.03, (1, 2): 0.06, (0, 2): 0.06})


def test_sets_share_a_letter_exactly_when_they_are_not_different() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        pairs = [(i, j) for i in range(6) for j in range(i + 1, 6)]
        different = {pair for pair in pairs if random.random() < 0.5}
        found = letters(6, different)
        assert {pair for pair in pairs if not set(found[pair[0]]) & set(found[pair[1]])} == different
    assert letters(3, []) == ["a", "a", "a"]
