"""Which of two sets is closer to the reference, and how sure is that?

The difference of two squared MMDs to the same reference x,

    T = mean k(y, y') - mean k(z, z') - 2 mean k(x, y) + 2 mean k(x, z),

is a sum of U-statistics again: the reference's own mean cancels, and what the two estimates share is in the variance
(Bounliphone et al. 2016, arXiv:1511.04581, section 3; here with the pair remainders, see `ustatistics`). When y_i and
z_i come from one seed, T is made of k(y, y') - k(z, z') and k(x, y) - k(x, z), and noise that the seeds share cancels.

The difference of two Frechet distances has the influence functions of both, and their biases are taken off.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..errors import ArgumentError
from ..metrics import frechet
from ..metrics.frechet import FrechetScore
from ..metrics.gaussian import GaussianFit
from ..metrics.kernels import PairedRows, sums_between, sums_within
from ..metrics.mmd import Bandwidth, MmdReference, MmdScore
from .intervals import LEAST_ROWS, one_sided_p, t_interval, two_sided_p
from .ustatistics import Spread, Term, projections, spread_of, value_of

Alternative = Literal["two-sided", "first", "second"]


@dataclass(frozen=True)
class RelativeTest:
    """What `relative_test` returns.

    Attributes:
        difference: the first set's distance less the second's (Frechet distances without their bias); below zero the
            first is closer.
        standard_error, interval: of the difference, 95 %.
        p_value: the chance of a difference at least so large when both are equally close.
        closer: "first" or "second", by the sign of the difference.
        paired: whether rows with the same number were taken to share a seed.
        parameters: metric, alternative, bandwidth, sample sizes, and the reference's share of the variance, JSON-able.
    """

    difference: float
    standard_error: float
    interval: tuple[float, float]
    p_value: float
    closer: Literal["first", "second"]
    paired: bool
    parameters: Mapping[str, Any]


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
        bandwidth: a number or "median", the median distance of the reference rows, one ruler for both.
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
    if bandwidth == "median-pooled":
        raise ArgumentError("bandwidth: expected a number or median, since both sets need one ruler; leave it out")
    ruler = MmdReference(reference, bandwidth, "unbiased", seed)
    scores = [ruler.score(rows, name) for rows, name in ((first, "first"), (second, "second"))]
    return compare_mmd(*scores, paired=paired, alternative=alternative)


def compare_mmd(
    first: MmdScore, second: MmdScore, *, paired: bool, alternative: Alternative = "two-sided"
) -> RelativeTest:
    """The relative test from two scores under one kernel; a second pass over the kernel only when paired."""
    n, m, r = first.estimate.n_reference, first.estimate.n_generated, second.estimate.n_generated
    assert n is not None
    assert m is not None
    assert r is not None
    if min(n, m, r) < LEAST_ROWS:
        raise ArgumentError(f"a relative test needs at least {LEAST_ROWS} pictures a set, got {min(n, m, r)}")
    if first.estimate.parameters["bandwidth"] != second.estimate.parameters["bandwidth"]:
        raise ArgumentError("bandwidth: both sets need one ruler; take median or a number")
    terms = _paired_terms(first, second) if paired else _unpaired_terms(first, second)
    reference_variance = float(np.var(projections(terms)["reference"], ddof=1)) / n
    facts = {"metric": "mmd", "bandwidth": first.estimate.parameters["bandwidth"]}
    facts["reference_variance"] = reference_variance
    evidence = min(_evidence(value_of(score.terms), spread_of(score.terms)) for score in (first, second))
    error = spread_of(terms).error_of_difference(evidence)
    return _tested(value_of(terms), error, (n, m, r), paired, alternative, facts)


def _evidence(value: float, spread: Spread) -> float:
    """A squared distance in units of its noise when there is none."""
    return max(value, 0.0) / float(np.sqrt(spread.degenerate)) if spread.degenerate > 0 else float("inf")


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
    first: FrechetScore, second: FrechetScore, *, paired: bool, alternative: Alternative = "two-sided"
) -> RelativeTest:
    """The relative test from two Frechet distances to one reference."""
    for score, name in ((first, "first"), (second, "second")):
        if score.errors is None:
            raise ArgumentError(f"{name}: {score.estimate.no_error_reason}; take metric mmd")
    one, two = first.errors, second.errors
    assert one is not None
    assert two is not None
    n, m, r = len(one.reference), len(one.generated), len(two.generated)
    (x_one, y_one), (x_two, y_two) = one.without_bias, two.without_bias
    reference_variance = float(np.var(x_one - x_two, ddof=1)) / n
    projected = reference_variance + float(y_one.var(ddof=1)) / m + float(y_two.var(ddof=1)) / r
    # Two quadratic remainders that share the reference's noise: three quarters of their sum, for equal sizes.
    degenerate = 0.75 * (one.spread.degenerate + two.spread.degenerate)
    if paired:
        _check_pairs(m, r)
        projected -= 2 * float(np.cov(y_one, y_two)[0, 1]) / m
        rho = _row_correlation(first.generated, second.generated)
        degenerate *= (1 - rho) * (1 + rho / 3)
    values = (first.estimate.value - one.bias, second.estimate.value - two.bias)
    evidence = min(_evidence(value, errors.spread) for value, errors in zip(values, (one, two), strict=True))
    error = Spread(max(projected, 0.0), degenerate, degenerate).error_of_difference(evidence)
    facts = {"metric": "fd", "reference_variance": reference_variance}
    return _tested(values[0] - values[1], error, (n, m, r), paired, alternative, facts)


def _row_correlation(first: GaussianFit, second: GaussianFit) -> float:
    """Correlation of paired rows over all dimensions, 0 to 1."""
    shared = sum(float((a * b).sum()) for a, b in zip(first.centred_chunks(), second.centred_chunks(), strict=True))
    return min(max(shared / float(np.sqrt(first.trace * second.trace)), 0.0), 1.0)


def _check_pairs(first: int, second: int) -> None:
    if first != second:
        raise ArgumentError(f"paired: expected sets of equal size, got {first} and {second} pictures; test unpaired")


def _tested(
    difference: float,
    error: float,
    counts: tuple[int, int, int],
    paired: bool,
    alternative: Alternative,
    facts: Mapping[str, Any],
) -> RelativeTest:
    least = min(counts)
    if alternative == "two-sided":
        p_value = two_sided_p(difference, error, least)
    else:
        p_value = one_sided_p(-difference if alternative == "first" else difference, error, least)
    n, m, r = counts
    parameters = {**facts, "alternative": alternative, "n_reference": n, "n_first": m, "n_second": r}
    closer: Literal["first", "second"] = "first" if difference < 0 else "second"
    interval = t_interval(difference, error, least)
    return RelativeTest(difference, error, interval, p_value, closer, paired, parameters)
