"""Squared distances of all pairs of two sets of rows: bounds at the cost of a matrix product, exact ones on request.

    |a - b|^2 = |a|^2 + |b|^2 - 2 a.b

In float32 or float64 the right side is off by at most (2 D + 32) eps (|a|^2 + |b|^2): a product of D terms, norms of D
squares, a few sums. So a block gives each distance from below, and a gap above that; what lies between the two bounds
is measured again from the differences of the rows. Answers are those of exact distances, copies are at distance zero,
and only the time depends on the precision of the products.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from hashlib import blake2b
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..common.thread_memory import ThreadMemory
from ..features.matrices import column_range
from .blocks import Pair, blocks
from .kernel_device import device_of_kernels
from .kernels import centre_of

Float = NDArray[np.float64]
Index = NDArray[np.int64]
Block = NDArray[np.floating[Any]]
Found = TypeVar("Found")
_TINY = 1e-37  # of a scaled square: what underflow may take from each of D products
_EXACT = 2**20  # numbers of rows whose differences are held at a time
_MOST_DOUBT = 1 / 200  # of a block: more exact distances cost more than its product in float64


class Near(NamedTuple):
    """Pairs of rows (first, second) with bounds of their squared distance."""

    first: Index
    second: Index
    lower: Float
    upper: Float


def joined(parts: Sequence[Near]) -> Near:
    """All pairs of the parts."""
    first, second, lower, upper = (np.concatenate(own) for own in zip(*parts, strict=True))
    return Near(first, second, lower, upper)


class Points:
    """The rows of a set, and which of them are copies."""

    def __init__(self, rows: NDArray[Any]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def ends(self) -> tuple[Float, Float]:
        """The least and the largest number of each column."""
        return column_range(self.rows)

    @cached_property
    def ids(self) -> Index:
        """For each row the first that has the same bytes: a set of copies would be all ties, N^2 of them."""
        seen: dict[bytes, int] = {}
        digests = (blake2b(row.tobytes(), digest_size=32).digest() for row in self.rows)
        return np.array([seen.setdefault(digest, i) for i, digest in enumerate(digests)], np.int64)


class Pairs:
    """All pairs of two sets."""

    def __init__(self, first: Points, second: Points) -> None:
        self.first, self.second = first, second
        self.centre = centre_of(second.rows)  # distances stay, cancellation goes
        multiplications = float(len(first)) * len(second) * self.centre.size
        self._device = device_of_kernels(np.float64, multiplications)  # which doubtful blocks need

    @cached_property
    def single(self) -> "Bounds":
        return self._bounds(np.float32)

    @cached_property
    def double(self) -> "Bounds":
        return self._bounds(np.float64)

    def _bounds(self, dtype: type[np.floating[Any]]) -> "Bounds":
        if self._device is None:
            return Bounds(self, dtype)
        from .device_bounds import DeviceBounds

        return DeviceBounds(self, dtype, self._device)

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Around all blocks: products of a device in their own precision."""
        if self._device is None:
            yield
            return
        from .device_sums import full_products

        with full_products(self._device):
            _ = self.single  # its rows travel once, before threads ask for them
            yield

    @cached_property
    def scale(self) -> float:
        """A power of two that leaves no centred row longer than 1, so that no square leaves float32."""
        ends = [np.abs(end - self.centre) for side in (self.first, self.second) for end in side.ends]
        reach = float(np.linalg.norm(np.max(ends, axis=0)))
        return float(2.0 ** -np.ceil(np.log2(reach))) if reach > 0 else 1.0

    def decided(self, part: Pair, look: Callable[["Bounds"], tuple[Found, int]]) -> Found:
        """What `look` finds in a block, and how many pairs its bounds leave in doubt: float32 unless those are many."""
        height, width = (own.stop - own.start for own in part)
        found, doubtful = look(self.single)
        if doubtful > height + width + _MOST_DOUBT * height * width:
            found, _ = look(self.double)
        return found

    def exact(self, i: Index, j: Index) -> Float:
        """Squared distances of the pairs (i, j) from the differences of the rows as given, once for copies."""
        codes = self.first.ids[i] * len(self.second) + self.second.ids[j]
        pairs, place = np.unique(codes, return_inverse=True)
        i, j = np.divmod(pairs, len(self.second))
        squared = np.empty(len(i))
        height = max(1, _EXACT // self.first.rows.shape[1])
        for start in range(0, len(i), height):
            part = slice(start, start + height)
            difference = self.first.rows[i[part]].astype(np.float64) - self.second.rows[j[part]]
            squared[part] = np.square(difference, out=difference).sum(axis=1)
        return squared[place]


class Bounds:
    """Bounds of the squared distances, by products of one precision."""

    def __init__(self, pairs: Pairs, dtype: type[np.floating[Any]]) -> None:
        self.dtype, self.memory = dtype, ThreadMemory()
        self.sides = pairs.first.rows, pairs.second.rows
        self.centre = pairs.centre.astype(dtype)
        self.scale = pairs.scale
        self.square = self.scale**2  # a power of two: nothing is rounded by it
        first = self._norms(self.sides[0])
        norms = first, first if pairs.first is pairs.second else self._norms(self.sides[1])
        dim = len(self.centre)
        slack = [(2 * dim + 32) * np.finfo(dtype).eps * own + dim * _TINY for own in norms]
        self.lows = [(own - off).astype(dtype) for own, off in zip(norms, slack, strict=True)]
        self.gaps = [(2 * off).astype(dtype) for off in slack]

    def block(self, part: Pair) -> Any:
        """Scaled squared distances from below, in memory that the thread's next block overwrites."""
        i, j = part
        rows = self._centred(self.sides[0][i], "first", -2.0 * self.scale)
        others = self._centred(self.sides[1][j], "second", self.scale)
        block = self.memory.empty("block", (len(rows), len(others)), self.dtype)
        np.matmul(rows, others.T, out=block)
        block += self.lows[0][i, None]
        block += self.lows[1][j]
        return block

    def leave_out(self, block: Any, rows: Index, columns: Index) -> None:
        """Mark some pairs of a block as no pairs."""
        block[rows, columns] = np.inf

    def kth_smallest(self, block: Any, gaps: Block, k: int) -> Float:
        """Of each row of a block with the gaps of its columns."""
        return np.partition(block + gaps, k - 1, axis=1)[:, k - 1].astype(np.float64)

    def within(self, block: Any, part: Pair, limits: Float) -> Near:
        """Pairs that may be as near as `limits`: one for each row (n, 1) or column (m,) of the block."""
        mask = self.memory.empty("mask", block.shape, np.bool_)
        i, j = np.divmod(np.flatnonzero(np.less_equal(block, self.scaled(limits), out=mask)), block.shape[1])
        return self.bounded(part, i, j, block[i, j])

    def scaled(self, limits: Float) -> Block:
        """The limits as lower bounds are compared with them: less than infinity, which marks what is no pair."""
        most = np.finfo(self.dtype).max
        return np.nextafter(np.minimum(limits * self.square, most / 2).astype(self.dtype), self.dtype(np.inf))

    def bounded(self, part: Pair, i: Index, j: Index, scaled_lower: Block) -> Near:
        """The pairs (i, j) of a block as rows of the sets, with both bounds."""
        lower = scaled_lower.astype(np.float64)
        i, j = i + part[0].start, j + part[1].start
        upper = lower + self.gaps[0][i] + self.gaps[1][j]
        return Near(i, j, lower / self.square, upper / self.square)

    def _norms(self, rows: NDArray[Any]) -> Float:
        """|a|^2 of every scaled row."""
        parts = (self._centred(rows[own], "first", self.scale) for own in blocks(len(rows)))
        return np.concatenate([np.einsum("ij,ij->i", part, part) for part in parts]).astype(np.float64)

    def _centred(self, rows: NDArray[Any], name: str, factor: float) -> Block:
        centred = self.memory.empty(name, rows.shape, self.dtype)
        np.subtract(rows, self.centre, out=centred, casting="same_kind")
        centred *= self.dtype(factor)
        return centred
