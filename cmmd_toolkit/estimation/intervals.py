"""From a variance to a confidence interval, a p-value, or the sentence that says why there is none."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from scipy.special import stdtr, stdtrit

from .estimate import CONFIDENCE, Estimate
from .ustatistics import Term, biased_value_of, distance_interval, spread_of, value_of

BELOW_ZERO = (
    "the interval would lie entirely below zero, which no distance can be: these sets are not independent draws (they "
    "share, copy or reconstruct pictures), or, in one of forty comparisons of equal sets, it is chance"
)
COPIES = "sets hold exact copies: the interval covers both readings of them, as separate draws and as repeats"
LEAST_ROWS = 20  # for a standard error of a kernel distance, see docs/inference.md


def distance_estimate(
    terms: Sequence[Term], n: int, m: int, parameters: Mapping[str, Any], caveats: tuple[str, ...] = ()
) -> Estimate:
    """The unbiased squared distance of `terms` with its standard error and interval, or with why there is none."""
    value, least = value_of(terms), min(n, m)
    bare = Estimate(value, n, m, parameters, caveats, corrected=value)
    if least < LEAST_ROWS:
        return replace(
            bare, no_error_reason=f"{least} pictures are too few for a standard error, which needs {LEAST_ROWS}"
        )
    spread = spread_of(terms)
    interval = distance_interval(value, biased_value_of(terms), spread, t_quantile(least))
    return with_errors(bare, spread.standard_error, interval)


def with_errors(bare: Estimate, standard_error: float, interval: tuple[float, float]) -> Estimate:
    """The estimate with its errors; an interval where no distance can be is replaced by what it means."""
    if interval[1] < 0:
        return replace(bare, standard_error=standard_error, no_error_reason=BELOW_ZERO)
    return replace(bare, standard_error=standard_error, interval=interval)


def covering_copies(estimate: Estimate, distinct: Estimate) -> Estimate:
    """The estimate with an interval that holds whether copies are draws or repeats; `distinct` is without them.

    A generator that makes one picture twice has drawn twice; a file copied by mistake is no second draw. Rows do not
    say which it was.
    """
    if distinct.standard_error is None:
        reason = f"without exact copies too few pictures are left: {distinct.no_error_reason}"
        return replace(estimate, standard_error=None, interval=None, no_error_reason=reason)
    if estimate.standard_error is None:
        return estimate
    both = [found.interval for found in (estimate, distinct) if found.interval is not None]
    error, caveats = max(estimate.standard_error, distinct.standard_error), (*estimate.caveats, COPIES)
    if not both:
        return replace(estimate, standard_error=error, caveats=caveats)
    interval = min(low for low, _ in both), max(high for _, high in both)
    return replace(estimate, standard_error=error, interval=interval, caveats=caveats, no_error_reason=None)


def t_interval(centre: float, standard_error: float, rows: int) -> tuple[float, float]:
    """centre +- t SE at 95 %, with Student's t of rows - 1 degrees of freedom."""
    half = t_quantile(rows) * standard_error
    return centre - half, centre + half


def t_quantile(rows: int) -> float:
    """The upper 2.5 % point of Student's t with rows - 1 degrees of freedom."""
    return float(stdtrit(rows - 1, (1 + CONFIDENCE) / 2))


def two_sided_p(difference: float, standard_error: float, rows: int) -> float:
    """The chance of a difference at least so large either way when there is none."""
    return min(1.0, 2 * one_sided_p(abs(difference), standard_error, rows))


def one_sided_p(difference: float, standard_error: float, rows: int) -> float:
    """The chance of a difference at least so large when the true one is zero or less."""
    if standard_error == 0:
        return 1.0 if difference <= 0 else 0.0
    ratio = difference / standard_error
    return float(stdtr(rows - 1, -ratio)) if math.isfinite(ratio) else 0.0
