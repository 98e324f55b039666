"""C_T: are generated pictures nearer to the training pictures than unseen real ones are?

    Z_U(cell) = (U - m n / 2) / sqrt(m n (m + n + 1) / 12)     U counts pairs with d(generated) > d(test), ties as half
    C_T       = sum over cells of  n Z_U  /  sum of n

d is the distance to the nearest training row of the cell, m and n are the generated and test rows in it; cells are
k-means clusters of the training rows, those with too few generated or no test rows are left out. C_T is about normal
with mean 0 when generated and test pictures lie alike; well below 0, say -3, the model copies.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from ..common.arguments import check_seed, whole_number
from ..errors import ArgumentError
from ..estimation.estimate import Estimate
from ..estimation.nearest_rows import kth_neighbours
from ..estimation.pair_distances import Points
from .neighbours import checked_pair

_CAVEAT = "depends on the three sample sizes and the cells: compare only values with equal ones"
_NO_ERROR = "it is the statistic of a test, whose standard deviation is about null_deviation when nothing is copied"

Rows = NDArray[Any]


def copying_score(
    *, training: Any, test: Any, generated: Any, cells: int = 5, least: int = 20, seed: int = 0
) -> Estimate:
    """The three-sample statistic C_T of data copying; formula at the top of the file.

    Args:
        training, test, generated: features (T, D), (N, D), (M, D) as array, tensor or `Features`; test rows are real
            and were not trained on.
        cells: k-means clusters of the training rows.
        least: generated rows that a cell needs.
        seed: of k-means.

    Returns:
        Estimate; below 0 the generated rows are nearer to the training rows than test rows are (copying), above 0
        farther (underfitting); 0 is best. `parameters`: cells, cells_used, least, seed, null_deviation, and
        p_value, one-sided, of copying (normal approximation). `n_reference` counts test rows.

    Raises:
        ArgumentError: widths differ, NaN or infinity, more cells than training rows, or no cell with enough rows.

    Source: Meehan, Chaudhuri and Dasgupta 2020 (arXiv:2004.05675), sections 3 and 4.
    """
    cells, least = whole_number(cells, "cells", 1), whole_number(least, "least", 1)
    x, p = _checked(training, test, "training", "test")
    _, q = _checked(training, generated, "training", "generated")
    if cells > len(x):
        raise ArgumentError(f"cells: expected at most {len(x)}, the training rows, got {cells}; use fewer")
    own, test_cells, generated_cells = _cells(x, p, q, cells, check_seed(seed))
    counts, scores = list[int](), list[float]()
    for cell in range(cells):
        inside = x[own == cell], p[test_cells == cell], q[generated_cells == cell]
        if len(inside[0]) and len(inside[1]) and len(inside[2]) >= least:
            counts.append(len(inside[1]))
            scores.append(_z(*inside))
    if not counts:
        raise ArgumentError(
            f"least: no cell holds {least} generated rows and a test row; use fewer cells or a smaller least"
        )
    weights = np.array(counts) / sum(counts)
    value, deviation = float(weights @ np.array(scores)), float(np.sqrt(np.square(weights).sum()))
    parameters = {
        "cells": cells,
        "cells_used": len(counts),
        "least": least,
        "seed": seed,
        "null_deviation": deviation,
        "p_value": float(norm.cdf(value / deviation)),
    }
    return Estimate(value, len(p), len(q), parameters, (_CAVEAT,), no_error_reason=_NO_ERROR)


def _checked(first: Any, second: Any, name: str, other: str) -> tuple[Rows, Rows]:
    try:
        return checked_pair(first, second, 1, "C_T")
    except ArgumentError as error:  # whose sides are called otherwise
        text = str(error).replace("reference", name).replace("generated", other)
        raise ArgumentError(text) from error


def _cells(x: Rows, p: Rows, q: Rows, count: int, seed: int) -> tuple[NDArray[np.int32], ...]:
    """The cell of each training, test and generated row."""
    from sklearn.cluster import KMeans

    means = KMeans(count, n_init=1, random_state=seed).fit(x.astype(np.float64))
    return means.labels_, means.predict(p.astype(np.float64)), means.predict(q.astype(np.float64))


def _z(x: Rows, p: Rows, q: Rows) -> float:
    """Z_U of one cell."""
    training = Points(x)
    test, generated = (kth_neighbours(Points(rows), 1, training)[1] for rows in (p, q))
    n, m = len(p), len(q)
    ranks = rankdata(np.concatenate([generated, test]))
    u = float(ranks[:m].sum()) - m * (m + 1) / 2
    return (u - m * n / 2) / float(np.sqrt(m * n * (m + n + 1) / 12))
