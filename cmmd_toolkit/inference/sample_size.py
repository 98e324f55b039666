"""How many pictures tell a difference of a given size.

The variance of a difference of two distances to one reference, with n pictures in each generated set,

    V(n) = linear / n + quadratic / n^2,

is read off a pilot. A two-sided test at level alpha finds a difference d with the given power when
(z_{1 - alpha/2} + z_power)^2 V(n) <= d^2.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from ..errors import ArgumentError
from ..metrics.frechet import FrechetScore
from ..metrics.kernels import Between, Within
from ..metrics.mmd import MmdScore
from .relative import RelativeTest
from .ustatistics import pair_variance, projections

LEAST = 20


@dataclass(frozen=True)
class Pilot:
    """Coefficients of V(n), in squared units of the distance."""

    linear: float
    quadratic: float = 0.0

    def variance(self, n: float) -> float:
        """V(n)."""
        return self.linear / n + self.quadratic / n**2


def images_needed(pilot: Pilot, difference: float, *, power: float = 0.8, alpha: float = 0.05) -> int:
    """The least n for each generated set.

    Raises ArgumentError: a difference that is not positive, power or alpha outside (0, 1).
    """
    if not (math.isfinite(difference) and difference > 0):
        raise ArgumentError(f"difference: expected a finite number > 0, got {difference}")
    for name, value in (("power", power), ("alpha", alpha)):
        if not 0 < value < 1:
            raise ArgumentError(f"{name}: expected a number between 0 and 1, got {value}")
    normal = NormalDist()
    allowed = (difference / (normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power))) ** 2
    root = (pilot.linear + math.sqrt(pilot.linear**2 + 4 * allowed * pilot.quadratic)) / (2 * allowed)
    return max(LEAST, math.ceil(root))


def pilot_of_mmd(score: MmdScore) -> Pilot:
    """Two models like this one: the reference's part of the difference is taken as zero, since both resemble it."""
    _, own, cross = score.terms
    assert isinstance(own.sums, Within)
    assert isinstance(cross.sums, Between)
    n, m = len(cross.sums.row_sums), len(cross.sums.column_sums)
    within, between = pair_variance(own) * m * (m - 1), pair_variance(cross) * n * m
    # The projections' sample variance counts the pair remainders twice and once (see `ustatistics`).
    excess = 2 * within / m + between / n
    linear = max(float(np.var(projections(score.terms)["generated"], ddof=1)) - excess, 0.0)
    return Pilot(2 * (linear + between / n), 2 * within)


def pilot_of_frechet(score: FrechetScore) -> Pilot:
    """Two models like this one, by their influence functions."""
    if score.errors is None:
        raise ArgumentError(f"{score.estimate.caveats[-1]}; take metric mmd")
    m, degenerate = len(score.errors.generated), score.errors.spread.degenerate
    linear = max(float(score.errors.generated.var(ddof=1)) - degenerate * m, 0.0)
    return Pilot(2 * linear, 1.5 * degenerate * m**2)


def pilot_of_error(standard_error: float, n: int) -> Pilot:
    """Two models with this standard error at n pictures, from a stored report: all of it counts as the models'."""
    return Pilot(2 * standard_error**2 * n)


def pilot_of_test(test: RelativeTest) -> Pilot:
    """These two models, from their relative test: its whole variance shrinks with n, and the reference's with it."""
    m, r = test.parameters["n_first"], test.parameters["n_second"]
    return Pilot(test.standard_error**2 * min(m, r))
