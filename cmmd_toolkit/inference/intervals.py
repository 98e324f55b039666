"""From a variance to a confidence interval, a p-value, or the sentence that says why there is none."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from scipy.special import stdtr, stdtrit

from ..metrics.estimate import CONFIDENCE, Estimate
from .ustatistics import Term, biased_value_of, distance_interval, spread_of, value_of

LEAST_ROWS = 20  # for a standard error of a kernel distance, see docs/inference.md


def distance_estimate(
    terms: Sequence[Term], n: int, m: int, parameters: Mapping[str, Any], caveats: tuple[str, ...] = ()
) -> Estimate:
    """The unbiased squared distance of `terms` with its standard error and interval, or with why there is none."""
    value, least = value_of(terms), min(n, m)
    bare = Estimate(value, n, m, parameters, caveats, corrected=value)
    if least < LEAST_ROWS:
        return replace(bare, no_error_reason=f"{least} pictures are too few for an error, {LEAST_ROWS} are the least")
    spread = spread_of(terms)
    interval = distance_interval(value, biased_value_of(terms), spread, t_quantile(least))
    return replace(bare, standard_error=spread.standard_error, interval=interval)


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
