"""Squared maximum mean discrepancy with a Gaussian kernel.

    unbiased   mean_{i!=j} k(x_i, x_j) + mean_{i!=j} k(y_i, y_j) - 2 mean_{ij} k(x_i, y_j)
               (Gretton et al. 2012, eq. 3: a U-statistic, 0 on average for equal distributions, so it may be negative)
    biased     the same means with the diagonals included (eq. 5; what the released CMMD computes)

Rows are copied once to be centred and scaled, up to 256 MiB a set; of larger sets every block is made anew when it is
needed, which gives the same sums (docs/performance.md has the cost).

Precision: float64 throughout up to 5e10 multiplications. Larger problems take the products of a block in
float32 where the exponents are small enough for that (unit-normalised embeddings always are), the sums stay
float64; docs/precision.md has the measured difference.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..common.arguments import check_seed, real_number
from ..common.row_collector import IN_MEMORY
from ..errors import ArgumentError
from ..estimation.estimate import Estimate
from ..estimation.intervals import covering_copies, distance_estimate
from ..estimation.kernels import (
    GaussianRows,
    Rows,
    Within,
    centre_of,
    gamma_of,
    squared_distances,
    sums_between,
    sums_within,
)
from ..estimation.shared_rows import without_copies
from ..estimation.streamed_rows import StreamedGaussianRows
from ..estimation.ustatistics import Term, biased_value_of
from ..features.features import GaussianStatistics, rows_needed
from ..features.matrices import as_matrix, check_digits
from ..features.unit_rows import SomeRows, UnitRows

Estimator = Literal["unbiased", "biased"]
Bandwidth = float | Literal["median", "median-pooled"]

MEDIAN_ROWS = 4000
_EPS = float(np.finfo(np.float64).eps)
BIASED = "biased upwards by about 1/n a side; the interval is of the number without that bias"
_EXACT_MULTIPLICATIONS = 5e10
_SINGLE_EXPONENT = 100.0  # float32 products leave at most 100 * 6e-8 in an exponent
_SMALL_EXPONENT = 1e-6  # below it the squares of the kernel's sums near the end of float32
SMALLEST_BANDWIDTH, LARGEST_BANDWIDTH = 1e-30, 1e30


def squared_mmd(
    *,
    reference: Any,
    generated: Any,
    bandwidth: Bandwidth = "median",
    estimator: Estimator = "unbiased",
    seed: int = 0,
) -> Estimate:
    """Squared MMD between two sets of features under a Gaussian kernel, unscaled.

    The features are used as given: normalise embeddings to unit length first, as `compare` does.

    Args:
        reference, generated: features (N, D) as array, tensor or `Features`.
        bandwidth: Gaussian sigma in feature units; or "median", the median distance between reference pictures,
            so that several generated sets are measured with one ruler; or "median-pooled", over both sets.
        estimator: "unbiased" (U-statistic) or "biased" (V-statistic).
        seed: draws the rows for the median when there are more than 4,000.

    Returns:
        Estimate, lower is better, 0 on average for equal distributions when unbiased, with its standard error and
        95 % interval (closed form, `inference.ustatistics`); `corrected` is the unbiased number. `parameters`:
        estimator, bandwidth, bandwidth_rule, precision.

    Raises:
        ArgumentError: widths differ, fewer than two rows, NaN or infinity, a bandwidth that is not positive.

    Source: Gretton et al. 2012 (JMLR 13), Lemma 6; Jayasumana et al. 2024 (arXiv:2401.09603), eq. 4.
    """
    return MmdReference(reference, bandwidth, estimator, seed).distance(generated)


@dataclass(frozen=True, eq=False)
class MmdScore:
    """An estimate and the kernel sums that it was made of, from which tests and witnesses need no second pass.

    `distinct` is the unbiased score of the same sets without exact copies, where they hold any.
    """

    estimate: Estimate
    terms: tuple[Term, Term, Term]
    rows: tuple[GaussianRows, GaussianRows] | None
    distinct: "MmdScore | None" = None

    def without_rows(self) -> "MmdScore":
        """The same, without the scaled copies of both sets, which only tests need."""
        return replace(self, rows=None, distinct=self.distinct and self.distinct.without_rows())


class MmdReference:
    """The reference side: its bandwidth and kernel sums, computed once for any number of generated sets."""

    def __init__(self, reference: Any, bandwidth: Bandwidth, estimator: Estimator, seed: int) -> None:
        self.rows = _checked_rows(reference, "reference")
        self.centre = centre_of(self.rows)
        self.rule = check_bandwidth(bandwidth)
        self.estimator = _check_estimator(estimator)
        self.seed = check_seed(seed)
        self._own: dict[tuple[float, str], tuple[GaussianRows, Within]] = {}

    def distance(self, generated: Any) -> Estimate:
        """Squared MMD from the reference to one generated set."""
        return self.score(generated).estimate

    def score(self, generated: Any, name: str = "generated") -> MmdScore:
        """Squared MMD from the reference to one generated set, and the sums behind it."""
        rows = self.checked(generated, name)
        sigma = self._sigma(rows)
        score = self._score(rows, sigma)
        x, y = self._distinct, without_copies(rows)
        if len(x) + len(y) == len(self.rows) + len(rows):
            return score
        if min(len(x), len(y)) < 2:
            reason = "all pictures of a set are copies of one"
            bare = replace(score.estimate, standard_error=None, interval=None, no_error_reason=reason)
            return replace(score, estimate=bare)
        distinct = MmdReference(x, sigma, "unbiased", self.seed)._score(y, sigma)
        return replace(score, estimate=covering_copies(score.estimate, distinct.estimate), distinct=distinct)

    def _score(self, rows: SomeRows, sigma: float) -> MmdScore:
        gamma = gamma_of(sigma)
        dtype = self._precision(rows, gamma)
        x, own = self._reference_sums(sigma, dtype)
        y = self._kernel_rows(rows, dtype, gamma)
        terms = (
            Term(1.0, own, "reference"),
            Term(1.0, sums_within(y), "generated"),
            Term(-2.0, sums_between(x, y), "reference", "generated"),
        )
        parameters = {
            "estimator": self.estimator,
            "kernel": "gaussian",
            "bandwidth": sigma,
            "bandwidth_rule": self.rule if isinstance(self.rule, str) else "given",
            "precision": "float64" if dtype == np.float64 else "float32 products, float64 sums",
        }
        estimate = distance_estimate(terms, len(x), len(y), parameters)
        if self.estimator == "biased":
            estimate = replace(estimate, value=_floored(biased_value_of(terms), terms), caveats=(BIASED,))
        return MmdScore(estimate, terms, (x, y))

    def checked(self, generated: Any, name: str) -> SomeRows:
        """The rows of a generated set, as wide as the reference's, or an ArgumentError."""
        rows = _checked_rows(generated, name)
        if rows.shape[1] != self.rows.shape[1]:
            raise ArgumentError(
                f"features of different width: reference has {self.rows.shape[1]}, {name} has {rows.shape[1]}; "
                "use the same backbone for both"
            )
        check_digits(self.rows, rows, name)
        return rows

    @cached_property
    def _distinct(self) -> SomeRows:
        return without_copies(self.rows)

    def _reference_sums(self, sigma: float, dtype: type[np.floating[Any]]) -> tuple[GaussianRows, Within]:
        key = (sigma, np.dtype(dtype).name)
        if key not in self._own:
            rows = self._kernel_rows(self.rows, dtype, gamma_of(sigma))
            self._own = {key: (rows, sums_within(rows))}  # one at a time: a scaled copy is as large as the rows
        return self._own[key]

    def _sigma(self, generated: SomeRows) -> float:
        if self.rule == "median":
            return self._median
        if self.rule == "median-pooled":
            return _median_of_pooled(self.rows, generated, self.seed)
        return float(self.rule)

    @cached_property
    def _median(self) -> float:
        return _median_of(self.rows, self.seed)

    def _precision(self, generated: SomeRows, gamma: float) -> type[np.floating[Any]]:
        n, m, dim = len(self.rows), len(generated), self.rows.shape[1]
        if (n * n / 2 + m * m / 2 + n * m) * dim <= _EXACT_MULTIPLICATIONS:
            return np.float64
        largest = max(self._largest_norm(self.rows), self._largest_norm(generated))
        return np.float32 if _SMALL_EXPONENT <= gamma * largest <= _SINGLE_EXPONENT else np.float64

    def _largest_norm(self, rows: SomeRows) -> float:
        return max(
            float(np.square(rows[i : i + 1024] - self.centre).sum(axis=1).max()) for i in range(0, len(rows), 1024)
        )

    def _kernel_rows(self, rows: SomeRows, dtype: type[np.floating[Any]], gamma: float) -> GaussianRows:
        """Rows less the reference's centre: distances stay, cancellation in |a|^2 + |b|^2 - 2ab goes."""
        if rows.shape[0] * rows.shape[1] * np.dtype(dtype).itemsize > IN_MEMORY:
            return StreamedGaussianRows(rows, self.centre, dtype, gamma)
        centred: Rows = np.empty(rows.shape, dtype)
        for i in range(0, len(rows), 1024):
            centred[i : i + 1024] = rows[i : i + 1024] - self.centre
        return GaussianRows(centred, gamma)


