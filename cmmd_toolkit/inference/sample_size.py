"""How many pictures detect a difference of a given size, with the reference at hand.

A pilot at distance T shows how much of the variance each generated picture brings, and how much the reference's N
pictures bring. For two models at T and T + d the generated part grows with the squared distance, and the reference's
part is the variance of the difference of two witness functions:

    V(n) = (2 + d / T) generated / n + 2 quadratic / n^2 + c reference / N,

    c = (sqrt(1 + d / T) - 1)^2 where both fail in the same way (one witness is sqrt(1 + d / T) times the other),
    c = 2 + d / T               where they fail in different ways (the witnesses are uncorrelated).

A two-sided test at level alpha finds d with the given power when (z_{1 - alpha/2} + z_power)^2 V(n) <= d^2. The last
term does not fall with n: a small reference may leave no n that suffices.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from ..common.arguments import check_alpha, real_number
from ..errors import ArgumentError
from ..estimation.ustatistics import pair_variance, projections
from ..features.matrices import LARGEST, SMALLEST
from ..metrics.frechet import FrechetScore
from ..metrics.mmd import MmdScore
from .relative import RelativeTest

LEAST = 20


@dataclass(frozen=True)
class Pilot:
    """Parts of the variance in squared units of the distance (`reference` divided by N already), and the distance.

    Those of one model, or with `both` of the difference of two.
    """

    generated: float
    reference: float = 0.0
    quadratic: float = 0.0
    distance: float = 0.0
    both: bool = False
    n_reference: int = 0

    def coefficients(self, difference: float, alike: bool) -> tuple[float, float, float]:
        """Those of 1 / n and of 1 / n^2 in V(n), and what does not fall with n."""
        if self.both:
            return self.generated, self.quadratic, self.reference
        growth = 1 + difference / self.distance if self.distance > 0 else 1.0
        constant = (math.sqrt(growth) - 1) ** 2 if alike else 1 + growth
        return (1 + growth) * self.generated, 2 * self.quadratic, constant * self.reference


def images_needed(
    pilot: Pilot, difference: float, *, power: float = 0.8, alpha: float = 0.05, alike: bool = False
) -> int | None:
    """The least n for each generated set, None where the reference is too small for any n.

    `alike` says that both models fail in the same way; of no weight where the pilot is of both.

    Raises ArgumentError: a difference that is not positive, alpha outside (0, 1), power not between alpha and 1.
    """
    if not SMALLEST**2 <= difference <= LARGEST**2:
        expected = f"a finite number > 0, between {SMALLEST**2:g} and {LARGEST**2:g}"
        raise ArgumentError(f"difference: expected {expected}, got {difference}")
    check_power(power, check_alpha(alpha))
    linear, quadratic, constant = pilot.coefficients(difference, alike)
    allowed = _allowed(difference, power, alpha) - constant
    if allowed <= 0:
        return None
    return _least(linear, quadratic, allowed)


def check_power(power: Any, alpha: float) -> float:
    """The power as a number between alpha and 1, or an ArgumentError."""
    chance = real_number(power, "power", "a number between alpha and 1")
    if not alpha < chance < 1:
        raise ArgumentError(f"power: expected a number between alpha ({alpha}) and 1, got {power}")
    return chance


def reference_needed(
    pilot: Pilot, difference: float, *, power: float = 0.8, alpha: float = 0.05, alike: bool = False
) -> int:
    """With how many reference pictures some number of generated ones suffices, by the same variances."""
    constant = pilot.coefficients(difference, alike)[2] * pilot.n_reference
    return math.floor(constant / _allowed(difference, power, alpha)) + 1


def as_many_needed(
    pilot: Pilot, difference: float, *, power: float = 0.8, alpha: float = 0.05, alike: bool = False
) -> int:
    """The least n for each generated set and the reference alike, by the same variances."""
    linear, quadratic, constant = pilot.coefficients(difference, alike)
    linear += constant * pilot.n_reference
    return _least(linear, quadratic, _allowed(difference, power, alpha))


def _least(linear: float, quadratic: float, allowed: float) -> int:
    """The least n with linear / n + quadratic / n^2 <= allowed."""
    return max(LEAST, math.ceil((linear + math.hypot(linear, 2 * math.sqrt(allowed * quadratic))) / (2 * allowed)))


def _allowed(difference: float, power: float, alpha: float) -> float:
    """The variance at which a difference is found with that power."""
    normal = NormalDist()
    return (difference / (normal.inv_cdf(power) - normal.inv_cdf(alpha / 2))) ** 2


def pilot_of_mmd(score: MmdScore) -> Pilot:
    """From the kernel sums of one set. Raises ArgumentError where it is too small."""
    if score.estimate.standard_error is None:
        raise ArgumentError(score.estimate.no_error_reason)
    own_reference, own, cross = score.terms
    n, m = score.estimate.counts
    noise = pair_variance(own_reference) * n * (n - 1), pair_variance(own) * m * (m - 1), pair_variance(cross) * n * m
    # The projections' sample variance counts the pair remainders twice and once (see `ustatistics`).
    parts = projections(score.terms)
    reference = float(np.var(parts["reference"], ddof=1)) - 2 * noise[0] / n - noise[2] / m
    generated = max(float(np.var(parts["generated"], ddof=1)) - 2 * noise[1] / m - noise[2] / n, 0.0)
    value = max(score.estimate.value, score.estimate.standard_error)
    return Pilot(generated + noise[2] / n, max(reference, 0.0) / n, noise[1], value, n_reference=n)


def pilot_of_frechet(score: FrechetScore) -> Pilot:
    """From the influence functions of one set."""
    if score.errors is None:
        raise ArgumentError(f"{score.estimate.no_error_reason}; use metric mmd")
    x, y = score.errors.without_bias
    n, m, degenerate = len(x), len(y), score.errors.spread.degenerate
    generated = max(float(y.var(ddof=1)) - degenerate * m, 0.0)
    reference = max(float(x.var(ddof=1)) - degenerate * n, 0.0)
    value = max(score.estimate.value - score.errors.bias, score.errors.spread.standard_error)
    return Pilot(generated, reference / n, 0.75 * degenerate * m**2, value, n_reference=n)


def pilot_of_error(value: float, standard_error: float, n: int, n_reference: int) -> Pilot:
    """From a stored report, which does not say whose the variance is: all of it counts as the generated set's, and half
    of it as the reference's too."""
    return Pilot(standard_error**2 * n, standard_error**2 / 2, 0.0, max(value, standard_error), False, n_reference)


def pilot_of_test(test: RelativeTest) -> Pilot:
    """These two models, from their relative test."""
    m = min(test.parameters["n_first"], test.parameters["n_second"])
    constant = min(float(test.parameters["reference_variance"]), test.standard_error**2)
    n = int(test.parameters["n_reference"])
    return Pilot((test.standard_error**2 - constant) * m, constant, both=True, n_reference=n)
