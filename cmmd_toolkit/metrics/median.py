"""The median distance of a set, the usual bandwidth of a Gaussian kernel."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..common.arguments import check_seed
from ..errors import ArgumentError
from ..estimation.kernels import centre_of, squared_distances
from ..features.matrices import as_matrix, check_digits
from ..features.unit_rows import SomeRows

MEDIAN_ROWS = 4000


def median_distance(features: Any, seed: int = 0) -> float:
    """Median Euclidean distance over the pairs i < j of rows (of a seeded 4,000 rows when there are more).

    Raises ArgumentError when it is zero: more than half of the pairs are identical.
    """
    rows, seed = as_matrix(features, "features"), check_seed(seed)
    if len(rows) < 2:
        raise ArgumentError("features: a median distance needs at least two rows, got 1")
    check_digits(rows, rows, "features")
    return median_of(rows, seed)


def median_of(rows: SomeRows, seed: int, where: str = "within the features") -> float:
    """`median_distance` of rows that are checked already; an error says `where` it is zero."""
    chosen = _median_rows(len(rows), seed)
    return _median(rows[:] if chosen is None else rows[chosen], where)


def median_of_pooled(first: SomeRows, second: SomeRows, seed: int) -> float:
    """The same over both sets, of which nothing of their size is made."""
    chosen, where = _median_rows(len(first) + len(second), seed), "over both sets"
    if chosen is None:
        return _median(np.concatenate([first[:], second[:]]), where)
    own = chosen < len(first)
    return _median(np.concatenate([first[chosen[own]], second[chosen[~own] - len(first)]]), where)


def _median_rows(count: int, seed: int) -> NDArray[np.int64] | None:
    """Which rows the median is taken over, None for all."""
    if count <= MEDIAN_ROWS:
        return None
    return np.sort(np.random.default_rng(seed).choice(count, MEDIAN_ROWS, replace=False))


def _median(rows: NDArray[Any], where: str) -> float:
    rows = rows - centre_of(rows)
    distances = np.empty(len(rows) * (len(rows) - 1) // 2)
    start = 0
    for i in range(0, len(rows), 256):
        block = squared_distances(rows[i : i + 256], rows[i:])
        for k in range(len(block)):
            pairs = block[k, k + 1 :]
            distances[start : start + len(pairs)] = pairs
            start += len(pairs)
    median = float(np.sqrt(_median_of_two(distances)))
    if not median > 0:
        raise ArgumentError(
            f"the median distance {where} is zero, since more than half of the pictures there are identical; give a "
            "bandwidth > 0"
        )
    return median


def _median_of_two(squared: NDArray[np.float64]) -> float:
    """Square of the median distance; for an even count the mean of the two middle distances."""
    middle = len(squared) // 2
    if len(squared) % 2:
        squared.partition(middle)
        return float(squared[middle])
    squared.partition([middle - 1, middle])
    return float((np.sqrt(squared[middle - 1]) + np.sqrt(squared[middle])) / 2) ** 2
