"""What deals of pooled rows do to a kernel: two statistics for each, in units of their own spread over all deals.

With s_i = +1 for the n rows called reference and -1 for the m others, N = n + m, a kernel splits into

    k_ij = mu + a_i + a_j + h_ij,     sum_i a_i = 0,     sum_j h_ij = 0,     h_ii = 0

and the unbiased squared MMD of a deal is the same multiple of Q = sum_{i != j} s_i s_j h_ij / 4 for every kernel:

    MMD^2 = Q [1 / (n (n - 1)) + 1 / (m (m - 1)) + 2 / (n m)]

Over all deals Q has mean 0 and variance 2 |h|^2 (p2 - 2 p3 + p4), with p_r the chance that r given rows are all called
reference. The other statistic, the mean kernel between generated rows less that between reference rows, says which set
is denser:

    C = -(N / (n m)) sum_i a_i s_i + Q [1 / (m (m - 1)) - 1 / (n (n - 1))]

whose two parts are uncorrelated, the first with variance 4 N |a|^2 / (n m (N - 1)). These are moments of the uniform
distribution over all deals: they do not know which deal was observed, so p-values stay exact.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..estimation.deal_forms import Forms

Matrix = NDArray[np.float64]
_FLAT = 1e-9  # of the sum of squares: what is left of a kernel that is constant, by rounding


@dataclass(frozen=True, eq=False)
class DealtKernels:
    """Of each kernel and deal (K, P), in standard deviations over all deals; a flat kernel has zeros.

    Attributes:
        differences: the unbiased squared MMD.
        contrasts: how much denser the generated set is than the reference.
    """

    differences: Matrix
    contrasts: Matrix

    @classmethod
    def of(cls, forms: Forms, signs: NDArray[np.float32]) -> "DealtKernels":
        """From the sums of each kernel and the signs (N, P) of each deal, all with equally many of each."""
        total, surplus = len(signs), float(signs[:, 0].sum(dtype=np.float64))  # N, n - m
        n = (total + surplus) / 2
        m = total - n
        mean = forms.row_sums.sum(axis=1) / (total * (total - 1))  # mu
        own = (forms.row_sums - (total - 1) * mean[:, None]) / (total - 2)  # a
        own_squares = np.square(own).sum(axis=1)
        squares = forms.squares - total * (total - 1) * np.square(mean) - 2 * (total - 2) * own_squares  # |h|^2
        flat = squares <= _FLAT * forms.squares
        by_sign = own @ signs  # sum_i a_i s_i
        forms_of_h = forms.forms - mean[:, None] * (surplus**2 - total) - 2 * surplus * by_sign
        q, variance = forms_of_h / 4, 2 * squares * _pair_factor(n, total)
        unequal = 1 / (m * (m - 1)) - 1 / (n * (n - 1))
        contrasts = q * unequal - by_sign * (total / (n * m))
        spread = variance * unequal**2 + 4 * total / (n * m * (total - 1)) * own_squares
        return cls(_in_units(q, variance, flat), _in_units(contrasts, spread, flat))


def _pair_factor(n: float, total: int) -> float:
    """p2 - 2 p3 + p4."""
    p2 = n * (n - 1) / (total * (total - 1))
    p3 = p2 * (n - 2) / (total - 2)
    return p2 - 2 * p3 + p3 * (n - 3) / (total - 3)


def _in_units(values: Matrix, variance: Matrix, flat: NDArray[np.bool_]) -> Matrix:
    spread = np.sqrt(np.where(flat, 1.0, np.maximum(variance, np.finfo(np.float64).tiny)))
    return np.where(flat[:, None], 0.0, values / spread[:, None])


def step_down(scores: Matrix) -> tuple[float, Matrix]:
    """The p-value of the largest score of the first deal, and adjusted p-values of its scores (H,); scores are (H, P).

    Westfall and Young 1993, algorithm 4.1: each score against the largest of those that are not larger, over all deals.
    A deal counts where it reaches the first one but for rounding; the first one counts itself.
    """
    order = np.argsort(scores[:, 0], kind="stable")
    largest = np.maximum.accumulate(scores[order], axis=0)
    slack = 1e-5 * np.abs(largest[:, :1])
    reached = (largest >= largest[:, :1] - slack).mean(axis=1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(reached[::-1])[::-1]
    return float(adjusted[order[-1]]), adjusted
