"""Which kinds of pictures one set has more of than another, with honest shares.

With phi the feature map of a kernel, the difference of the two sets' covariances

    C_y - C_x = mean phi(y) phi(y)^T - mean phi(x) phi(x)^T

has large eigenvalues, positive or negative, where one set has kinds of pictures that the other lacks. Zhang, Li and
Farnia 2024 (arXiv:2402.17287) find new modes by the positive ones, from the pooled kernel matrix; Zhang, Jafari, Li and
Farnia 2024 (arXiv:2405.02700) in random features, for many pictures. Here K = L L^T is that matrix, d = 1/m for
generated and -1/n for reference rows, and the eigenvectors u of L^T diag(d) L give each picture's coordinates

    g_j(z) = phi(z).u_j = k(z, rows) L^-T u_j.

Pictures are put into clusters by their coordinates, each times |eigenvalue|^(1/2), so that clusters lie along what
differs. A cluster that was found where shares differ shows too large a difference on the same pictures. Therefore the
pictures are parted: one half finds the clusters and says which differ most, and the shares are counted on the other
half, with intervals that hold for all of them at once. Copies of one picture are in the same half.

At most a thousand pictures a set find the clusters, and all others are counted: time grows with the pictures.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from ..errors import ArgumentError
from ..estimation.estimate import CONFIDENCE
from ..estimation.kernels import GaussianRows, centre_of, gamma_of, squared_distances
from ..estimation.shared_rows import kinds_of
from ..metrics.median import median_of
from .shares import share_difference

Matrix = NDArray[np.float64]
Index = NDArray[np.int64]
LEAST = 100  # pictures a set
_MOST_FOUND = 1000  # pictures of a set that find the clusters: a matrix of 2,000 x 2,000
_LEAST_DIFFERENT = 25  # on each half of a set
_WIDTH = 0.5  # of the median distance: clusters are narrower than the whole set
_JITTER = 1e-8  # on the diagonal, for copies
_NOTHING = 1e-10  # an eigenvalue below which nothing differs
_STARTS, _STEPS = 5, 50  # of k-means
_TYPICAL = 8
_BLOCK = 4096


@dataclass(frozen=True, eq=False)
class FoundMode:
    """A cluster: the shares of both sets' counted pictures in it, and which rows lie nearest to its middle."""

    share_reference: float
    share_generated: float
    interval: tuple[float, float]
    typical_reference: Index
    typical_generated: Index


@dataclass(frozen=True, eq=False)
class FoundModes:
    """What `find_modes` returns.

    Attributes:
        modes: the clusters, those first that differ most where they were found.
        found, counted: the rows of the reference and of the generated set that found them, and that were counted.
    """

    modes: tuple[FoundMode, ...]
    found: tuple[Index, Index]
    counted: tuple[Index, Index]
    coordinates: "_Coordinates"
    centres: Matrix
    clusters: tuple[int, ...]

    def shares(self, rows: Any) -> Matrix:
        """Of any rows (n, D), the share of each mode."""
        labels = _labels(self.coordinates.at(np.asarray(rows)), self.centres)
        return np.array([float((labels == cluster).mean()) for cluster in self.clusters])


def find_modes(reference: Any, generated: Any, count: int, seed: int) -> FoundModes | str:
    """The `count` clusters of pictures whose shares differ most, or why there are none.

    Args:
        reference, generated: float (N, D) and (M, D), finite.
        count: at least 1; twice as many clusters are made.
        seed: parts the pictures, and begins the clusters.

    Returns:
        FoundModes. Shares are of the pictures that did not find the clusters; the intervals of the differences
        (generated minus reference, Newcombe's) hold at 95 % for all `count` clusters together.
    """
    sides = np.asarray(reference), np.asarray(generated)
    if min(map(len, sides)) < LEAST:
        return f"{min(map(len, sides))} pictures are too few to find kinds on one half and count them on the other"
    random = np.random.default_rng((seed, 0x6D0D))
    kinds = kinds_of(*sides)
    found = _parted(kinds, random)
    used = np.concatenate([own[rows] for own, rows in zip(kinds, found, strict=True)])
    counted = [np.flatnonzero(~np.isin(own, used)) for own in kinds]
    if min(len(np.unique(own[rows])) for part in (found, counted) for own, rows in zip(kinds, part, strict=True)) < (
        _LEAST_DIFFERENT
    ):
        return "too few different pictures to find kinds on one half and count them on the other"
    try:
        width = _WIDTH * median_of(sides[0][found[0]], seed)
    except ArgumentError:
        return "more than half of the reference pictures are alike, so no kernel width can be found for their kinds"
    coordinates = _Coordinates.of([own[rows] for own, rows in zip(sides, found, strict=True)], width, 2 * count)
    if coordinates is None:
        return "no direction differs between the sets"
    every = [coordinates.at(own) for own in sides]
    centres = _clusters(np.concatenate([own[rows] for own, rows in zip(every, found, strict=True)]), 2 * count, random)
    labels = [_labels(own, centres) for own in every]
    chosen = _chosen([own[rows] for own, rows in zip(labels, found, strict=True)], len(centres), count)
    modes = tuple(_mode(j, centres[j], every, labels, kinds, counted, len(chosen)) for j in chosen)
    return FoundModes(modes, (found[0], found[1]), (counted[0], counted[1]), coordinates, centres, tuple(chosen))


def _parted(kinds: list[Index], random: np.random.Generator) -> list[Index]:
    """The rows of either side that find: those of half of the kinds, up to a number."""
    rank = random.permutation(int(max(own.max() for own in kinds)) + 1)
    half = len(rank) // 2
    ordered = [np.flatnonzero(rank[own] < half) for own in kinds]
    return [
        np.sort(rows[np.argsort(rank[own[rows]], kind="stable")[:_MOST_FOUND]])
        for own, rows in zip(kinds, ordered, strict=True)
    ]


