"""Blocked sums of kernels: exact pairs, float64 totals, nothing of size N x M; one pass gives all that is needed.

    Gaussian      k(a, b) = exp(-gamma |a - b|^2),   gamma = 1 / (2 bandwidth^2)
    polynomial    k(a, b) = (gamma a.b + coef0)^degree

The Gaussian sums are of k - 1 = expm1(-gamma |a - b|^2): the ones cancel in every difference of kernel means, and
near k = 1 they would take the digits with them. Variances do not change by a constant either.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..common.processes import current_processes
from .blocks import Pair, blocks, in_parallel, upper_pairs
from .kernel_device import device_of_kernels

Rows = NDArray[np.floating[Any]]
Vector = NDArray[np.float64]
Products = tuple[Any, int]  # their type, and how many a pair of rows takes


class KernelRows(Protocol):
    """Rows that know their kernel: `block` is the kernel (or the kernel less a constant) of two slices of rows.

    `products` is None for rows that are few, and stay with NumPy.
    """

    @property
    def products(self) -> Products | None: ...

    def __len__(self) -> int: ...

    def diagonal(self) -> float: ...

    def block(self, i: slice, other: Any, j: slice) -> Rows: ...


class Sliced(Protocol):
    """Rows of which slices are looked at: an array, or what makes its rows anew each time."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> Any: ...


class GaussianRows:
    """Rows times sqrt(2 gamma), so that a.b - |a|^2 / 2 - |b|^2 / 2 is the exponent; blocks of k - 1."""

    def __init__(self, rows: Rows, gamma: float) -> None:
        scaled: Rows = rows * rows.dtype.type(np.sqrt(2.0 * gamma))
        self.scaled: Sliced = scaled
        self.half_norms: Rows = _squared_norms(scaled) / 2

    def __len__(self) -> int:
        return len(self.scaled)

    @property
    def products(self) -> Products:
        return self.half_norms.dtype, self.scaled[slice(0, 1)].shape[1]

    def diagonal(self) -> float:
        return 0.0

    def joined(self, other: "GaussianRows") -> "GaussianRows":
        """The rows of both."""
        both = object.__new__(GaussianRows)
        both.scaled = np.concatenate([np.asarray(self.scaled), np.asarray(other.scaled)])
        both.half_norms = np.concatenate([self.half_norms, other.half_norms])
        return both

    def taken(self, order: NDArray[np.int64]) -> "GaussianRows":
        """Some of the rows, in another order."""
        own = object.__new__(GaussianRows)
        own.scaled, own.half_norms = np.asarray(self.scaled)[order], self.half_norms[order]
        return own

    def block(self, i: slice, other: "GaussianRows", j: slice) -> Rows:
        block: Rows = self.scaled[i] @ other.scaled[j].T
        block -= self.half_norms[i, None]
        block -= other.half_norms[j]
        np.minimum(block, 0.0, out=block)  # rounding of far rows
        np.expm1(block, out=block)
        return block


class PolynomialRows:
    """Rows with the kernel of KID; blocks of k."""

    def __init__(self, rows: Sliced, degree: int, gamma: float, coef0: float) -> None:
        self.rows, self.degree, self.gamma, self.coef0 = rows, degree, gamma, coef0

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def products(self) -> Products:
        first = self.rows[slice(0, 1)]
        return first.dtype, first.shape[1]

    def diagonal(self) -> float:
        squares = np.concatenate([_squared_norms(self.rows[part]) for part in blocks(len(self))])
        return float(((self.gamma * squares + self.coef0) ** self.degree).sum(dtype=np.float64))

    def block(self, i: slice, other: "PolynomialRows", j: slice) -> Rows:
        block: Rows = self.rows[i] @ other.rows[j].T
        block *= self.gamma
        block += self.coef0
        power = block.copy()
        for _ in range(self.degree - 1):  # numpy's power is twenty times slower
            power *= block
        return power


class PairedRows:
    """Two sets whose rows belong together: blocks are the difference of the first's and the second's kernels."""

    def __init__(self, first: KernelRows, second: KernelRows) -> None:
        self.first, self.second = first, second

    def __len__(self) -> int:
        return len(self.first)

    @property
    def products(self) -> Products | None:
        one, two = self.first.products, self.second.products
        return None if one is None or two is None else (one[0], one[1] + two[1])

    def diagonal(self) -> float:
        return self.first.diagonal() - self.second.diagonal()

    def block(self, i: slice, other: Any, j: slice) -> Rows:
        one, two = (other.first, other.second) if isinstance(other, PairedRows) else (other, other)
        block = self.first.block(i, one, j)
        block -= self.second.block(i, two, j)
        return block


