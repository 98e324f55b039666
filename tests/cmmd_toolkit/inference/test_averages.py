"""Laws of averages over backbones, of the tests on every backbone, and of the correction by the largest statistic."""

from typing import Any

import numpy as np
import pytest
from pictures import gaussian
from scipy.stats import norm

from cmmd_toolkit import squared_mmd
from cmmd_toolkit.estimation.gaussian import GaussianFit
from cmmd_toolkit.estimation.groups import holm
from cmmd_toolkit.estimation.kernels import sums_between, sums_within
from cmmd_toolkit.estimation.largest import adjusted_by_largest
from cmmd_toolkit.inference.averages import Averages, covariance_of, spread_of_reference
from cmmd_toolkit.inference.everywhere import every_tests
from cmmd_toolkit.inference.ordering import PairTest, order_sets
from cmmd_toolkit.inference.relative import compare_frechet, compare_mmd
from cmmd_toolkit.metrics import frechet
from cmmd_toolkit.metrics.mmd import MmdReference, MmdScore

WEIGHTS = (0.7, 1.9)


def views(rows: np.ndarray) -> list[np.ndarray]:
    """Two backbones: some of the columns, and waves of others."""
    return [rows[:, :4], np.tanh(2 * rows[:, 2:])]


def scores_of(metric: str, x: np.ndarray, *others: np.ndarray) -> list[list[Any]]:
    """By backbone, then by set."""
    found: list[list[Any]] = []
    for own, *rest in zip(*(views(rows) for rows in (x, *others)), strict=True):
        if metric == "fd":
            fit = GaussianFit.of(own, "reference")
            found.append([frechet.score(fit, GaussianFit.of(rows, "generated")) for rows in rest])
        else:
            ruler = MmdReference(own, "median", "unbiased", 0)
            found.append([ruler.score(rows) for rows in rest])
    return found


def averaged(metric: str, *rows: np.ndarray, weights: tuple[float, ...] = WEIGHTS) -> list[Any]:
    scores = scores_of(metric, *rows)
    averages = Averages(weights)
    return [averages.of([own[i] for own in scores]) for i in range(len(rows) - 1)]


def three(n: int = 90) -> tuple[np.ndarray, ...]:
    return gaussian(n, 7, seed=1), gaussian(n, 7, seed=2) + 0.3, gaussian(n, 7, seed=3) + 0.45


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("metric", ["mmd", "fd"])
def test_the_average_of_one_backbone_is_that_backbone(metric: str, paired: bool) -> None:
    scores = scores_of(metric, *three())[0]
    averages = Averages([1.0])
    alone = [averages.of([score]) for score in scores]
    compare = compare_frechet if metric == "fd" else compare_mmd
    one, other = compare(*alone, paired=paired), compare(*scores, paired=paired)
    tolerance = {"mmd": 1e-12, "fd": 1e-5}[metric]  # whose remainders are in float32
    assert one.difference == pytest.approx(other.difference, rel=1e-9)
    assert one.standard_error == pytest.approx(other.standard_error, rel=tolerance)
    assert one.p_value == pytest.approx(other.p_value, abs=tolerance)
    for own, score in zip(alone, scores, strict=True):
        assert own.estimate.value == pytest.approx(score.estimate.value, rel=1e-12)
        assert own.estimate.interval == pytest.approx(score.estimate.interval, rel=1e-3)


@pytest.mark.parametrize("metric", ["mmd", "fd"])
def test_an_average_is_the_weighted_sum(metric: str) -> None:
    scores, found = scores_of(metric, *three()), averaged(metric, *three())
    for i, own in enumerate(found):
        expected = sum(w * by[i].estimate.corrected for w, by in zip(WEIGHTS, scores, strict=True))
        assert own.estimate.corrected == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("metric", ["mmd", "fd"])
def test_its_standard_error_knows_what_backbones_share(metric: str) -> None:
    values, errors, apart = [], [], []
    for k in range(60):
        x, y = gaussian(150, 7, seed=k), 1.2 * gaussian(150, 7, seed=500 + k) + 0.4
        (own,) = averaged(metric, x, y)
        values.append(own.estimate.corrected)
        errors.append(own.estimate.standard_error)
        single = [by[0].estimate.standard_error for by in scores_of(metric, x, y)]
        apart.append(np.hypot(*np.multiply(WEIGHTS, single)))
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.25)
    assert np.mean(errors) > 1.05 * np.mean(apart)  # as if backbones saw other pictures


