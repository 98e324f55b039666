"""The bootstrap in counts, so that a row drawn twice never meets itself.

Drawing n rows with replacement gives each row a count c_i. A mean over pairs of different rows then is

    sum_{i != j} c_i c_j k(a_i, a_j) / sum_{i != j} c_i c_j,

over ORIGINAL numbers i != j: pairs of copies of one row, whose kernel is that of a row with itself, stay out. With them
in, the squared MMD of every resample would be too large (Bickel and Freedman 1981, Annals of Statistics 9, on
U-statistics). A check on errors in closed form.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmmd_toolkit.estimation.estimate import CONFIDENCE
from cmmd_toolkit.estimation.kernels import GaussianRows, Rows, gamma_of
from cmmd_toolkit.metrics.mmd import MmdReference

Counts = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Resampled values of a statistic, their standard deviation, and the percentile interval of 95 %."""

    values: NDArray[np.float64]
    standard_error: float
    interval: tuple[float, float]


def bootstrap(
    statistic: Callable[[Counts, Counts], float], n: int, m: int, *, resamples: int = 200, seed: int = 0
) -> Bootstrap:
    """Resample two sets of n and m rows; `statistic` takes how often each row was drawn."""
    random = np.random.default_rng(seed)
    draws = (
        tuple(random.multinomial(k, np.full(k, 1 / k)).astype(np.float64) for k in (n, m)) for _ in range(resamples)
    )
    values = np.array([statistic(*draw) for draw in draws])
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Bootstrap(values, float(values.std(ddof=1)), (float(low), float(high)))


def mmd_of_counts(*, reference: Any, generated: Any, bandwidth: float) -> Callable[[Counts, Counts], float]:
    """The unbiased squared MMD as a function of counts; holds the pooled kernel."""
    checked = MmdReference(reference, bandwidth, "unbiased", 0)
    x, y = checked.rows, checked.checked(generated, "generated")
    rows = GaussianRows(np.concatenate([x, y]).astype(np.float64) - checked.centre, gamma_of(bandwidth))
    kernel: Rows = rows.block(slice(None), rows, slice(None))
    np.fill_diagonal(kernel, 0.0)

    def statistic(x_counts: Counts, y_counts: Counts) -> float:
        counts = (
            np.concatenate([x_counts, np.zeros_like(y_counts)]),
            np.concatenate([np.zeros_like(x_counts), y_counts]),
        )
        products = [kernel @ c for c in counts]
        within = (float(c @ p) / float(c.sum() ** 2 - c @ c) for c, p in zip(counts, products, strict=True))
        return sum(within) - 2 * float(counts[1] @ products[0]) / float(counts[0].sum() * counts[1].sum())

    return statistic