def median_distance(features: Any, seed: int = 0) -> float:
    """Median Euclidean distance over the pairs i < j of rows (of a seeded 4,000 rows when there are more).

    Raises ArgumentError when it is zero: more than half of the pairs are identical.
    """
    rows, seed = as_matrix(features, "features"), check_seed(seed)
    if len(rows) < 2:
        raise ArgumentError("features: a median distance needs at least two rows, got 1")
    check_digits(rows, rows, "features")
    return _median_of(rows, seed)


def _median_of(rows: SomeRows, seed: int) -> float:
    """The same of rows that are checked already."""
    chosen = _median_rows(len(rows), seed)
    return _median(rows[:] if chosen is None else rows[chosen])


def _median_of_pooled(first: SomeRows, second: SomeRows, seed: int) -> float:
    """The same over both sets, of which nothing of their size is made."""
    chosen = _median_rows(len(first) + len(second), seed)
    if chosen is None:
        return _median(np.concatenate([first[:], second[:]]))
    own = chosen < len(first)
    return _median(np.concatenate([first[chosen[own]], second[chosen[~own] - len(first)]]))


def _median_rows(count: int, seed: int) -> NDArray[np.int64] | None:
    """Which rows the median is taken over, None for all."""
    if count <= MEDIAN_ROWS:
        return None
    return np.sort(np.random.default_rng(seed).choice(count, MEDIAN_ROWS, replace=False))


