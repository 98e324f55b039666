"""Rows of features that are copies, or nearly: shared by two sets, or repeated within one.

A picture that was saved again, or embedded in another batch or on another device, has nearly the features it had. Two
rows count as copies when they are equal, or nearer than

    r = min(0.01, c) * min(median distance, median distance to the nearest other row)

both medians over distinct reference rows. In few dimensions two pictures may be as near by chance: (r / s)^d log 2 is
about the chance that a row has a neighbour within r when the median neighbour is at s, and c keeps the expected number
of such rows below 0.001. The dimension d is that of the neighbourhoods (the median of s_2 / s_1 is 2^(1 / d); Facco et
al. 2017, arXiv:1803.06992), at most D.

The search is exact: an orthonormal projection never lengthens a distance, so all neighbours within r are neighbours
within r in the projection, where a k-d tree finds them; each is then measured on the whole rows.
"""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from hashlib import blake2b
from math import exp, log
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from ..common.row_collector import gathered, row_blocks
from ..features.unit_rows import SomeRows, UnitRows, taken
from .kernels import centre_of, squared_distances

_NEAR = 0.01
_EXPECTED_BY_CHANCE = 1e-3
_PROJECTIONS = 8
_RULER_ROWS, _PROBES = 512, 128
_BLOCK = 2**22  # numbers at a time
_KEY_COLUMNS = 8
_SLACK = 1e-6  # of r, for the rounding of projections

Rows = NDArray[np.floating[Any]]
Index = NDArray[np.int64]


