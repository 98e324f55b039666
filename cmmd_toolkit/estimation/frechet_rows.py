"""The kernel of the Frechet distance near zero: its quadratic remainder is a squared MMD.

To second order FD moves with the errors d of the means and D of the covariances, in the joint frame of
`inference.frechet` where both sets have the covariance diag(s), by

    |d_x - d_y|^2 + sum_ij (D_x - D_y)_ij^2 / (2 (s_i + s_j)),

which is the squared MMD of the kernel

    k(a, b) = a.b + 1/2 sum_ij u_i u_j v_i v_j / (s_i + s_j),       u, v = the rows a, b in the joint frame.

So the variance of the remainder is that of pair remainders (`ustatistics`), with whatever the entries of the
covariances' errors have in common. With 1 / (s_i + s_j) = int exp(-t s_i) exp(-t s_j) dt the double sum is an integral
of squares of products of rows, taken by the trapezoid rule in log t.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .gaussian import GaussianFit
from .kernels import Rows

Matrix = NDArray[np.floating[Any]]
_STEP = 1.25  # in log t: the sum is right to 1e-3
_SMALLEST = 1e-3  # of the largest s: smaller ones hardly count, and would take many steps
_LONGEST = 16.0  # t s beyond which exp(-t s) adds nothing in float32
_SAMPLE = (300, 1500)
_NUMBERS = 1.5e8  # rows^2 x D


class FrechetRows:
    """Rows that know this kernel, less nothing, divided by `unit`; in float32, since a variance needs no more digits.

    `rows` are centred, `joint` are they in the joint frame, `roots` is s, rising.
    """

    products = None

    def __init__(self, rows: Matrix, joint: Matrix, roots: Matrix, unit: float) -> None:
        self.rows: Rows = (rows / np.sqrt(unit)).astype(np.float32)
        scaled, relative = (joint / np.sqrt(unit)).astype(np.float32), roots / unit
        self.factors: list[Rows] = []
        for time, weight in _nodes(relative):
            left = int(np.searchsorted(relative, _LONGEST / time))
            faded = (weight / 2) ** 0.25 * np.exp(-time / 2 * relative[:left])
            self.factors.append(scaled[:, :left] * faded.astype(np.float32))

    def __len__(self) -> int:
        return len(self.rows)

    def diagonal(self) -> float:
        """The sum of k(a, a)."""
        plain, *squared = (np.einsum("ij,ij->i", part, part).astype(np.float64) for part in (self.rows, *self.factors))
        return float(plain.sum() + sum(norms @ norms for norms in squared))

    def joined(self, other: "FrechetRows") -> "FrechetRows":
        """The rows of both, which have one frame."""
        both = object.__new__(FrechetRows)
        both.rows = np.concatenate([self.rows, other.rows])
        both.factors = [np.concatenate(pair) for pair in zip(self.factors, other.factors, strict=True)]
        return both

    def block(self, i: slice, other: "FrechetRows", j: slice) -> Rows:
        block: Rows = self.rows[i] @ other.rows[j].T
        for mine, theirs in zip(self.factors, other.factors, strict=True):
            block += np.square(mine[i] @ theirs[j].T)
        return block


def rows_by_reference(reference: GaussianFit, fit: GaussianFit, most: int | None = None) -> FrechetRows:
    """Some rows of a set in the frame of the reference's principal axes, one frame for any number of sets.

    `most` of them, where several backbones need the same ones; None for as many as their width allows.
    """
    assert fit.rows is not None
    values, vectors = reference.principal_axes
    kept = values > _SMALLEST**2 * values[-1]
    rows = sample_rows(fit.rows, most).astype(np.float64) - reference.mean
    return FrechetRows(rows, rows @ vectors[:, kept], values[kept], reference.trace)


def sample_rows(rows: Matrix, most: int | None = None) -> Matrix:
    """All rows, or as many as give the variance of a remainder to some percent, drawn with a fixed seed."""
    count, dim = rows.shape
    return rows[sampled(count, dim, most)]


def sampled(count: int, dim: int, most: int | None = None) -> NDArray[np.int64]:
    """The numbers of those rows, rising."""
    most = most_rows(dim) if most is None else most
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, most, replace=False))


def most_rows(dim: int) -> int:
    """How many rows of that width are looked at in pairs."""
    return int(np.clip(np.sqrt(_NUMBERS / dim), *_SAMPLE))


def _nodes(roots: Matrix) -> Iterator[tuple[float, float]]:
    """t and the weight of each step, from where all exp(-t s) are nearly one to where none is left.

    The first step stands for those before it too, which are a geometric series.
    """
    largest = float(roots.max())
    smallest = max(float(roots.min()), _SMALLEST * largest)
    before = 1 / np.expm1(_STEP)
    for logarithm in np.arange(np.log(1e-2 / largest), np.log(8 / smallest) + _STEP, _STEP):
        yield float(np.exp(logarithm)), float(_STEP * np.exp(logarithm) * (1 + before))
        before = 0.0