def _median(rows: NDArray[Any]) -> float:
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
            "the median distance is zero, since more than half of the pictures are identical; give a bandwidth > 0"
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


def _floored(biased: float, terms: tuple[Term, Term, Term]) -> float:
    """A biased value, which is never negative, as zero where it is the rounding of its terms."""
    return biased if biased > 64 * _EPS * sum(abs(term.coefficient * term.sums.mean) for term in terms) else 0.0


def _checked_rows(source: Any, name: str) -> SomeRows:
    if isinstance(source, GaussianStatistics):
        raise ArgumentError(rows_needed(name, "MMD", "use frechet_distance, or "))
    rows = source if isinstance(source, UnitRows) else as_matrix(source, name)
    if len(rows) < 2:
        raise ArgumentError(f"{name}: MMD needs at least two rows, got {len(rows)}")
    return rows


def check_bandwidth(bandwidth: Any) -> Bandwidth:
    """The bandwidth as it is, or an ArgumentError."""
    if isinstance(bandwidth, str):
        if bandwidth not in ("median", "median-pooled"):
            raise ArgumentError(f"bandwidth: expected a number > 0, median or median-pooled, got {bandwidth!r}")
        return bandwidth  # type: ignore[return-value]
    value = real_number(bandwidth, "bandwidth", "a finite number > 0, median or median-pooled")
    if not (np.isfinite(value) and value > 0):
        raise ArgumentError(f"bandwidth: expected a finite number > 0, got {value}")
    if not SMALLEST_BANDWIDTH <= value <= LARGEST_BANDWIDTH:
        raise ArgumentError(
            f"bandwidth: expected a number between {SMALLEST_BANDWIDTH:g} and {LARGEST_BANDWIDTH:g}, got {value:g}; "
            "median takes it from the features"
        )
    return value


def _check_estimator(estimator: Any) -> Estimator:
    if estimator not in ("unbiased", "biased"):
        raise ArgumentError(f"estimator: expected unbiased or biased, got {estimator!r}")
    return estimator  # type: ignore[no-any-return]
