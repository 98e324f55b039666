"""Kernel distances of many small subsets of two sets, each as if its pair of subsets were alone.

The sum of a kernel over the pairs of a subset is a^T K a, where a (N,) is 1 at the subset's rows and 0 elsewhere. 100
subsets of 1,000 of 5,000 rows hold each pair of rows four times: there K is computed once, block by block, for all
subsets. Subsets of much larger sets hardly meet: there each is computed by itself.

Products are float64, or float32 of rows less a centre c, which leaves few digits to lose:

    x.y = (x - c).(y - c) + (x.c - c.c / 2) + (y.c - c.c / 2),      all but the first term, and all sums, in float64.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..common.processes import current_processes
from ..common.thread_memory import ThreadMemory
from .blocks import Pair, blocks, in_parallel, upper_pairs
from .kernels import Rows

Float = NDArray[np.float64]
Index = NDArray[np.int64]
Draw = tuple[Index, Index]  # rows of the first and of the second set
Kernel = tuple[int, float, float]  # degree, gamma, coef0
_AT_ONCE = 256  # subsets: as many numbers for each row


class _Tile(NamedTuple):
    """A block of the kernel between rows of two sides; `subsets` are those it counts for, with 0 or 1 for each row."""

    sides: tuple[int, int]
    first: Index
    second: Index
    on_diagonal: bool
    times: float
    subsets: slice
    weights: tuple[Float, Float]


def subset_values(
    x: NDArray[Any], y: NDArray[Any], kernel: Kernel, draws: Sequence[Draw], single: bool = False
) -> Float:
    """Unbiased squared MMD of each pair of subsets of x (N, D) and y (M, D), float64 (number of draws,).

    `single` takes float32 products. The processes of `shared_work` share the blocks.
    """
    work = _Work((x, y), kernel, np.float32 if single else np.float64)
    return np.concatenate([_values(work, draws[at : at + _AT_ONCE]) for at in range(0, len(draws), _AT_ONCE)])


def _values(work: "_Work", draws: Sequence[Draw]) -> Float:
    size = len(draws[0][0])
    united = [np.unique(np.concatenate(own)) for own in zip(*draws, strict=True)]
    sums = np.zeros((3, len(draws)))
    for tile, found in in_parallel(work.sums, _tiles(united, draws, work.sides[0].shape[1])):
        sums[sum(tile.sides), tile.subsets] += tile.times * found
    current_processes().sum(sums)
    values: Float = (sums[0] + sums[2]) / (size * (size - 1)) - 2 * sums[1] / size**2
    return values


def _tiles(united: Sequence[Index], draws: Sequence[Draw], dim: int) -> Iterator[_Tile]:
    """The cheaper road: multiplications of all rows together, of every subset apart."""
    n, m = (len(own) for own in united)
    together = (n * n / 2 + m * m / 2 + n * m) * (dim + len(draws))
    apart = 2 * len(draws) * len(draws[0][0]) ** 2 * dim
    return _together(united, draws) if together < apart else _apart(draws)


def _together(united: Sequence[Index], draws: Sequence[Draw]) -> Iterator[_Tile]:
    """Blocks of all rows that a subset holds, for all subsets."""
    members = [np.zeros((len(rows), len(draws))) for rows in united]
    for subset, draw in enumerate(draws):
        for own, rows, drawn in zip(members, united, draw, strict=True):
            own[np.searchsorted(rows, drawn), subset] = 1.0
    for a, b in ((0, 0), (1, 1), (0, 1)):
        for i, j in _pairs(a == b, len(united[a]), len(united[b])):
            weights = members[a][i], members[b][j]
            yield _tile((a, b), (i, j), (united[a], united[b]), slice(None), weights)


def _apart(draws: Sequence[Draw]) -> Iterator[_Tile]:
    """Blocks of each pair of subsets."""
    for subset, draw in enumerate(draws):
        for a, b in ((0, 0), (1, 1), (0, 1)):
            for i, j in _pairs(a == b, len(draw[a]), len(draw[b])):
                weights = np.ones((i.stop - i.start, 1)), np.ones((j.stop - j.start, 1))
                yield _tile((a, b), (i, j), (draw[a], draw[b]), slice(subset, subset + 1), weights)


def _pairs(within: bool, n: int, m: int) -> Iterator[Pair]:
    return iter(upper_pairs(blocks(n)) if within else product(blocks(n), blocks(m)))


def _tile(
    sides: tuple[int, int], part: Pair, rows: tuple[Index, Index], subsets: slice, weights: tuple[Float, Float]
) -> _Tile:
    within, same = sides[0] == sides[1], part[0] == part[1]
    times = 2.0 if within and not same else 1.0  # of a symmetric block its mirror, too
    return _Tile(sides, rows[0][part[0]], rows[1][part[1]], within and same, times, subsets, weights)


class _Work:
    """The sets and the kernel, and memory of each thread."""

    def __init__(self, sides: tuple[NDArray[Any], NDArray[Any]], kernel: Kernel, dtype: type[np.floating[Any]]) -> None:
        self.sides, self.kernel, self.dtype, self.memory = sides, kernel, dtype, ThreadMemory()
        self.centre = np.zeros(sides[0].shape[1], dtype)
        if dtype == np.float32:
            self.centre[:] = sides[0].mean(axis=0, dtype=np.float64)
        self.shares = [self._centre_products(own) for own in sides]

    def _centre_products(self, rows: NDArray[Any]) -> Float:
        """x.c - c.c / 2 of every row."""
        centre = self.centre.astype(np.float64)
        products = [rows[part].astype(np.float64) @ centre for part in blocks(len(rows))]
        return np.concatenate(products) - centre @ centre / 2

    def sums(self, tile: _Tile) -> tuple[_Tile, Float]:
        """Of each subset the sum of its pairs in this block, no row with itself."""
        degree, gamma, coef0 = self.kernel
        first = self._rows("first", tile.sides[0], tile.first)
        second = first if tile.on_diagonal else self._rows("second", tile.sides[1], tile.second)
        shape = len(first), len(second)
        product = np.matmul(first, second.T, out=self.memory.empty("product", shape, self.dtype))
        block = self.memory.empty("block", shape, float)
        np.add(product, self.shares[tile.sides[0]][tile.first, None], out=block)
        block += self.shares[tile.sides[1]][tile.second]
        block *= gamma
        block += coef0
        power = self.memory.empty("power", shape, float)
        power[:] = block
        for _ in range(degree - 1):
            power *= block
        if tile.on_diagonal:
            np.fill_diagonal(power, 0.0)
        return tile, np.einsum("is,is->s", tile.weights[0], power @ tile.weights[1])

    def _rows(self, name: str, side: int, index: Index) -> Rows:
        rows = self.memory.empty(name, (len(index), len(self.centre)), self.dtype)
        np.subtract(self.sides[side][index], self.centre, out=rows, casting="same_kind")
        return rows
