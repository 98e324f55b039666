"""Permutation test of "these two sets differ", by the unbiased squared MMD.

The rows of both sets are pooled and dealt out anew many times. For a vector z of zeros and ones that says which rows
are called reference, and the pooled kernel matrix K without its diagonal,

    MMD^2(z) = z^T K z / (n (n - 1)) + (1 - z)^T K (1 - z) / (m (m - 1)) - 2 z^T K (1 - z) / (n m),

so all permutations together are one matrix product K Z, taken block by block. Exact at every sample size, whatever the
distributions (Gretton et al. 2012, section 5; Phipson and Smyth 2010 for the counting of the observed one).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..common.arguments import MOST_REPEATS, check_seed, whole_number
from ..common.processes import current_processes
from ..common.text import p_phrase
from ..errors import ArgumentError
from ..estimation.blocks import blocks, in_parallel, upper_pairs
from ..estimation.kernels import GaussianRows, centre_of, gamma_of
from ..metrics.mmd import Bandwidth, MmdReference, check_bandwidth, median_distance
from ..pictures.sources import subset_rows

MOST_ROWS = 8000


@dataclass(frozen=True)
class TwoSampleTest:
    """What `two_sample_test` returns.

    Attributes:
        statistic: unbiased squared MMD of the rows that were used.
        p_value: the chance of a statistic at least this large if both sets come from one distribution.
        n_reference, n_generated: rows used.
        permutations: number of random reassignments of the rows; p_value is at least 1 / (permutations + 1).
        parameters: bandwidth, bandwidth_rule, seed, JSON-able.
        caveats: among them whether a subset was used.
    """

    statistic: float
    p_value: float
    n_reference: int
    n_generated: int
    permutations: int
    parameters: Mapping[str, Any]
    caveats: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"TwoSampleTest({self.statistic:.4g}, {p_phrase(self.p_value)}, {self.permutations:,} permutations)"


def two_sample_test(
    *,
    reference: Any,
    generated: Any,
    bandwidth: Bandwidth = "median-pooled",
    permutations: int = 1999,
    max_rows: int = MOST_ROWS,
    seed: int = 0,
) -> TwoSampleTest:
    """Do two sets of features come from different distributions?

    Args:
        reference, generated: features (N, D) and (M, D) as array, tensor or `Features`, at least two rows each.
        bandwidth: of the Gaussian kernel, a number or "median-pooled", the median distance over both sets: it must
            not know which set a row belongs to. "median" (of the reference) does, and is refused.
        permutations: random reassignments of the rows, at least 19.
        max_rows: rows used in all, at least 40. Of more, a seeded subset of the larger set is taken, and the smaller
            is kept whole unless it has more than half of them.
        seed: of the deals, of the subset and of the median.

    Returns:
        TwoSampleTest; a small p_value says that the sets differ. A large one does not say that they are equal.

    Raises:
        ArgumentError: widths differ, fewer than two rows, NaN or infinity, a bandwidth that is not allowed.

    Source: Gretton et al. 2012 (JMLR 13), section 5; eq. 3 for the statistic.
    """
    if check_bandwidth(bandwidth) == "median":
        raise ArgumentError(
            "bandwidth: expected a number or median-pooled, since a permutation test must not know the "
            "reference, got median; use median-pooled"
        )
    seed = checked_draws(permutations, max_rows, seed)
    checked = MmdReference(reference, bandwidth, "unbiased", seed)
    every = checked.rows, checked.checked(generated, "generated")
    counts = kept_rows(len(every[0]), len(every[1]), max_rows)
    x, y = (rows[subset_rows(len(rows), count, seed)] for rows, count in zip(every, counts, strict=True))
    pooled = np.concatenate([x, y]).astype(np.float64)
    sigma = float(bandwidth) if bandwidth != "median-pooled" else median_distance(pooled, seed)
    pooled -= centre_of(pooled)
    statistics = _statistics(GaussianRows(pooled, gamma_of(sigma)), len(x), permutations, seed)
    slack = 1e-12 * float(np.abs(statistics).max())  # equal deals may round differently
    p_value = float((statistics >= statistics[0] - slack).mean())
    parameters = {
        "bandwidth": sigma,
        "bandwidth_rule": bandwidth if isinstance(bandwidth, str) else "given",
        "seed": seed,
    }
    caveats = thinned((len(every[0]), len(every[1])), counts, "rows")
    return TwoSampleTest(float(statistics[0]), p_value, len(x), len(y), int(permutations), parameters, caveats)


def checked_draws(permutations: int, max_rows: int, seed: int) -> int:
    """The seed of a test by permutations whose options can be, or an ArgumentError."""
    whole_number(permutations, "permutations", 19, MOST_REPEATS)
    whole_number(max_rows, "max_rows", 40)
    return check_seed(seed)


def kept_rows(n: int, m: int, most: int) -> tuple[int, int]:
    """How many rows of each set are used: the noise is the smaller set's, so the larger is thinned out first."""
    half = most // 2
    if n + m <= most:
        return n, m
    if min(n, m) <= half:
        return (n, most - n) if n < m else (most - m, m)
    return half, most - half


def thinned(sizes: tuple[int, int], used: tuple[int, int], what: str) -> tuple[str, ...]:
    """A caveat where not all of both sets is used."""
    sides = zip(("reference", "generated"), sizes, used, strict=True)
    subsets = [f"{few:,} of {size:,} {name} {what}" for name, size, few in sides if few < size]
    return (f"a seeded subset of {' and '.join(subsets)}; raise max_rows for all",) if subsets else ()


def _statistics(rows: GaussianRows, n: int, permutations: int, seed: int) -> NDArray[np.float64]:
    """The observed statistic first, then one for every deal."""
    total, random = len(rows), np.random.default_rng(seed)
    labels = np.zeros((total, permutations + 2))
    labels[:n, 0] = 1.0
    labels[:, -1] = 1.0  # for the sum of K
    for k in range(1, permutations + 1):
        labels[random.permutation(total)[:n], k] = 1.0
    products = _kernel_times(rows, labels)
    within: NDArray[np.float64] = np.einsum("ij,ij->j", labels, products)[:-1]  # z^T K z
    between = products[:, :-1].sum(axis=0) - within  # z^T K (1 - z)
    others = products[:, -1].sum() - within - 2 * between
    m = total - n
    statistics: NDArray[np.float64] = within / (n * (n - 1)) + others / (m * (m - 1)) - 2 * between / (n * m)
    return statistics


def _kernel_times(rows: GaussianRows, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """K times a matrix, K - 1 off the diagonal and 0 on it, a block of K at a time."""
    product = np.zeros_like(matrix)

    def one(pair: tuple[slice, slice]) -> tuple[tuple[slice, slice], NDArray[Any], NDArray[Any] | None]:
        i, j = pair
        block = rows.block(i, rows, j)
        if i == j:
            np.fill_diagonal(block, 0.0)
            return pair, block @ matrix[i], None
        return pair, block @ matrix[j], block.T @ matrix[i]

    for (i, j), down, across in in_parallel(one, upper_pairs(blocks(len(rows)))):
        product[i] += down
        if across is not None:
            product[j] += across
    current_processes().sum(product)
    return product