@dataclass(frozen=True, eq=False)
class _Coordinates:
    """Every picture's coordinates along what differs, from its kernel to the rows that found it."""

    rows: GaussianRows
    centre: Matrix
    gamma: float
    directions: Matrix

    @classmethod
    def of(cls, sides: list[Any], width: float, count: int) -> "_Coordinates | None":
        """From the rows of both sides that find; None where nothing differs."""
        from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

        pooled, gamma = np.concatenate(sides).astype(np.float64), gamma_of(width)
        centre = centre_of(pooled)
        rows = GaussianRows(pooled - centre, gamma)
        whole = slice(0, len(rows))
        kernel = rows.block(whole, rows, whole) + 1
        kernel.flat[:: len(rows) + 1] = 1 + _JITTER
        lower: Matrix = scipy.linalg.cholesky(kernel, lower=True, overwrite_a=True, check_finite=False)
        signs = np.concatenate([np.full(len(sides[0]), -1 / len(sides[0])), np.full(len(sides[1]), 1 / len(sides[1]))])

        def times(vector: Matrix) -> Matrix:
            product: Matrix = lower.T @ (signs * (lower @ vector.ravel()))
            return product

        start = np.random.default_rng(0).standard_normal(len(rows))
        try:
            values, vectors = eigsh(
                LinearOperator(kernel.shape, matvec=times, dtype=np.float64), count, which="LM", v0=start
            )
        except ArpackError:  # it does not converge where there is nothing to find
            return None
        if not np.abs(values).max() > _NOTHING:
            return None
        scaled = vectors * np.sqrt(np.abs(values))
        return cls(rows, centre, gamma, scipy.linalg.solve_triangular(lower, scaled, lower=True, trans="T"))

    def at(self, rows: Any) -> Matrix:
        """Of any rows (n, D): (n, count)."""
        parts = []
        for start in range(0, len(rows), _BLOCK):
            own = GaussianRows(rows[start : start + _BLOCK].astype(np.float64) - self.centre, self.gamma)
            kernel = own.block(slice(0, len(own)), self.rows, slice(0, len(self.rows))) + 1
            parts.append(kernel @ self.directions)
        return np.concatenate(parts)


def _clusters(points: Matrix, count: int, random: np.random.Generator) -> Matrix:
    """The middles of k-means (k-means++, the best of several starts)."""
    best, least = points[:0], np.inf
    for _ in range(_STARTS):
        centres = _spread_out(points, count, random)
        for _ in range(_STEPS):
            labels = _labels(points, centres)
            moved = np.stack(
                [points[labels == j].mean(axis=0) if (labels == j).any() else centres[j] for j in range(count)]
            )
            if np.array_equal(moved, centres):
                break
            centres = moved
        total = float(squared_distances(points, centres).min(axis=1).sum())
        if total < least:
            best, least = centres, total
    return best


def _labels(points: Matrix, centres: Matrix) -> Index:
    """The nearest middle of each point."""
    labels: Index = squared_distances(points, centres).argmin(axis=1)
    return labels


def _spread_out(points: Matrix, count: int, random: np.random.Generator) -> Matrix:
    """Points drawn with a chance that grows with the distance from those drawn before."""
    drawn = [points[random.integers(len(points))]]
    nearest = np.full(len(points), np.inf)
    for _ in range(count - 1):
        nearest = np.minimum(nearest, squared_distances(points, drawn[-1][None])[:, 0])
        total = nearest.sum()
        drawn.append(points[random.choice(len(points), p=nearest / total) if total > 0 else 0])
    return np.stack(drawn)


def _chosen(labels: list[Index], clusters: int, count: int) -> list[int]:
    """The clusters whose shares differ most beside their noise, among the pictures that found them."""
    reference, generated = (np.bincount(own, minlength=clusters) / len(own) for own in labels)
    pooled = np.clip((reference + generated) / 2, 1e-9, 1 - 1e-9)
    score = np.abs(generated - reference) / np.sqrt(pooled * (1 - pooled))
    return [int(j) for j in np.argsort(-score, kind="stable")[:count]]


def _mode(
    cluster: int,
    centre: Matrix,
    every: list[Matrix],
    labels: list[Index],
    kinds: list[Index],
    counted: list[Index],
    together: int,
) -> FoundMode:
    inside = [own[rows] == cluster for own, rows in zip(labels, counted, strict=True)]
    level = 1 - (1 - CONFIDENCE) / together
    intervals = [share_difference(_count(inside[0]), _count(inside[1]), level)]
    first = [np.unique(own[rows], return_index=True)[1] for own, rows in zip(kinds, counted, strict=True)]
    if any(len(own) < len(rows) for own, rows in zip(first, inside, strict=True)):  # copies count once, too
        single = [own[rows] for own, rows in zip(inside, first, strict=True)]
        intervals.append(share_difference(_count(single[0]), _count(single[1]), level))
    interval = min(low for low, _ in intervals), max(high for _, high in intervals)
    typical = [_typical(own, mine == cluster, centre) for own, mine in zip(every, labels, strict=True)]
    return FoundMode(float(inside[0].mean()), float(inside[1].mean()), interval, typical[0], typical[1])


def _count(inside: NDArray[np.bool_]) -> tuple[int, int]:
    return int(inside.sum()), len(inside)


def _typical(coordinates: Matrix, inside: NDArray[np.bool_], centre: Matrix) -> Index:
    """The rows of a side that lie nearest to the middle of a cluster, nearest first."""
    rows = np.flatnonzero(inside)
    order = np.argsort(squared_distances(coordinates[rows], centre[None])[:, 0], kind="stable")
    return rows[order[:_TYPICAL]]
