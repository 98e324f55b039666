"""Whether generated pictures are copies: the nearest training row of each, authenticity, exact copies.

    authentic(g)   d(g, t) > min_{t' != t} d(t, t')   with t the training row nearest to g
    AuthPct        100 * share of authentic generated rows

A model that only repeats its training set, with a little noise, has an AuthPct near 0.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..estimation.estimate import CONFIDENCE, Estimate
from ..estimation.kernel_device import kernels_beside
from ..estimation.nearest_rows import kth_neighbours
from ..estimation.pair_distances import Points
from .neighbours import checked_pair

_CAVEAT = "standard error and interval (Wilson) are over draws of generated pictures, for this training set"


@dataclass(frozen=True, eq=False)
class Memorisation:
    """What `memorisation` returns.

    Attributes:
        auth_pct: percentage (0..100) of authentic generated rows, higher is better.
        copies: share (0..1) of generated rows that equal a training row exactly, lower is better.
        nearest: int64 (M,), the training row nearest to each generated row, the first among equals.
        distance: float64 (M,), the Euclidean distance to it.
    """

    auth_pct: Estimate
    copies: Estimate
    nearest: NDArray[np.int64]
    distance: NDArray[np.float64]


def memorisation(*, reference: Any, generated: Any) -> Memorisation:
    """How many generated rows are closer to a training row than that row is to its own nearest neighbour.

    Args:
        reference: features (N, D) of the TRAINING pictures, at least two.
        generated: features (M, D).

    Returns:
        Memorisation: AuthPct (higher is better), the share of exact copies (lower is better), and the nearest
        training row of every generated row. Nothing is random, and distances between copies are exactly zero.

    Raises:
        ArgumentError: widths differ, fewer than two training rows, NaN or infinity.

    Source: Alaa et al. 2022 (arXiv:2102.08921), authenticity; the hard form with one neighbour.
    """
    x, y = checked_pair(reference, generated, 1, "the nearest training row")
    checked_pair(x, x, 2, "the distance between training rows")
    training = Points(x)
    with kernels_beside(reference, generated):
        nearest, squared = kth_neighbours(Points(y), 1, training)
        used, place = np.unique(nearest, return_inverse=True)
        own_squared = kth_neighbours(Points(x[used]), 1, training, own=used)[1]
    authentic = int((squared > own_squared[place]).sum())
    copies = int((squared == 0).sum())
    return Memorisation(
        _share(authentic, len(x), len(y), 100.0), _share(copies, len(x), len(y), 1.0), nearest, np.sqrt(squared)
    )


def _share(count: int, n: int, m: int, scale: float) -> Estimate:
    """count of m generated rows, times `scale`, with the Wilson interval."""
    share = count / m
    from scipy.stats import binomtest  # takes most of a second to import

    interval = binomtest(count, m).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(
        value=scale * share,
        n_reference=n,
        n_generated=m,
        parameters={"count": count, "neighbours": 1},
        caveats=(_CAVEAT, "depends on the number of training rows: compare only values with the same training set"),
        standard_error=scale * sqrt(share * (1 - share) / m),
        interval=(scale * float(interval.low), scale * float(interval.high)),
        corrected=scale * share,
    )