def test_the_average_of_one_backbone_twice_is_that_backbone() -> None:
    x, y, z = three()
    ruler = MmdReference(x, "median", "unbiased", 0)
    single = [ruler.score(rows) for rows in (y, z)]
    averages = Averages([0.25, 0.75])
    twice = [averages.of([score, score]) for score in single]
    one, other = compare_mmd(*single, paired=False), compare_mmd(*twice, paired=False)
    assert other.p_value == one.p_value
    assert other.standard_error == pytest.approx(one.standard_error, rel=1e-9)


def test_units_of_a_backbone_do_not_matter() -> None:
    found = []
    for factor in (1.0, 1000.0):
        scores = []
        for k, (own, *rest) in enumerate(zip(*(views(rows) for rows in three()), strict=True)):
            unit = factor if k else 1.0
            fit = GaussianFit.of(own * unit, "reference")
            scores.append([frechet.score(fit, GaussianFit.of(rows * unit, "generated")) for rows in rest])
        averages = Averages([1 / (2 * spread_of_reference(own[0])) for own in scores])
        found.append(compare_frechet(*(averages.of([own[i] for own in scores]) for i in (0, 1)), paired=False))
    assert found[0].difference == pytest.approx(found[1].difference, rel=1e-6)
    assert found[0].standard_error == pytest.approx(found[1].standard_error, rel=1e-4)


def test_the_spread_of_a_reference_is_what_one_picture_again_and_again_scores() -> None:
    x = gaussian(300, 5)
    scores = []
    for row in x[:60]:
        biased = squared_mmd(reference=x, generated=np.repeat(row[None], 300, axis=0), estimator="biased")
        scores.append(biased.value)
    spread = spread_of_reference(MmdReference(x, "median", "unbiased", 0).score(gaussian(20, 5)))
    assert spread == pytest.approx(np.mean(scores), rel=0.1)


@pytest.mark.parametrize("copies", [0, 5])
def test_rows_that_are_scaled_when_they_are_looked_at_give_the_same_average(copies: int) -> None:
    x, y, z = (np.concatenate([rows, rows[:copies]]) for rows in three())
    held, streamed = [], []
    for own, *rest in zip(*(views(rows) for rows in (x, y, z)), strict=True):
        ruler = MmdReference(own, "median", "unbiased", 0)
        scores = [ruler.score(rows) for rows in rest]
        held.append(scores)
        streamed.append([ruler.streamed(score, rows) for score, rows in zip(scores, rest, strict=True)])
    one, other = (
        compare_mmd(*(_average(averages, [own[i] for own in by]) for i in (0, 1)), paired=False)
        for averages, by in ((Averages(WEIGHTS), held), (Averages(WEIGHTS), streamed))
    )
    assert (one.difference, one.standard_error, one.p_value) == (other.difference, other.standard_error, other.p_value)


def _average(averages: Averages, scores: list[MmdScore]) -> MmdScore:
    """With its reading without copies, where there are any."""
    distinct = [score.distinct for score in scores if score.distinct is not None]
    average = averages.of(scores, distinct or None)
    assert isinstance(average, MmdScore)
    return average


def test_summed_rows_have_the_same_sums_on_a_device() -> None:
    from cmmd_toolkit.estimation.device_sums import between_on, within_on

    (average,) = averaged("mmd", *three()[:2])
    x, y = average.rows
    here, there = sums_within(x), within_on("cpu", x)
    np.testing.assert_allclose(there[1], here.row_sums, rtol=1e-9)
    np.testing.assert_allclose(there[0], [here.total, here.squares], rtol=1e-9)
    across, beyond = sums_between(x, y), between_on("cpu", x, y)
    np.testing.assert_allclose(beyond[2], across.column_sums, rtol=1e-9)


def test_models_that_fail_before_different_backbones_and_are_equally_far_are_not_told_apart() -> None:
    """One is shifted where the first backbone looks, one where the second does."""
    p_values = []
    for k in range(100):
        x, y, z = (gaussian(60, 8, seed=seed + k) for seed in (0, 10_000, 20_000))
        y[:, 0] += 0.6
        z[:, 4] += 0.6
        scores = []
        for half in (slice(0, 4), slice(4, 8)):
            ruler = MmdReference(x[:, half], "median", "unbiased", 0)
            scores.append([ruler.score(rows[:, half]) for rows in (y, z)])
        averages = Averages([1 / (2 * spread_of_reference(own[0])) for own in scores])
        p_values.append(compare_mmd(*(averages.of([own[i] for own in scores]) for i in (0, 1)), paired=False).p_value)
    assert np.mean(np.array(p_values) <= 0.05) <= 0.1