@dataclass(frozen=True, eq=False)
class Within:
    """Sums over the ordered pairs a != b of one set: total, squares, each row's; and the diagonal's sum."""

    total: float
    squares: float
    row_sums: Vector
    diagonal: float

    @property
    def mean(self) -> float:
        n = len(self.row_sums)
        return self.total / (n * (n - 1))


@dataclass(frozen=True, eq=False)
class Between:
    """Sums over all pairs of a first and a second set."""

    total: float
    squares: float
    row_sums: Vector
    column_sums: Vector

    @property
    def mean(self) -> float:
        return self.total / (len(self.row_sums) * len(self.column_sums))


def gamma_of(bandwidth: float) -> float:
    """1 / (2 bandwidth^2), the only place where gamma is made."""
    return 1.0 / (2.0 * bandwidth * bandwidth)


def sums_within(rows: KernelRows) -> Within:
    """The sums of one set's kernel, in one pass over half of the pairs."""
    if (device := _device_of(rows, rows, 0.5)) is None:
        totals, row_sums = _within(rows)
    else:
        from .device_sums import within_on

        totals, row_sums = within_on(device, rows)
    current_processes().sum(totals, row_sums)
    return Within(float(totals[0]), float(totals[1]), row_sums, rows.diagonal())


def sums_between(first: KernelRows, second: KernelRows) -> Between:
    """The sums of the kernel between two sets, in one pass over the pairs."""
    if (device := _device_of(first, second, 1.0)) is None:
        totals, row_sums, column_sums = _between(first, second)
    else:
        from .device_sums import between_on

        totals, row_sums, column_sums = between_on(device, first, second)
    current_processes().sum(totals, row_sums, column_sums)
    return Between(float(totals[0]), float(totals[1]), row_sums, column_sums)


def _device_of(first: KernelRows, second: KernelRows, share: float) -> str | None:
    """Where the sums over this share of the pairs are computed, None for NumPy."""
    products = first.products
    if products is None or second.products is None:
        return None
    dtype, width = products
    return device_of_kernels(dtype, share * len(first) * len(second) * width)


def _within(rows: KernelRows) -> tuple[Vector, Vector]:
    """This process's part of the total and the squares (2,), and of the row sums (N,)."""
    row_sums, totals = np.zeros(len(rows)), np.zeros(2)

    def one(pair: Pair) -> tuple[Pair, Vector, Vector, Vector]:
        i, j = pair
        block = rows.block(i, rows, j)
        if i == j:
            np.fill_diagonal(block, 0.0)
        return pair, *_sums(block)

    for (i, j), part, by_row, by_column in in_parallel(one, upper_pairs(blocks(len(rows)))):
        totals += part if i == j else 2 * part
        row_sums[i] += by_row
        if i != j:
            row_sums[j] += by_column
    return totals, row_sums


def _between(first: KernelRows, second: KernelRows) -> tuple[Vector, Vector, Vector]:
    """This process's part of the total and the squares (2,), the row sums (N,) and the column sums (M,)."""
    row_sums, column_sums, totals = np.zeros(len(first)), np.zeros(len(second)), np.zeros(2)

    def one(pair: Pair) -> tuple[Pair, Vector, Vector, Vector]:
        i, j = pair
        return pair, *_sums(first.block(i, second, j))

    for (i, j), part, by_row, by_column in in_parallel(one, product(blocks(len(first)), blocks(len(second)))):
        totals += part
        row_sums[i] += by_row
        column_sums[j] += by_column
    return totals, row_sums, column_sums


def centre_of(rows: Any) -> Vector:
    """The medians of up to 1,000 evenly spaced rows: of any common shift, one that a far row does not move.

    Distances stay; the digits that cancel in |a|^2 + |b|^2 - 2 a.b do not.
    """
    centre: Vector = np.median(rows[:: -(-len(rows) // 1000)].astype(np.float64), axis=0)
    return centre


def squared_distances(first: Rows, second: Rows) -> Rows:
    """|a - b|^2 of all pairs (N, M); for blocks and small sets."""
    block = -2.0 * (first @ second.T)
    block += _squared_norms(first)[:, None]
    block += _squared_norms(second)[None, :]
    return np.maximum(block, 0.0, out=block)


def _sums(block: Rows) -> tuple[Vector, Vector, Vector]:
    """Total and sum of squares, row and column sums. Matrix products are the fastest sums; only the total, in which
    digits cancel, has to be added up in float64 when the block is float32."""
    by_row = block @ np.ones(block.shape[1], block.dtype)
    by_column = np.ones(block.shape[0], block.dtype) @ block
    flat = block.reshape(-1)
    total = by_row.sum() if block.dtype == np.float64 else block.sum(dtype=np.float64)
    return np.array([total, flat @ flat], np.float64), by_row.astype(np.float64), by_column.astype(np.float64)


def _squared_norms(rows: Rows) -> Rows:
    norms: Rows = np.einsum("ij,ij->i", rows, rows)
    return norms
