"""Laws of the relative test: which of two sets is closer, near zero and far, for models that fail alike or not."""

from typing import Any

import numpy as np
import pytest
from pictures import gaussian

from cmmd_toolkit import ArgumentError, rank, relative_test, squared_mmd
from cmmd_toolkit.estimation.ustatistics import projections, spread_of, value_of
from cmmd_toolkit.inference import deals
from cmmd_toolkit.inference.relative import compare_mmd
from cmmd_toolkit.metrics.mmd import MmdReference


@pytest.mark.parametrize("metric", ["mmd", "fd"])
def test_the_relative_test_is_antisymmetric_and_equals_the_difference(metric: str) -> None:
    x, y, z = gaussian(120, 5, seed=1), gaussian(90, 5, seed=2) + 0.3, gaussian(100, 5, seed=3) + 0.7
    there = relative_test(reference=x, first=y, second=z, metric=metric, bandwidth=3.0)
    back = relative_test(reference=x, first=z, second=y, metric=metric, bandwidth=3.0)
    assert there.closer == "first"
    assert back.closer == "second"
    assert there.difference == pytest.approx(-back.difference)
    assert there.p_value == pytest.approx(back.p_value)
    one_sided = relative_test(reference=x, first=y, second=z, metric=metric, bandwidth=3.0, alternative="first")
    assert one_sided.p_value == pytest.approx(there.p_value / 2)
    if metric == "mmd":
        scores = [squared_mmd(reference=x, generated=rows, bandwidth=3.0).value for rows in (y, z)]
        assert there.difference == pytest.approx(scores[0] - scores[1], rel=1e-9)


@pytest.mark.parametrize("metric", ["mmd", "fd"])
@pytest.mark.parametrize("paired", [False, True])
def test_near_zero_too_it_does_not_matter_which_set_is_named_first(metric: str, paired: bool) -> None:
    x, y, z = gaussian(120, 5, seed=1), gaussian(90, 5, seed=2), gaussian(90 if paired else 100, 5, seed=3)
    there, back = (
        relative_test(reference=x, first=one, second=two, metric=metric, paired=paired) for one, two in ((y, z), (z, y))
    )
    assert there.parameters["deals"] > 0
    assert there.p_value == pytest.approx(back.p_value, rel=1e-9)
    assert there.interval == pytest.approx((-back.interval[1], -back.interval[0]), rel=1e-9)


@pytest.mark.parametrize("metric", ["mmd", "fd"])
@pytest.mark.parametrize("paired", [False, True])
def test_the_relative_test_keeps_its_level(metric: str, paired: bool) -> None:
    p_values = []
    for k in range(120):
        x, base = gaussian(100, 6, seed=k), gaussian(100, 6, seed=3000 + k) + 0.5
        shared = base if paired else gaussian(100, 6, seed=6000 + k) + 0.5
        first, second = (rows + 0.4 * gaussian(100, 6, seed=9000 + k + s) for s, rows in ((0, base), (5000, shared)))
        found = relative_test(reference=x, first=first, second=second, metric=metric, paired=paired, bandwidth=3.0)
        p_values.append(found.p_value)
    assert 0.006 <= np.mean(np.array(p_values) < 0.05) <= 0.1


def test_pairing_gains_power_and_equal_sets_are_equal() -> None:
    x, base = gaussian(150, 6, seed=1), gaussian(150, 6, seed=2) + 0.5
    worse = base + 0.03
    loose, tight = (
        relative_test(reference=x, first=base, second=worse, bandwidth=3.0, paired=paired) for paired in (False, True)
    )
    assert tight.difference == pytest.approx(loose.difference, rel=1e-9)
    assert tight.p_value < 1e-3 < loose.p_value
    same = relative_test(reference=x, first=base, second=base, bandwidth=3.0, paired=True)
    assert (same.difference, same.p_value) == (0.0, 1.0)


def test_the_relative_test_beats_two_intervals_that_do_not_overlap() -> None:
    tested = apart = 0
    for k in range(100):
        x, y, z = gaussian(100, 6, seed=k), gaussian(100, 6, seed=500 + k) + 0.3, gaussian(100, 6, seed=900 + k) + 0.55
        ruler = MmdReference(x, 3.0, "unbiased", 0)
        scores = [ruler.score(rows) for rows in (y, z)]
        tested += compare_mmd(*scores, paired=False).p_value < 0.05
        apart += scores[0].estimate.interval[1] < scores[1].estimate.interval[0]
    assert tested > apart + 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"second": np.zeros((40, 3)), "paired": True}, "sets of equal size, got 30 and 40"),
        ({"second": gaussian(10, 3)}, "at least 20 pictures per set, got 10"),
        ({"metric": "kid"}, "expected mmd or fd"),
        ({"alternative": "less"}, "expected two-sided, first or second"),
        ({"bandwidth": "median-pooled"}, "must share"),
        ({"metric": "fd"}, "30 pictures for 3 feature dimensions are too few"),
    ],
)
def test_the_relative_test_refuses(change: dict, message: str) -> None:
    given = {
        "reference": gaussian(30, 3),
        "first": gaussian(30, 3, seed=1),
        "second": gaussian(30, 3, seed=2),
        **change,
    }
    with pytest.raises(ArgumentError, match=message):
        relative_test(**given)


