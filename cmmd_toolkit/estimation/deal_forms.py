"""Quadratic forms of several kernels over many deals of the same rows, in one pass over the pairs.

    gaussian   k(a, b) = exp(-|a - b|^2 / (2 (w m)^2))
    laplace    k(a, b) = exp(-|a - b| / (w m))

with m the median distance of the rows and w the width. A deal is a column of signs s_i = +1 or -1, and its form is
sum_{i != j} s_i s_j k_ij: all deals together are one product of a block of k with the signs. Sums are of k less a
constant, on which no difference of two sets depends: what is summed is small, and so is its rounding. Blocks are
float32 where that leaves 1e-4 or less in the exponents; sums over blocks are float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..common.processes import current_processes
from ..common.progress import Advance
from .blocks import Pair, blocks, in_parallel, upper_pairs
from .kernel_device import device_of_kernels

Rows = NDArray[np.floating[Any]]
Matrix = NDArray[np.float64]
Family = Literal["gaussian", "laplace"]
_WIDE = 0.1
_MOST_EXPONENT = 1000.0  # |a|^2 / w^2 of a scaled row, for float32: 1000 * 1e-7 is left in an exponent


@dataclass(frozen=True)
class Kernel:
    """A kernel by its family and its width, a multiple of the median distance."""

    family: Family
    width: float

    @property
    def offset(self) -> float:
        """What is taken off: its value at the median distance; 0 of a narrow one, most of whose values are smaller."""
        value = exp(-0.5 / self.width**2) if self.family == "gaussian" else exp(-1 / self.width)
        return value if value > _WIDE else 0.0


class ScaledRows:
    """Rows (N, D) less their centre, over their median distance; for kernels no narrower than `narrowest`."""

    def __init__(self, rows: Rows, centre: Matrix, median: float, narrowest: float) -> None:
        scaled = (rows - centre) / median
        squares = np.einsum("ij,ij->i", scaled, scaled)
        dtype = np.float32 if squares.max() <= _MOST_EXPONENT * narrowest**2 else np.float64
        self.rows: Rows = scaled.astype(dtype, copy=False)
        self.half_norms: Rows = (squares / 2).astype(dtype, copy=False)

    def __len__(self) -> int:
        return len(self.rows)

    def half_squares(self, i: slice, j: slice) -> Rows:
        """|a - b|^2 / 2 of two slices of rows, 0 of a row with itself."""
        block: Rows = self.rows[i] @ self.rows[j].T
        np.negative(block, out=block)
        block += self.half_norms[i, None]
        block += self.half_norms[j]
        np.maximum(block, 0.0, out=block)
        return block


@dataclass(frozen=True, eq=False)
class Forms:
    """Of each kernel less its offset, over ordered pairs i != j: the form of each deal (K, P), the sums of
    rows (K, N) and the sum of squares (K,)."""

    forms: Matrix
    row_sums: Matrix
    squares: Matrix


def forms_of(
    rows: ScaledRows, kernels: Sequence[Kernel], signs: NDArray[np.float32], advance: Advance = lambda _share: None
) -> Forms:
    """The forms of all kernels and deals; `signs` is (N, P), +1 or -1. `advance` takes the share of each part done."""
    multiplications = len(rows) ** 2 / 2 * (rows.rows.shape[1] + len(kernels) * signs.shape[1])
    device = device_of_kernels(rows.rows.dtype, multiplications)
    if device is None:
        forms, row_sums, squares = _forms(rows, kernels, signs, advance)
    else:
        from .device_forms import forms_on

        forms, row_sums, squares = forms_on(device, rows, kernels, signs, advance)
    current_processes().sum(forms, row_sums, squares)
    return Forms(forms, row_sums, squares)


def _forms(
    rows: ScaledRows, kernels: Sequence[Kernel], signs: NDArray[np.float32], advance: Advance
) -> tuple[Matrix, Matrix, Matrix]:
    """This process's part."""
    count = len(kernels)
    forms, squares = np.zeros((count, signs.shape[1])), np.zeros(count)
    row_sums = np.zeros((count, len(rows)))
    signs = signs.astype(rows.rows.dtype, copy=False)

    def one(pair: Pair) -> tuple[Pair, list[tuple[Matrix, Matrix, Matrix, float]]]:
        i, j = pair
        halves = rows.half_squares(i, j)
        distances = np.sqrt(2 * halves) if any(kernel.family == "laplace" for kernel in kernels) else halves
        return pair, [_sums(_block(kernel, halves, distances, i == j), signs[i], signs[j]) for kernel in kernels]

    pairs = upper_pairs(blocks(len(rows)))
    own = len(list(current_processes().share(pairs)))
    for (i, j), found in in_parallel(one, pairs):
        advance(1 / own)
        both = 1 if i == j else 2
        for k, (form, by_row, by_column, square) in enumerate(found):
            forms[k] += both * form
            squares[k] += both * square
            row_sums[k, i] += by_row
            if i != j:
                row_sums[k, j] += by_column
    return forms, row_sums, squares


def _block(kernel: Kernel, halves: Rows, distances: Rows, is_diagonal: bool) -> Rows:
    if kernel.family == "gaussian":
        block: Rows = halves * halves.dtype.type(-1 / kernel.width**2)
    else:
        block = distances * distances.dtype.type(-1 / kernel.width)
    np.exp(block, out=block)
    block -= block.dtype.type(kernel.offset)
    if is_diagonal:
        np.fill_diagonal(block, 0.0)
    return block


def _sums(block: Rows, left: Rows, right: Rows) -> tuple[Matrix, Matrix, Matrix, float]:
    """Forms (P,), sums of rows and of columns, sum of squares."""
    form = np.einsum("ip,ip->p", block @ right, left).astype(np.float64)
    by_row, by_column = (block.sum(axis=axis, dtype=np.float64) for axis in (1, 0))
    return form, by_row, by_column, float(np.square(block).sum(dtype=np.float64))
