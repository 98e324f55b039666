"""Which of two sets is closer to the reference, and how sure is that?

The difference of two squared MMDs to the same reference x,

    T = mean k(y, y') - mean k(z, z') - 2 mean k(x, y) + 2 mean k(x, z),

is a sum of U-statistics again: the reference's own mean cancels, and what the two estimates share is in the variance
(Bounliphone et al. 2016, arXiv:1511.04581, section 3; here with the pair remainders, see `ustatistics`). When y_i and
z_i come from one seed, T is made of k(y, y') - k(z, z') and k(x, y) - k(x, z), and noise that the seeds share cancels.

The difference of two Frechet distances has the influence functions of both, and their biases are taken off. Its pair
remainders are those of the kernel of `frechet_rows`.

Far from zero T / SE is normal. Where pair remainders make up a part of the variance, p-value and interval come from
deals of the same rows (`deals`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ..common.text import p_phrase
from ..errors import ArgumentError
from ..estimation.frechet_errors import FrechetErrors
from ..estimation.gaussian import GaussianFit
from ..estimation.intervals import LEAST_ROWS, t_quantile, two_sided_p
from ..estimation.kernels import PairedRows, sums_between, sums_within
from ..estimation.ustatistics import (
    Spread,
    Term,
    pair_variance,
    projections,
    spread_of,
    value_of,
    zeta_of_pair,
    zeta_of_set,
)
from ..metrics import frechet
from ..metrics.mmd import Bandwidth, MmdReference, MmdScore, check_one_ruler
from .averages import AnyFrechet
from .deals import Deals, DealtRows, affordable_deals, deal_rows, judged, swap_pairs

_NORMAL = 0.01  # share of the pair remainders in the variance, below which T is taken as normal

Alternative = Literal["two-sided", "first", "second"]


@dataclass(frozen=True)
class RelativeTest:
    """What `relative_test` returns.

    Attributes:
        difference: the first set's distance minus the second's (Frechet distances without their bias); below zero the
            first is closer.
        standard_error, interval: of the difference, 95 %.
        p_value: the chance of a difference at least this large if both are equally close.
        closer: "first" or "second", by the sign of the difference alone; p_value says whether that could be chance.
        paired: whether rows with the same number were treated as sharing a seed.
        parameters: metric, alternative, bandwidth, sample sizes, reference_variance (the reference's part of the
            variance), remainder_share (that of pair remainders), deals (0 where the statistic was treated as normal),
            copies (where sets hold exact ones); JSON-able.
    """

    difference: float
    standard_error: float
    interval: tuple[float, float]
    p_value: float
    closer: Literal["first", "second"]
    paired: bool
    parameters: Mapping[str, Any]

    def __repr__(self) -> str:
        low, high = self.interval
        return f"RelativeTest({self.difference:.4g}, 95 % {low:.4g} to {high:.4g}, {p_phrase(self.p_value)})"

    def verdict(self, alpha: float = 0.05) -> Literal["first", "second", "neither"]:
        """The set that is closer where p_value is below `alpha`, else "neither"."""
        return self.closer if self.p_value < alpha else "neither"


def relative_test(
    *,
    reference: Any,
    first: Any,
    second: Any,
    metric: Literal["mmd", "fd"] = "mmd",
    paired: bool = False,
    alternative: Alternative = "two-sided",
    bandwidth: Bandwidth = "median",
    seed: int = 0,
) -> RelativeTest:
    """Is the first or the second set of features closer to the reference?

    Args:
        reference, first, second: features (N, D), (M, D), (R, D) as array, tensor or `Features`; 20 rows or more.
        metric: "mmd" (squared, unbiased, Gaussian kernel) or "fd" (Frechet distance; at least 50 rows, more than D).
        paired: row i of first and second were made from one seed; M = R then, and the test gains power.
        alternative: "two-sided"; "first": a small p_value says that the first is closer; "second" likewise.
        bandwidth: a number or "median", the median distance of the reference rows, the same for both.
        seed: draws the rows for the median when there are more than 4,000.

    Returns:
        RelativeTest.

    Raises:
        ArgumentError: widths differ, too few rows, NaN or infinity, sets of unequal size when paired.

    Source: Bounliphone et al. 2016 (arXiv:1511.04581), section 3; docs/inference.md has the variance.
    """
    if alternative not in ("two-sided", "first", "second"):
        raise ArgumentError(f"alternative: expected two-sided, first or second, got {alternative!r}")
    if metric == "fd":
        fit = GaussianFit.of(reference, "reference")
        one, two = (
            frechet.score(fit, GaussianFit.of(rows, name)) for rows, name in ((first, "first"), (second, "second"))
        )
        return compare_frechet(one, two, paired=paired, alternative=alternative)
    if metric != "mmd":
        raise ArgumentError(f"metric: expected mmd or fd, got {metric!r}")
    check_one_ruler(bandwidth)
    ruler = MmdReference(reference, bandwidth, "unbiased", seed)
    scores = [ruler.score(rows, name) for rows, name in ((first, "first"), (second, "second"))]
    return compare_mmd(*scores, paired=paired, alternative=alternative)


def compare_mmd(
    first: MmdScore, second: MmdScore, *, paired: bool, alternative: Alternative = "two-sided"
) -> RelativeTest:
    """The relative test from two scores under one kernel; a second pass over it for pairs, and near zero."""
    test = _compare_mmd(first, second, paired, alternative)
    if paired or (first.distinct is None and second.distinct is None):
        return test
    return _covering(test, _compare_mmd(first.distinct or first, second.distinct or second, paired, alternative))


def _compare_mmd(first: MmdScore, second: MmdScore, paired: bool, alternative: Alternative) -> RelativeTest:
    (n, m), (_, r) = first.estimate.counts, second.estimate.counts
    if min(n, m, r) < LEAST_ROWS:
        raise ArgumentError(f"a relative test needs at least {LEAST_ROWS} pictures per set, got {min(n, m, r)}")
    if first.estimate.parameters["bandwidth"] != second.estimate.parameters["bandwidth"]:
        raise ArgumentError("bandwidth: both sets must share one bandwidth; use median or a number")
    terms = _paired_terms(first, second) if paired else _unpaired_terms(first, second)
    facts = {"metric": "mmd", "bandwidth": first.estimate.parameters["bandwidth"]}
    shared = sum(pair_variance(term) for term in terms if term.second)
    facts["reference_variance"] = max(float(np.var(projections(terms)["reference"], ddof=1)) / n - shared, 0.0)
    spread, difference = spread_of(terms), value_of(terms)
    deals = None
    if first.rows is not None and second.rows is not None and spread.remainder_share >= _NORMAL:
        (reference, one), (_, two) = first.rows, second.rows
        deals = _deals(reference, one, two, difference, paired)
    return _tested(difference, spread, deals, (n, m, r), paired, alternative, facts)


def _deals(reference: DealtRows, first: DealtRows, second: DealtRows, difference: float, paired: bool) -> Deals | None:
    """The statistic over deals, None where they would take too long. The closer set comes first, so that the test of
    b and a is that of a and b."""
    first, second = (first, second) if difference < 0 else (second, first)
    m = len(first)
    count = affordable_deals(len(reference), m + len(second))
    if not count:
        return None
    if paired:
        return swap_pairs(reference, first, second, count, seed=0)
    return deal_rows(reference, first.joined(second), m, count, seed=0)


def kept_for_tests(score: MmdScore, paired: bool) -> MmdScore:
    """The score with its rows where a relative test will look at them again, which takes a copy of both sets."""
    n, m = score.estimate.counts
    return score if paired or affordable_deals(n, 2 * m) else score.without_rows()


def _unpaired_terms(first: MmdScore, second: MmdScore) -> list[Term]:
    (_, own, cross), (_, other_own, other_cross) = first.terms, second.terms
    return [
        Term(1.0, own.sums, "first"),
        Term(-1.0, other_own.sums, "second"),
        Term(-2.0, cross.sums, "reference", "first"),
        Term(2.0, other_cross.sums, "reference", "second"),
    ]


def _paired_terms(first: MmdScore, second: MmdScore) -> list[Term]:
    assert first.rows is not None
    assert second.rows is not None
    (reference, one), (_, two) = first.rows, second.rows
    _check_pairs(len(one), len(two))
    pairs = PairedRows(one, two)
    return [
        Term(1.0, sums_within(pairs), "pairs"),
        Term(-2.0, sums_between(pairs, reference), "pairs", "reference"),
    ]


def compare_frechet(
    first: AnyFrechet, second: AnyFrechet, *, paired: bool, alternative: Alternative = "two-sided"
) -> RelativeTest:
    """The relative test from two Frechet distances to one reference."""
    test = _compare_frechet(first, second, paired, alternative)
    if paired or (first.distinct is None and second.distinct is None):
        return test
    return _covering(test, _compare_frechet(first.distinct or first, second.distinct or second, paired, alternative))


def _compare_frechet(first: AnyFrechet, second: AnyFrechet, paired: bool, alternative: Alternative) -> RelativeTest:
    for score, name in ((first, "first"), (second, "second")):
        if score.errors is None:
            raise ArgumentError(f"{name}: {score.estimate.no_error_reason}; use metric mmd")
    one, two = first.errors, second.errors
    assert one is not None
    assert two is not None
    n, m, r = len(one.reference), len(one.generated), len(two.generated)
    (x_one, y_one), (x_two, y_two) = one.without_bias, two.without_bias
    # Var(I_x,1 - I_x,2) / n + Var(I_y) / m + Var(I_z) / r, for pairs minus 2 Cov(I_y, I_z) / m
    reference_variance = float(np.var(x_one - x_two, ddof=1)) / n
    projected = reference_variance + float(y_one.var(ddof=1)) / m + float(y_two.var(ddof=1)) / r
    (_, y_within, y_between), (_, z_within, z_between) = one.remainders, two.remainders
    degenerate = y_within + z_within + y_between + z_between
    if paired:
        _check_pairs(m, r)
        projected -= 2 * float(np.cov(y_one, y_two)[0, 1]) / m
        degenerate = _paired_remainders(one, two, first.unit)
    spread = Spread(max(projected, 0.0), degenerate, degenerate)
    difference = first.estimate.value - one.bias - (second.estimate.value - two.bias)
    deals = None
    if spread.remainder_share >= _NORMAL:
        x = first.rows_to_deal(of_reference=True)
        y, z = (score.rows_to_deal(of_reference=False) for score in (first, second))
        deals = _deals(x, y, z, difference, paired)
    own_variance = max(reference_variance - y_between - z_between, 0.0)
    facts = {"metric": "fd", "reference_variance": own_variance}
    return _tested(difference, spread, deals, (n, m, r), paired, alternative, facts)


def _paired_remainders(first: FrechetErrors, second: FrechetErrors, unit: float) -> float:
    """Variance of the pair remainders of a difference whose rows are pairs."""
    pairs, references = (PairedRows(one, two) for one, two in zip(first.rows[::-1], second.rows[::-1], strict=True))
    n, m = len(first.reference), len(first.generated)
    within = 2 * zeta_of_set(sums_within(pairs)) / (m * (m - 1))
    return unit**2 * (within + 4 * zeta_of_pair(sums_between(pairs, references)) / (n * m))


def _check_pairs(first: int, second: int) -> None:
    if first != second:
        raise ArgumentError(f"paired: expected sets of equal size, got {first} and {second} pictures; test unpaired")


def _covering(test: RelativeTest, distinct: RelativeTest) -> RelativeTest:
    """The test, no surer than either reading of exact copies allows (see `covering_copies`)."""
    interval = min(test.interval[0], distinct.interval[0]), max(test.interval[1], distinct.interval[1])
    error = max(test.standard_error, distinct.standard_error)
    p_value = max(test.p_value, distinct.p_value)
    parameters = {**test.parameters, "copies": True}
    return replace(test, standard_error=error, interval=interval, p_value=p_value, parameters=parameters)


def _tested(
    difference: float,
    spread: Spread,
    deals: Deals | None,
    counts: tuple[int, int, int],
    paired: bool,
    alternative: Alternative,
    facts: Mapping[str, Any],
) -> RelativeTest:
    error, least = spread.standard_error, min(counts)
    p_value, quantile = two_sided_p(difference, error, least), t_quantile(least)
    if deals is not None and error > 0:
        p_value, quantile = judged(deals, abs(difference) / error, spread.remainder_share, p_value, least)
    if alternative != "two-sided":
        as_stated = (difference < 0) == (alternative == "first")
        p_value = p_value / 2 if as_stated else 1 - p_value / 2
    n, m, r = counts
    parameters = {**facts, "alternative": alternative, "n_reference": n, "n_first": m, "n_second": r}
    parameters |= {
        "remainder_share": min(spread.remainder_share, 1.0),
        "deals": 0 if deals is None else len(deals.ratios),
    }
    closer: Literal["first", "second"] = "first" if difference < 0 else "second"
    interval = difference - quantile * error, difference + quantile * error
    return RelativeTest(difference, error, interval, p_value, closer, paired, parameters)
