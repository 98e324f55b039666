"""The witness function of a squared MMD: where two sets differ, picture by picture.

    f(z) = mean_i k(x_i, z) - mean_j k(y_j, z)      (a row is left out of its own mean)

High where reference rows are dense and generated ones are rare, low where it is the other way round. It adds up to
the distance: mean f(x) - mean f(y) is the unbiased squared MMD, up to the rounding of the kernel sums.

Without one row of a set of n rows, whose mean kernel is rho to the rest of its own set and kappa to the other set,
the unbiased squared MMD changes by

    2 (mean rho - rho) / (n - 2) - 2 (mean kappa - kappa) / (n - 1)

exactly; to first order in 1 / n that is 2 (f(y) - mean f(y)) / n for a generated row and the negative of it for a
reference row.

f is as large as the share of rows that lie where z lies: rows unlike all of the other set have a witness far from zero
only when there are many of them. A lone one has f near zero, since it is as far from the one set as from the other,
and moves a squared MMD no more than an ordinary row does.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..estimation.kernels import Between, Within
from ..metrics.mmd import MmdScore

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Witness:
    """What `witness` returns.

    Attributes:
        reference: float64 (N,), f at each reference row; high: the generated set leaves it uncovered.
        generated: float64 (M,), f at each generated row; low: far from the reference, crowded by generated rows.
        reference_change: float64 (N,), by how much squared MMD changes without that reference row; NaN where N = 2.
        generated_change: float64 (M,), the same without that generated row; NaN where M = 2.
    """

    reference: Vector
    generated: Vector
    reference_change: Vector
    generated_change: Vector


def witness(score: MmdScore) -> Witness:
    """The witness function at every row of both sets, from the kernel sums that the score was made of.

        f(z) = mean_i k(x_i, z) - mean_j k(y_j, z)

    A Gaussian kernel lies in 0..1, f in -1..1. Nothing is computed from the rows again, and the constant that the
    sums leave out of the kernel cancels. The sums are those of the unbiased estimator, whatever the score's is.

    Args:
        score: of `MmdReference.score`; N reference and M generated rows, at least two each.

    Returns:
        Witness: float64, (N,) and (M,).

    Source: Gretton et al. 2012 (JMLR 13), section 2.3; Lloyd and Ghahramani 2015 (NeurIPS) for its use in criticism.
    """
    reference, generated, between = (term.sums for term in score.terms)
    assert isinstance(reference, Within)
    assert isinstance(generated, Within)
    assert isinstance(between, Between)
    n, m = len(reference.row_sums), len(generated.row_sums)
    own_x, other_x = reference.row_sums / (n - 1), between.row_sums / m
    own_y, other_y = generated.row_sums / (m - 1), between.column_sums / n
    return Witness(own_x - other_x, other_y - own_y, _change(own_x, other_x), _change(own_y, other_y))


def _change(own: Vector, other: Vector) -> Vector:
    """Squared MMD without each row of a set, less squared MMD; no distance is left of a set of one row."""
    n = len(own)
    if n == 2:
        return np.full(n, np.nan)
    change: Vector = 2 * (own.mean() - own) / (n - 2) - 2 * (other.mean() - other) / (n - 1)
    return change
