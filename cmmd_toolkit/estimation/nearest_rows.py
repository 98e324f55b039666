"""The k-th nearest row of each row, exactly, from bounds of the distances in blocks (`pair_distances`).

Each row has a limit that its k-th nearest does not exceed: infinity at first, then the k-th smallest of a block's upper
bounds, later the k-th smallest exact distance so far. A pair whose lower bound exceeds the limit is no neighbour;
the others are kept, and from time to time measured exactly, of which k a row stay. A set's distances to itself
are symmetric, so each block counts for its rows and for its columns.
"""

from collections.abc import Iterable
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from ..common.processes import current_processes
from .blocks import Pair, blocks, in_parallel, upper_pairs
from .pair_distances import Block, Bounds, Float, Index, Near, Pairs, Points, joined

_WAITING = 2**18  # pairs that are kept until they are measured


def kth_neighbours(rows: Points, k: int, others: Points | None = None, own: Index | None = None) -> tuple[Index, Float]:
    """Index and squared distance of each row's k-th nearest other row, the lower index first among equals.

    The other rows are those of the same set, or of `others`, where `own` may name, for every row, the one that is the
    row itself and does not count. The processes of `shared_work` share the blocks.
    """
    search = _Search(Pairs(rows, rows if others is None else others), k, own)
    with search.pairs.computing():
        for found in in_parallel(search.near, search.parts()):
            search.add(found)
    search.settle()
    search.join_processes()
    return search.index[:, k - 1], search.squared[:, k - 1]


class _Search:
    """The k nearest of each row so far (N, k), and pairs that wait to be measured."""

    def __init__(self, pairs: Pairs, k: int, own: Index | None) -> None:
        self.pairs, self.k, self.own = pairs, k, own
        self.symmetric = pairs.first is pairs.second
        count = len(pairs.first)
        self.limits = np.full(count, np.inf)
        self.squared, self.index = np.full((count, k), np.inf), np.full((count, k), np.iinfo(np.int64).max)
        self.waiting: list[Near] = []

    def parts(self) -> Iterable[Pair]:
        """The blocks; first those that give every row a limit."""
        own = blocks(len(self.pairs.first))
        if not self.symmetric:
            return product(own, blocks(len(self.pairs.second)))
        return sorted(upper_pairs(own), key=lambda part: part[0] != part[1])

    def near(self, part: Pair) -> Near:
        """The pairs of a block that may be neighbours."""
        return self.pairs.decided(part, partial(self._near, part))

    def _near(self, part: Pair, bounds: Bounds) -> tuple[Near, int]:
        i, j = part
        block = bounds.block(part)
        self._leave_out_own(block, part, bounds)
        self._lower_limits(i, block, bounds.gaps[1][j], bounds.gaps[0][i], bounds)
        found = bounds.within(block, part, self.limits[i][:, None])
        if self.symmetric and i != j:
            self._lower_limits(j, block.T, bounds.gaps[0][i], bounds.gaps[1][j], bounds)
            theirs = bounds.within(block, part, self.limits[j])
            found = joined([found, theirs._replace(first=theirs.second, second=theirs.first)])
        return found, int((found.upper > self.limits[found.first]).sum())

    def _leave_out_own(self, block: Any, part: Pair, bounds: Bounds) -> None:
        i, j = part
        if self.symmetric and i == j:
            every = np.arange(i.stop - i.start)
            bounds.leave_out(block, every, every)
        elif self.own is not None:
            row = np.flatnonzero((self.own[i] >= j.start) & (self.own[i] < j.stop))
            bounds.leave_out(block, row, self.own[i][row] - j.start)

    def _lower_limits(self, part: slice, block: Any, gaps: Block, own_gaps: Block, bounds: Bounds) -> None:
        """Limits of rows that have none yet, from the upper bounds of this block."""
        if block.shape[1] < self.k or np.isfinite(self.limits[part]).all():
            return
        kth = bounds.kth_smallest(block, gaps, self.k)
        # threads may overwrite each other's: whichever stays is right
        self.limits[part] = np.minimum(self.limits[part], (kth + own_gaps) / bounds.square)

    def add(self, found: Near) -> None:
        """Keep the pairs, and measure them once there are many."""
        self.waiting.append(found)
        if sum(len(own.first) for own in self.waiting) > _WAITING:
            self.settle()

    def settle(self) -> None:
        """Measure the pairs that wait, and keep the k nearest of each row."""
        if not self.waiting:
            return
        i, j, lower, upper = joined(self.waiting)
        self.waiting = []
        near = lower <= self.limits[i]
        i, j, lower, upper = i[near], j[near], lower[near], upper[near]
        self._limit_to_kth(i, upper)
        near = lower <= self.limits[i]
        i, j = i[near], j[near]
        rows = np.unique(i)
        everyone = np.concatenate([np.repeat(rows, self.k), i])
        squared = np.concatenate([self.squared[rows].ravel(), self.pairs.exact(i, j)])
        index = np.concatenate([self.index[rows].ravel(), j])
        order = np.lexsort((index, squared, everyone))
        order = order[_rank(everyone[order]) < self.k]
        self.squared[rows], self.index[rows] = squared[order].reshape(-1, self.k), index[order].reshape(-1, self.k)
        self.limits[rows] = np.minimum(self.limits[rows], self.squared[rows, self.k - 1])

    def _limit_to_kth(self, i: Index, upper: Float) -> None:
        """The k-th smallest upper bound of a row limits it."""
        order = np.lexsort((upper, i))
        kth = order[_rank(i[order]) == self.k - 1]
        self.limits[i[kth]] = np.minimum(self.limits[i[kth]], upper[kth])

    def join_processes(self) -> None:
        """Of what every process has found, the k nearest of each row."""
        processes = current_processes()
        if processes.count == 1:
            return
        squared, index = self.squared.copy(), self.index.copy()
        lengths = [len(squared)] * processes.count
        sent = zip(*(processes.gather_rows(own, lengths) for own in (squared, index)), strict=True)
        for (rank, first, theirs), (_, _, their_index) in sent:
            if rank != processes.rank:
                part = slice(first, first + len(theirs))
                both, both_index = np.hstack([self.squared[part], theirs]), np.hstack([self.index[part], their_index])
                order = np.lexsort((both_index, both), axis=1)[:, : self.k]
                self.squared[part] = np.take_along_axis(both, order, axis=1)
                self.index[part] = np.take_along_axis(both_index, order, axis=1)


def _rank(rows: Index) -> Index:
    """Of each entry its place among those of its row; `rows` is sorted."""
    starts = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]])[: len(rows)]
    ranks: Index = np.arange(len(rows)) - np.repeat(starts, np.diff(np.r_[starts, len(rows)]))
    return ranks
