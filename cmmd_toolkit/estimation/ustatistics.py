"""Variance of sums of U-statistics of a kernel, in closed form from row sums and sums of squares.

A squared MMD, a kernel inception distance and a difference of two of them are all

    T = sum_w c_w mean_{i != j} k_w(a_i, a_j)  +  sum_b c_b mean_{ij} k_b(a_i, b_j)

over sets of independent rows. The Hoeffding decomposition splits each kernel mean into one function of a single row
and a remainder of a pair, all of them uncorrelated. With p_s the sum of the single-row functions of set s and zeta the
variance of a remainder,

    Var T = sum_s Var(p_s) / n_s  +  sum_w 2 c_w^2 zeta_w / (n (n - 1))  +  sum_b c_b^2 zeta_b / (n m)

exactly (Serfling 1980, section 5.2). The second and third sums are all that is left when the sets are equal (the
degenerate regime), where the first is zero. Every part is estimated without bias: the sample variance of the
projections exceeds Var(p_s) by a known multiple of the zetas, which is taken off again. For one MMD, Bounliphone et al.
2016 (arXiv:1511.04581), eq. 9, have the first sum.

Near the degenerate regime the first sum grows with T itself, so T +- 2 SE misses a small T from above. The interval of
a squared distance therefore asks which T_0 fit: (T - T_0)^2 <= t^2 (V_d + kappa T_0), with V_d the last two sums and
kappa the first sum for each unit of T (as Wilson's interval does for a proportion).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .kernels import Between, Vector, Within


@dataclass(frozen=True, eq=False)
class Term:
    """coefficient x the mean of a kernel: within `first`, or between `first` (rows) and `second` (columns)."""

    coefficient: float
    sums: Within | Between
    first: str
    second: str = ""


def value_of(terms: Sequence[Term]) -> float:
    """T."""
    return sum(term.coefficient * term.sums.mean for term in terms)


@dataclass(frozen=True)
class Spread:
    """Variance of T: `projected` as the projections give it, `excess` of that, and the `degenerate` part."""

    projected: float
    excess: float
    degenerate: float

    @property
    def standard_error(self) -> float:
        """The standard deviation of T."""
        return float(standard_error_of(self.projected, self.excess, self.degenerate))

    @property
    def remainder_share(self) -> float:
        """The pair remainders' part of the variance: 1 in the degenerate regime, 0 where T is as good as normal."""
        return self.degenerate / self.standard_error**2 if self.standard_error > 0 else 0.0


def standard_error_of(projected: Any, excess: Any, degenerate: Any) -> Any:
    """Of numbers or arrays. The floor makes up for what the unbiased variance loses below zero."""
    return np.sqrt(np.maximum(projected - excess, degenerate / 2))


def spread_of(terms: Sequence[Term]) -> Spread:
    """The variance of T over draws of all sets, each of at least four rows."""
    projected = sum(float(np.var(rows, ddof=1)) / len(rows) for rows in projections(terms).values())
    excess, degenerate = _pair_remainders(terms)
    return Spread(projected, excess, degenerate)


def distance_interval(value: float, biased: float, spread: Spread, quantile: float) -> tuple[float, float]:
    """All T_0 >= 0 that fit, and below zero as far as noise alone reaches; `biased` is T with its bias left in.

    Wholly below zero where T is less than noise can make it: such sets are not independent draws.
    """
    noise = quantile * float(np.sqrt(spread.degenerate))
    if value + noise < 0:
        return value - noise, value + noise
    kappa = _variance_per_unit(value, biased, spread)
    centre = value + quantile**2 * kappa / 2
    half = quantile * float(np.sqrt(max(spread.degenerate + kappa * (value + quantile**2 * kappa / 4), 0.0)))
    low, high = centre - half, centre + half
    return (low if low >= 0 else value - noise), max(high, value + noise)


def _variance_per_unit(value: float, biased: float, spread: Spread) -> float:
    """kappa. Far from zero the unbiased variance over the value; near zero, where that ratio is noise over noise, the
    raw variance over the biased value, both of which stay away from zero."""
    near = spread.projected / biased if biased > 0 else 0.0
    first_sum = max(spread.projected - spread.excess - spread.degenerate, 0.0)
    if value <= 0 or first_sum == 0.0:
        return near
    weight = value**2 / (value**2 + spread.degenerate)
    return weight * first_sum / value + (1 - weight) * near