def equal_correlation(count: int, rho: float) -> np.ndarray:
    return np.full((count, count), rho) + (1 - rho) * np.eye(count)


def test_a_single_pair_keeps_its_p_value_and_no_pair_gets_more_than_by_holm() -> None:
    assert adjusted_by_largest({(0, 1): 0.031}, np.eye(2)) == {(0, 1): 0.031}
    random = np.random.default_rng(0)
    for count in (3, 4, 6):
        pairs = [(i, j) for i in range(count) for j in range(i + 1, count)]
        p_values = dict(zip(pairs, random.random(len(pairs)) ** 2, strict=True))
        root = random.standard_normal((count, count))
        found, by_rule = adjusted_by_largest(p_values, root @ root.T), holm(p_values)
        assert all(p_values[pair] <= found[pair] <= by_rule[pair] for pair in pairs)
        ordered = sorted(pairs, key=lambda pair: p_values[pair])
        assert [found[pair] for pair in ordered] == sorted(found.values())
        assert found == adjusted_by_largest(p_values, 9 * (root @ root.T))


def test_the_first_step_is_the_range_of_normal_variables() -> None:
    """Three sets alike: the largest of the three |Z| is Tukey's range over sqrt(2)."""
    from scipy.stats import studentized_range

    limit = studentized_range.ppf(0.95, 3, 1e5) / np.sqrt(2)
    p = float(2 * norm.sf(limit))
    found = adjusted_by_largest({(0, 1): p, (0, 2): 0.5, (1, 2): 0.6}, equal_correlation(3, 0.4))
    assert found[0, 1] == pytest.approx(0.05, abs=0.003)
    assert holm({(0, 1): p, (0, 2): 0.5, (1, 2): 0.6})[0, 1] > 0.055


def test_the_covariance_is_that_of_the_tests() -> None:
    found = averaged("mmd", *three(400))
    covariance = covariance_of(found, paired=False)
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    assert np.sqrt(variance) == pytest.approx(compare_mmd(*found, paired=False).standard_error, rel=0.1)
    assert isinstance(found[0], MmdScore)


def pair(better: str, worse: str, p_value: float) -> PairTest:
    return PairTest(better, worse, -1.0, 1.0, (-3.0, 1.0), p_value, min(1.0, 3 * p_value), True, None, 50)


def test_closer_on_every_backbone_has_the_largest_p_value_and_needs_agreement() -> None:
    one = [pair("a", "b", 0.01), pair("a", "c", 0.2), pair("b", "c", 0.001)]
    two = [pair("a", "b", 0.02), pair("a", "c", 0.001), pair("c", "b", 0.001)]
    first, second, third = every_tests([("a", "b"), ("a", "c"), ("b", "c")], [one, two])
    assert (first.agree, first.p_value, first.p_adjusted) == (True, 0.02, pytest.approx(0.06))
    assert (second.agree, second.p_value, second.p_adjusted) == (True, 0.2, pytest.approx(0.4))
    assert (third.agree, third.p_value, third.p_adjusted) == (False, 1.0, 1.0)
    alone = every_tests([("a", "b")], [[pair("a", "b", 0.03)]])
    assert alone[0].p_adjusted == 0.03


def test_sets_in_order_of_the_average_find_more_pairs_than_holm() -> None:
    rows = [gaussian(60, 7, seed=10 + k) + shift for k, shift in enumerate((0.0, 0.0, 0.2, 0.3, 0.45))]
    found = averaged("mmd", *rows)
    names = ["a", "b", "c", "d"]
    by_largest = order_sets(names, found, alpha=0.05, covariance=covariance_of(found, paired=False))
    by_rule = order_sets(names, found, alpha=0.05)
    for one, other in zip(by_largest.pairs, by_rule.pairs, strict=True):
        assert (one.better, one.worse, one.p_value) == (other.better, other.worse, other.p_value)
        assert one.p_adjusted <= other.p_adjusted
    assert any(one.p_adjusted < other.p_adjusted for one, other in zip(by_largest.pairs, by_rule.pairs, strict=True))
