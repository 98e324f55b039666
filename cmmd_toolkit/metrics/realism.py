"""Realism: how far inside the reference each generated picture lies.

    R(g) = max over r of  |r - NN_k(r)| / |g - r|      over the half of the reference rows with the smaller radii

R >= 1 where some kept ball holds g; the larger balls are left out, since an outlier's ball holds nearly everything.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..common.arguments import whole_number
from ..errors import ArgumentError
from ..estimation.nearest_rows import kth_neighbours
from ..estimation.pair_distances import Float, Index, Pairs, Points
from .neighbours import checked_pair

_BLOCK = 2**21  # pairs at a time


@dataclass(frozen=True, eq=False)
class Realism:
    """What `realism` returns.

    Attributes:
        scores: float64 (M,), R of each generated row, higher is more realistic; infinity for a copy of a kept
            reference row.
        reference_rows: int64 (M,), the reference row whose ball it is, the first among equals.
    """

    scores: Float
    reference_rows: Index


def realism(*, reference: Any, generated: Any, k: int = 3) -> Realism:
    """The realism score of every generated row; formula at the top of the file.

    Args:
        reference: features (N, D) as array, tensor or `Features`, more than k rows.
        generated: features (M, D).
        k: which neighbour gives the radius, not counting the row itself; the paper takes 3.

    Returns:
        Realism. It depends on N: compare pictures under one reference only.

    Raises:
        ArgumentError: widths differ, no more than k reference rows, NaN or infinity, or half of the reference rows have
            k copies, so that no ball is left.

    Source: Kynkaanniemi et al. 2019 (arXiv:1904.06991), section 5, eq. 3.
    """
    k = whole_number(k, "k", 1)
    x, y = checked_pair(reference, generated, 1, "realism")
    if len(x) <= k:
        raise ArgumentError(f"reference: expected more than k = {k} rows, got {len(x)}; add pictures")
    radii = kth_neighbours(Points(x), k)[1]
    kept = np.flatnonzero((radii <= np.median(radii)) & (radii > 0))
    if not len(kept):
        raise ArgumentError(
            f"reference: half of the rows have {k} or more exact copies, so their balls hold nothing; leave copies out"
        )
    pairs = Pairs(Points(y), Points(x[kept]))
    scores, rows = np.zeros(len(y)), np.zeros(len(y), np.int64)
    height = max(1, _BLOCK // len(kept))
    for start in range(0, len(y), height):
        part = slice(start, min(start + height, len(y)))
        scores[part], rows[part] = _largest(pairs, part, radii[kept])
    return Realism(np.sqrt(scores), kept[rows])


def _largest(pairs: Pairs, part: slice, radii: Float) -> tuple[Float, Index]:
    """The largest squared ratio of some rows and its column, exactly: bounds say which pairs may be it."""
    a, b = (side.rows.astype(np.float64) - pairs.centre for side in (pairs.first, pairs.second))
    a = a[part]
    sums = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1)
    squared = sums - 2 * a @ b.T
    slack = (2 * a.shape[1] + 32) * np.finfo(np.float64).eps * sums
    least = (radii / np.maximum(squared + slack, np.finfo(np.float64).tiny)).max(axis=1)
    i, j = np.nonzero(radii >= least[:, None] * (squared - slack))
    with np.errstate(divide="ignore"):
        ratios: NDArray[np.float64] = radii[j] / pairs.exact(i + part.start, j)
    order = np.lexsort((j, -ratios, i))
    first = order[np.searchsorted(i, np.arange(len(a)))]
    return ratios[first], j[first]
