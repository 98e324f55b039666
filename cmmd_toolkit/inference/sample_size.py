"""How many pictures tell a difference of a given size.

A pilot at distance T shows how much of the variance each generated picture and each reference picture brings,

    V_T(n) = (generated + reference) / n + quadratic / n^2.

Two models at T and T + d that differ from the reference in the same way: the generated part grows with the squared
distance, the reference's part is that of the difference of two witness functions, one sqrt(1 + d / T) times the other,

    V(n) = [(2 + d / T) generated + (sqrt(1 + d / T) - 1)^2 reference] / n + 2 quadratic / n^2.

A two-sided test at level alpha finds d with the given power when (z_{1 - alpha/2} + z_power)^2 V(n) <= d^2.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from ..errors import ArgumentError
from ..metrics.estimate import Estimate
from ..metrics.frechet import FrechetScore
from ..metrics.mmd import MmdScore
from .relative import RelativeTest
from .ustatistics import pair_variance, projections

LEAST = 20


@dataclass(frozen=True)
class Pilot:
    """Coefficients of the variance in squared units of the distance, and the distance; of two models if `both`."""

    generated: float
    reference: float = 0.0
    quadratic: float = 0.0
    distance: float = 0.0
    both: bool = False

    def variance(self, n: float, difference: float) -> float:
        """V(n) of a difference of two models."""
        linear, quadratic = self.coefficients(difference)
        return linear / n + quadratic / n**2

    def coefficients(self, difference: float) -> tuple[float, float]:
        """Those of 1 / n and of 1 / n^2."""
        if self.both:
            return self.generated + self.reference, self.quadratic
        growth = 1 + difference / self.distance if self.distance > 0 else 1.0
        linear = (1 + growth) * self.generated + (math.sqrt(growth) - 1) ** 2 * self.reference
        return linear, 2 * self.quadratic


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
    linear, quadratic = pilot.coefficients(difference)
    root = (linear + math.sqrt(linear**2 + 4 * allowed * quadratic)) / (2 * allowed)
    return max(LEAST, math.ceil(root))


def pilot_of_mmd(score: MmdScore) -> Pilot:
    """From the kernel sums of one set."""
    own_reference, own, cross = score.terms
    n, m = score.estimate.n_reference, score.estimate.n_generated
    assert n is not None
    assert m is not None
    noise = pair_variance(own_reference) * n * (n - 1), pair_variance(own) * m * (m - 1), pair_variance(cross) * n * m
    # The projections' sample variance counts the pair remainders twice and once (see `ustatistics`).
    parts = projections(score.terms)
    reference = float(np.var(parts["reference"], ddof=1)) - 2 * noise[0] / n - noise[2] / m
    generated = float(np.var(parts["generated"], ddof=1)) - 2 * noise[1] / m - noise[2] / n
    return Pilot(max(generated, 0.0), max(reference, 0.0), noise[1] + noise[2], _distance(score.estimate))


def pilot_of_frechet(score: FrechetScore) -> Pilot:
    """From the influence functions of one set."""
    if score.errors is None:
        raise ArgumentError(f"{score.estimate.caveats[-1]}; take metric mmd")
    n, m = len(score.errors.reference), len(score.errors.generated)
    degenerate = score.errors.spread.degenerate
    generated = max(float(score.errors.generated.var(ddof=1)) - degenerate * m, 0.0)
    reference = max(float(score.errors.reference.var(ddof=1)) - degenerate * n, 0.0)
    value = max(score.estimate.value - score.errors.bias, score.errors.spread.standard_error)
    return Pilot(generated, reference, 0.75 * degenerate * m**2, value)


def pilot_of_error(value: float, standard_error: float, n: int) -> Pilot:
    """From a stored report: all of the variance counts as the generated set's."""
    return Pilot(standard_error**2 * n, distance=max(value, standard_error))


def pilot_of_test(test: RelativeTest) -> Pilot:
    """These two models, from their relative test: all of its variance shrinks with n."""
    m, r = test.parameters["n_first"], test.parameters["n_second"]
    return Pilot(test.standard_error**2 * min(m, r), both=True)


def _distance(estimate: Estimate) -> float:
    """The value, or its noise where it is no larger."""
    return max(estimate.value, estimate.standard_error or 0.0)
