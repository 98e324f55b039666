"""The second-order bias of the Frechet distance by pairs of directions of the joint frame, and its weights.

    b_ij = 1/2 [Var(u_x,i u_x,j) / n + Var(u_y,i u_y,j) / m] / (s_i + s_j)

is symmetric, so half of it is enough.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import blas

from .blocks import blocks
from .gaussian import Matrix

_LEAST_LEFT = 0.1
_TOLERANCE = 1e-8  # of numbers up to 1/4


@dataclass(frozen=True, eq=False)
class PairBias:
    """`lower` (D, D) in the order of columns: b_ij for i >= j, zeros for i < j. `roots`: s."""

    lower: Matrix
    roots: Matrix

    @classmethod
    def of(cls, moments: Matrix, roots: Matrix, inverse_counts: float) -> "PairBias":
        """From E u_x,i^2 u_x,j^2 / n + E u_y,i^2 u_y,j^2 / m for i >= j, whose memory it takes, and 1 / n + 1 / m."""
        # Var(u_i u_j) = E u_i^2 u_j^2 - (E u_i u_j)^2, where E u_i u_j = s_i on the diagonal and 0 beside it
        np.einsum("ii->i", moments)[:] -= inverse_counts * np.square(roots)
        for part in blocks(len(roots)):
            moments[part.start :, part] /= 2 * np.add.outer(roots[part], roots[part.start :]).T
        return cls(moments, roots)

    @property
    def total(self) -> float:
        """The sum over all pairs."""
        return float(2 * self.lower.sum() - self.lower.diagonal().sum())

    @property
    def squares(self) -> float:
        """The sum of all squares."""
        diagonal = self.lower.diagonal()
        return float(2 * np.einsum("ij,ij->", self.lower, self.lower) - diagonal @ diagonal)

    def third_order(self) -> float:
        """What the next order adds to all pairs."""
        # k_i = sum_j b_ij / s_i; a pair's b grows by 1 / (1 - c), c = (k_i + k_j) / 2
        crowding = blas.dsymv(1.0, self.lower, np.ones(len(self.roots)), lower=1) / self.roots
        free, half = (1 - crowding) / 2, 0.0
        for part in blocks(len(free)):
            left = np.add.outer(free[part], free[part.start :]).T
            np.maximum(left, _LEAST_LEFT, out=left)
            half += float(np.divide(self.lower[part.start :, part], left, out=left).sum())
        on_diagonal = self.lower.diagonal() / np.maximum(2 * free, _LEAST_LEFT)
        return 2 * half - float(on_diagonal.sum()) - self.total


def pair_factor(roots: Matrix) -> Matrix:
    """E (D, r) with E E^T = 1/2 / (s_i + s_j), by Cholesky with pivots: smooth in log s, so that r is some dozens."""
    scale = np.sqrt(roots)
    columns, left = np.empty((len(roots), 0)), np.full(len(roots), 0.25)
    while left.max() > _TOLERANCE:  # of scale_i scale_j / 2 / (s_i + s_j), what the columns have not
        pivot = left.argmax()
        column = scale * scale[pivot] / (2 * (roots + roots[pivot])) - columns @ columns[pivot]
        columns = np.column_stack([columns, column / np.sqrt(left[pivot])])
        left -= np.square(columns[:, -1])
    return columns / scale[:, None]