def relative_terms(x: np.ndarray, y: np.ndarray, z: np.ndarray, paired: bool) -> list[Any]:
    from cmmd_toolkit.inference import relative

    ruler = MmdReference(x, 2.0, "unbiased", 0)
    build = relative._paired_terms if paired else relative._unpaired_terms
    return build(ruler.score(y), ruler.score(z))


def slow_ratio(x: np.ndarray, y: np.ndarray, z: np.ndarray, paired: bool) -> float:
    terms = relative_terms(x, y, z, paired)
    return abs(value_of(terms)) / spread_of(terms).standard_error


def test_deals_are_the_statistic_of_rows_dealt_out_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    from cmmd_toolkit.estimation import blocks

    x, y, z = gaussian(25, 3, seed=1), gaussian(22, 3, seed=2) + 0.3, gaussian(30, 3, seed=3)
    rows = [MmdReference(x, 2.0, "unbiased", 0).score(own).rows for own in (y, z)]
    monkeypatch.setattr(blocks, "BLOCK", 16)
    found = deals.deal_rows(rows[0][0], rows[0][1].joined(rows[1][1]), 22, 5, seed=4)
    pooled, random = np.concatenate([y, z]), np.random.default_rng(4)
    for ratio in found.ratios:
        first = random.permutation(52) < 22
        assert ratio == pytest.approx(slow_ratio(x, pooled[first], pooled[~first], False), rel=1e-9)


def test_swaps_are_the_statistic_of_pairs_that_change_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    from cmmd_toolkit.estimation import blocks

    x, y = gaussian(25, 3, seed=1), gaussian(40, 3, seed=2) + 0.3
    z = y + gaussian(40, 3, seed=3)
    rows = [MmdReference(x, 2.0, "unbiased", 0).score(own).rows for own in (y, z)]
    monkeypatch.setattr(blocks, "BLOCK", 16)
    found = deals.swap_pairs(rows[0][0], rows[0][1], rows[1][1], 5, seed=4)
    signs = np.random.default_rng(4).choice([-1.0, 1.0], size=(40, 5))
    for ratio, own in zip(found.ratios, signs.T, strict=True):
        kept = own[:, None] > 0
        assert ratio == pytest.approx(slow_ratio(x, np.where(kept, y, z), np.where(kept, z, y), True), rel=1e-9)