def biased_value_of(terms: Sequence[Term]) -> float:
    """T with the diagonals counted."""
    return sum(
        term.coefficient * (sums.total + sums.diagonal) / len(sums.row_sums) ** 2
        if isinstance(sums := term.sums, Within)
        else term.coefficient * sums.mean
        for term in terms
    )


def projections(terms: Sequence[Term]) -> Mapping[str, Vector]:
    """For each set the estimated single-row function at its rows, up to a constant."""
    found: dict[str, Vector] = {}
    for term in terms:
        for name, part in _parts(term):
            found[name] = found.get(name, 0.0) + term.coefficient * part
    return found


def _parts(term: Term) -> list[tuple[str, Vector]]:
    sums = term.sums
    if isinstance(sums, Within):
        return [(term.first, 2 * sums.row_sums / (len(sums.row_sums) - 2))]
    n, m = len(sums.row_sums), len(sums.column_sums)
    return [(term.first, sums.row_sums / m), (term.second, sums.column_sums / n)]


def _pair_remainders(terms: Sequence[Term]) -> tuple[float, float]:
    """By how much they raise the variance of the projections, and their own part in the variance of T."""
    excess = degenerate = 0.0
    for term in terms:
        own = pair_variance(term)
        if isinstance(term.sums, Within):
            n = len(term.sums.row_sums)
            excess += own * (2 * (n - 1) / (n - 2) - 1)
        else:
            excess += own
        degenerate += own
    return excess, degenerate


def pair_variance(term: Term) -> float:
    """The pair remainder's part in the variance of T."""
    square = term.coefficient**2
    if isinstance(term.sums, Within):
        n = len(term.sums.row_sums)
        return 2 * square * zeta_of_set(term.sums) / (n * (n - 1))
    return square * zeta_of_pair(term.sums) / (len(term.sums.row_sums) * len(term.sums.column_sums))


def zeta_of_set(sums: Within) -> float:
    """`zeta_within` of a kernel's sums."""
    n = len(sums.row_sums)
    rows = sums.row_sums - sums.total / n  # of the kernel less its mean: no variance changes, and no digits cancel
    return float(zeta_within(n, sums.squares - sums.total**2 / (n * (n - 1)), float(rows @ rows)))


def zeta_of_pair(sums: Between) -> float:
    """`zeta_between` of a kernel's sums."""
    n, m = len(sums.row_sums), len(sums.column_sums)
    mean = sums.total / (n * m)
    rows, columns = sums.row_sums - m * mean, sums.column_sums - n * mean
    squares = sums.squares - n * m * mean**2
    return float(zeta_between(n, m, squares, float(rows @ rows), float(columns @ columns)))


def zeta_within(n: int, squares: Any, row_squares: Any) -> Any:
    """E k(1,2)^2 - 2 E k(1,2) k(1,3) + E k(1,2) k(3,4), each over distinct rows of a set, or 0 where that is below.

    From the sums over a kernel whose mean over pairs is zero: `squares` of all pairs, `row_squares` of the row sums.
    Numbers, or arrays of one number a deal.
    """
    pairs = squares / (n * (n - 1))
    chains = (row_squares - squares) / (n * (n - 1) * (n - 2))
    apart = (2 * squares - 4 * row_squares) / (n * (n - 1) * (n - 2) * (n - 3))
    return np.maximum(pairs - 2 * chains + apart, 0.0)


def zeta_between(n: int, m: int, squares: Any, row_squares: Any, column_squares: Any) -> Any:
    """E k(x,y)^2 - E k(x,y) k(x,y') - E k(x,y) k(x',y) + E k(x,y) k(x',y'), each over distinct rows; as above."""
    pairs = squares / (n * m)
    by_row = (row_squares - squares) / (n * m * (m - 1))
    by_column = (column_squares - squares) / (n * m * (n - 1))
    apart = (squares - row_squares - column_squares) / (n * (n - 1) * m * (m - 1))
    return np.maximum(pairs - by_row - by_column + apart, 0.0)