class SharedRows:
    """Counts of copies beside one reference (N, D), float32 or float64; everything about it is computed once."""

    def __init__(self, reference: Rows, seed: int = 0) -> None:
        first = first_of_each(_digests(reference))
        self._random = np.random.default_rng(seed)
        self.digests, self.distinct = first.keys(), _some(reference, list(first.values()))
        self.centre = centre_of(reference)
        dim = reference.shape[1]
        directions = self._random.standard_normal((dim, min(dim, _PROJECTIONS)))
        self._axes: NDArray[np.float64] = np.linalg.qr(directions)[0]

    def shared(self, generated: Rows) -> int:
        """How many rows (M, D) are copies of a reference row."""
        known = np.array([digest in self.digests for digest in _digests(generated)])
        others = _some(generated, np.flatnonzero(~known))
        return int(known.sum()) + int(self._near(others, self.distinct, self.radius(len(others)), self._tree, 0).sum())

    def repeated(self, rows: Rows) -> int:
        """How many rows (M, D) are copies of another one among them."""
        digests = _digests(rows)
        counts = Counter(digests)
        single = np.array([counts[digest] == 1 for digest in digests])
        several = np.array([count > 1 for count in counts.values()])
        firsts = np.array(list(first_of_each(digests).values()))
        distinct = _some(rows, np.concatenate([np.flatnonzero(single), firsts[several]]))
        radius = self.radius(len(rows) * max(1.0, len(rows) / len(self.distinct)))
        near = self._near(distinct[: int(single.sum())], distinct, radius, self._plant(distinct), 1)
        return int((~single).sum()) + int(near.sum())

    def radius(self, rows: float) -> float:
        """r for a search with that many rows; 0 where the reference has too few distinct rows for a ruler."""
        median, nearest, dim = self._ruler
        chance = exp(log(_EXPECTED_BY_CHANCE / (max(rows, 1) * log(2))) / dim)
        return min(_NEAR, chance) * min(median, nearest)

    @cached_property
    def _ruler(self) -> tuple[float, float, float]:
        """Median distance, median distance to the nearest other row, dimension of the neighbourhoods."""
        count, width = self.distinct.shape
        if count < 3:
            return 0.0, 0.0, 1.0
        drawn = self._centred(self.distinct[self._draw(_RULER_ROWS)])
        pairs = squared_distances(drawn, drawn)[np.triu_indices(len(drawn), 1)]
        first, second = self._two_nearest(self._draw(_PROBES))
        kept = first > 0
        ratio = float(np.median(second[kept] / first[kept])) if kept.any() else 1.0
        dim = min(float(width), log(2) / log(ratio)) if ratio > 1 else float(width)
        return float(np.sqrt(np.median(pairs))), float(np.median(first)), dim

    def _draw(self, most: int) -> Index:
        count = len(self.distinct)
        return self._random.permutation(count)[:most] if count > most else np.arange(count)

    def _two_nearest(self, probes: Index) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Distances of some distinct rows to their two nearest others, measured again on the rows themselves."""
        places = np.full((len(probes), 3), -1, np.int64)
        best = np.full((len(probes), 3), np.inf)
        own = self._centred(self.distinct[probes])
        height = max(1, _BLOCK // max(len(probes), self.distinct.shape[1]))
        for start in range(0, len(self.distinct), height):
            block = squared_distances(own, self._centred(self.distinct[start : start + height]))
            block[(inside := (probes >= start) & (probes < start + height)), probes[inside] - start] = np.inf
            every = np.concatenate([best, block], axis=1)
            where = np.concatenate([places, np.broadcast_to(np.arange(block.shape[1]) + start, block.shape)], axis=1)
            order = np.argpartition(every, min(2, every.shape[1] - 1), axis=1)[:, :3]
            best, places = np.take_along_axis(every, order, 1), np.take_along_axis(where, order, 1)
        exact = np.where(places >= 0, _distances(self.distinct[probes][:, None], self.distinct[places]), np.inf)
        exact.sort(axis=1)
        return exact[:, 0], exact[:, 1]

    def _centred(self, rows: Rows) -> Rows:
        return rows.astype(np.float64) - self.centre

    @cached_property
    def _tree(self) -> Any:
        return self._plant(self.distinct)

    def _plant(self, rows: Rows) -> Any:
        from scipy.spatial import cKDTree

        return cKDTree(self._projected(rows))

    def _projected(self, rows: Rows) -> NDArray[np.float64]:
        height = max(1, _BLOCK // rows.shape[1])
        parts = [self._centred(rows[i : i + height]) @ self._axes for i in range(0, len(rows), height)]
        return np.concatenate(parts) if parts else np.empty((0, self._axes.shape[1]))

    def _near(self, rows: Rows, others: Rows, radius: float, tree: Any, own: int) -> NDArray[np.bool_]:
        """Which rows have one of `others` within the radius; with `own` 1, row i is others[i] and does not count.

        The nearest in projection first, then more of them for the rows that it does not settle.
        """
        found = np.zeros(len(rows), bool)
        if radius <= 0 or len(others) <= own:
            return found
        points = self._projected(rows)
        reach = radius * (1 + _SLACK) + 1e-14 * float(np.abs(points).max(initial=0.0))
        open_rows, count = np.arange(len(rows)), 1 + own
        while len(open_rows):
            left = []
            height = max(1, _BLOCK // (count * rows.shape[1]))
            for start in range(0, len(open_rows), height):
                batch = open_rows[start : start + height]
                ranks = list(range(1, min(count, len(others)) + 1))
                distance, place = tree.query(points[batch], ranks, distance_upper_bound=reach)
                candidate = np.isfinite(distance)
                candidate &= (place != batch[:, None]) if own else True
                i, j = np.nonzero(candidate)
                near = _distances(rows[batch[i]], others[place[i, j]]) <= radius
                found[batch[i[near]]] = True
                left.append(batch[~found[batch] & np.isfinite(distance[:, -1])])
            open_rows = np.concatenate(left) if count < len(others) else np.empty(0, np.int64)
            count *= 4
        return found


@overload
def without_copies(rows: NDArray[Any]) -> NDArray[Any]: ...


@overload
def without_copies(rows: UnitRows) -> UnitRows: ...


def without_copies(rows: SomeRows) -> SomeRows:
    """The rows (N, D), exact copies once, in their order; the same object where there are none."""
    kept = are_first(rows)
    return rows if kept.all() else taken(rows, np.flatnonzero(kept))


def are_first(rows: SomeRows) -> NDArray[np.bool_]:
    """Of each row (N, D) whether it is no exact copy of one before it."""
    kept, repeated = np.ones(len(rows), np.bool_), _may_repeat(rows)
    if len(repeated):
        kept[repeated] = False
        kept[repeated[list(first_of_each(_digests(taken(rows, repeated))).values())]] = True
    return kept


def kinds_of(*sets: SomeRows) -> list[Index]:
    """A number for each row of every set, equal for rows that are exact copies, from 0 without gaps."""
    known: dict[bytes, int] = {}
    return [np.array([known.setdefault(digest, len(known)) for digest in _digests(rows)], np.int64) for rows in sets]


def _may_repeat(rows: SomeRows) -> Index:
    """The rows that some other row equals in a few columns: a copy is among them, and few others."""
    columns = np.unique(np.linspace(0, rows.shape[1] - 1, _KEY_COLUMNS).astype(np.int64))
    keys = np.concatenate([rows[block][:, columns] + 0.0 for block in row_blocks(*rows.shape)])  # -0.0 is 0.0
    whole = np.ascontiguousarray(keys).view(np.dtype((np.void, keys.itemsize * keys.shape[1])))[:, 0]
    _, place, counts = np.unique(whole, return_inverse=True, return_counts=True)
    return np.flatnonzero(counts[place] > 1)


def _some(rows: Rows, index: Sequence[int] | Index) -> Rows:
    """rows[index] without a copy where it is all of them."""
    return rows if len(index) == len(rows) else gathered(rows, np.asarray(index, np.int64))


def _distances(first: Rows, second: Rows) -> NDArray[np.float64]:
    difference = first.astype(np.float64) - second
    distances: NDArray[np.float64] = np.sqrt(np.einsum("...i,...i->...", difference, difference))
    return distances


def _digests(rows: SomeRows) -> list[bytes]:
    parts = (rows[block] for block in row_blocks(*rows.shape))
    return [blake2b((row + 0.0).tobytes(), digest_size=16).digest() for part in parts for row in part]  # -0.0 is 0.0


def first_of_each(digests: list[bytes]) -> dict[bytes, int]:
    """The first row of each kind, in their order."""
    first: dict[bytes, int] = {}
    for i, digest in enumerate(digests):
        first.setdefault(digest, i)
    return first