def unlike(k: int, n: int, dim: int, shift: float, shared: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A reference and two models that are shifted in different directions: equally far, by symmetry."""
    x, common = gaussian(n, dim, seed=k), gaussian(n, dim, seed=10_000 + k)
    first, second = (
        np.sqrt(shared) * common + np.sqrt(1 - shared) * gaussian(n, dim, seed=seed + k) for seed in (20_000, 30_000)
    )
    first[:, 0] += shift
    second[:, 1] += shift
    return x, first, second


@pytest.mark.parametrize(("paired", "shared"), [(True, 0.9), (False, 0.0)])
@pytest.mark.parametrize(("metric", "dim", "shift"), [("mmd", 16, 0.4), ("mmd", 64, 0.4), ("fd", 8, 0.4)])
def test_models_that_fail_in_different_ways_and_are_equally_far_are_not_told_apart(
    metric: str, dim: int, shift: float, paired: bool, shared: float
) -> None:
    p_values = []
    for k in range(150):
        x, first, second = unlike(k, 80, dim, shift, shared)
        p_values.append(relative_test(reference=x, first=first, second=second, metric=metric, paired=paired).p_value)
    assert np.mean(np.array(p_values) <= 0.05) <= 0.1
    assert np.mean(np.array(p_values) <= 0.01) <= 0.035


@pytest.mark.slow
def test_few_directions_keep_the_level_near_zero_where_t_is_not_normal() -> None:
    tests = [
        relative_test(
            reference=gaussian(80, 2, seed=k),
            first=gaussian(80, 2, seed=1000 + k),
            second=gaussian(80, 2, seed=2000 + k),
        )
        for k in range(300)
    ]
    rejected = np.mean([test.p_value <= 0.05 for test in tests])
    as_normal = np.mean([abs(test.difference) > 1.99 * test.standard_error for test in tests])
    assert as_normal <= 0.015  # what a normal quantile would give away
    assert 0.02 <= rejected <= 0.085
    assert rejected == pytest.approx(
        np.mean([not test.interval[0] <= 0 <= test.interval[1] for test in tests]), abs=0.02
    )


@pytest.mark.parametrize("metric", ["mmd", "fd"])
@pytest.mark.slow
def test_the_interval_of_a_difference_holds_it_where_one_set_is_as_good_as_the_reference(metric: str) -> None:
    draws = [(gaussian(100, 5, seed=k), gaussian(100, 5, seed=700 + k), gaussian(100, 5, seed=1400 + k) + 0.5)
             for k in range(200)]  # fmt: skip
    big = [gaussian(8000, 5, seed=k, shift=shift) for k, shift in ((1, 0.0), (2, 0.0), (3, 0.5))]
    truth = -5 * 0.25
    if metric == "mmd":
        truth = -squared_mmd(reference=big[0], generated=big[2], bandwidth=3.0).value
    tests = [relative_test(reference=x, first=y, second=z, metric=metric, bandwidth=3.0) for x, y, z in draws]
    inside = np.mean([test.interval[0] <= truth <= test.interval[1] for test in tests])
    spread = np.std([test.difference for test in tests])
    assert 0.91 <= inside <= 0.99
    assert np.mean([test.standard_error for test in tests]) == pytest.approx(spread, rel=0.15)


def test_the_error_of_a_difference_is_no_less_than_its_references_part() -> None:
    x, y, z = gaussian(200, 5, seed=1), gaussian(4000, 5, seed=2), gaussian(4000, 5, seed=3) + 0.5
    test = relative_test(reference=x, first=y, second=z, bandwidth=3.0)
    part = np.var(projections(relative_terms(x, y, z, False))["reference"], ddof=1) / 200
    assert test.parameters["reference_variance"] == pytest.approx(part, rel=0.2)
    assert test.standard_error**2 >= test.parameters["reference_variance"] > 0.5 * test.standard_error**2


def test_far_from_zero_no_deals_are_needed_and_large_sets_do_without() -> None:
    x, y, z = gaussian(300, 6, seed=1), gaussian(300, 6, seed=2) + 1.5, gaussian(300, 6, seed=3) + 1.6
    assert relative_test(reference=x, first=y, second=z, bandwidth=3.0).parameters["deals"] == 0
    assert relative_test(reference=x, first=x[::-1] + 0.1, second=y - 1.4).parameters["deals"] == deals.MOST_DEALS
    assert deals.affordable_deals(30_000, 60_000) == 0
    assert deals.LEAST_DEALS <= deals.affordable_deals(8_000, 16_000) < deals.MOST_DEALS


def test_many_sets_are_told_apart_although_deals_are_few() -> None:
    far = {f"far {i}": gaussian(150, 8, seed=10 + i) + 0.6 for i in range(5)}
    near = {f"near {i}": gaussian(150, 8, seed=20 + i) + 0.1 for i in range(5)}
    (order,) = rank(gaussian(150, 8, seed=1) * 1.0, {**near, **far}).orders
    across = [pair for pair in order.pairs if pair.better.split()[0] != pair.worse.split()[0]]
    assert len(across) == 25
    assert max(pair.p_adjusted for pair in across) < 0.05


@pytest.mark.slow
def test_rank_declares_no_difference_among_equal_sets() -> None:
    wrong = 0
    for k in range(40):
        sets = {f"set {i}": gaussian(50, 8, seed=1000 * i + k) for i in range(1, 5)}
        (order,) = rank(gaussian(60, 8, seed=k), sets).orders
        wrong += any(pair.p_adjusted < 0.05 for pair in order.pairs)
    assert wrong <= 6


def test_repeats_in_a_set_make_no_test_surer() -> None:
    x, y, z = gaussian(120, 6, seed=1), gaussian(120, 6, seed=2) + 0.2, gaussian(120, 6, seed=3)
    repeated = np.concatenate([y[:90], y[:30]])
    whole = relative_test(reference=x, first=repeated, second=z, bandwidth=3.0)
    distinct = relative_test(reference=x, first=y[:90], second=z, bandwidth=3.0)
    assert whole.parameters["copies"] is True
    assert whole.p_value >= distinct.p_value
    assert whole.interval[0] <= distinct.interval[0] <= distinct.interval[1] <= whole.interval[1]
