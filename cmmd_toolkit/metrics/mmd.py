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

from ..common.arguments import check_seed, real_number
from ..common.row_collector import IN_MEMORY
from ..errors import ArgumentError
from ..estimation.estimate import Estimate
from ..estimation.intervals import covering_copies, distance_estimate
from ..estimation.kernel_device import kernels_beside
from ..estimation.kernels import (
    GaussianRows,
    Rows,
    Within,
    centre_of,
    gamma_of,
    sums_between,
    sums_within,
)
from ..estimation.shared_rows import without_copies
from ..estimation.streamed_rows import StreamedGaussianRows
from ..estimation.summed_rows import SummedRows
from ..estimation.ustatistics import Term, biased_value_of
from ..features.features import GaussianStatistics, rows_needed
from ..features.matrices import as_matrix, check_digits, check_width
from ..features.unit_rows import SomeRows, UnitRows
from .median import median_distance as median_distance, median_of, median_of_pooled
from .mmd_cost import multiplications, warn_of_cost

Estimator = Literal["unbiased", "biased"]
Bandwidth = float | Literal["median", "median-pooled"]

_EPS = float(np.finfo(np.float64).eps)
BIASED = "biased upwards by about 1/n per side; the interval is of the number without this bias"
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
    method: Literal["exact", "random-features"] = "exact",
    num_frequencies: int | None = None,
    seed: int = 0,
) -> Estimate:
    """Squared MMD between two sets of features under a Gaussian kernel, unscaled.

    The features are used as given: normalise embeddings to unit length first, as `compare` does.

    Args:
        reference, generated: features (N, D) as array, tensor or `Features`. Where one is a tensor on a GPU, the pairs
            are summed there, as inside `kernels_on`; what is linear in the rows is done on the CPU.
        bandwidth: Gaussian sigma in feature units; or "median", the median distance between reference pictures,
            so that several generated sets are measured on one scale; or "median-pooled", over both sets.
        estimator: "unbiased" (U-statistic) or "biased" (V-statistic).
        method: "exact" uses every pair; "random-features" uses random Fourier features, whose time and memory grow with
            N + M: unbiased over the frequencies, whose error is included in `standard_error` and in the interval
            (`metrics.random_features` has the bound). Used only on request; an exact MMD of more than 10^12
            multiplications warns (CostWarning) how long it takes.
        num_frequencies: L of random-features, 100 to 100,000; None is 4,096. Their error falls as 1 / sqrt(L).
        seed: draws the rows for the median when there are more than 4,000, and the frequencies.

    Returns:
        Estimate, lower is better, 0 on average for equal distributions when unbiased, with its standard error and
        95 % interval (closed form, `inference.ustatistics`); `corrected` is the unbiased number. `parameters`:
        estimator, bandwidth, bandwidth_rule, precision; of random-features also method, num_frequencies,
        frequency_error (the standard error that the frequencies add) and frequency_bound (Hoeffding's, at 95 %).

    Raises:
        ArgumentError: widths differ, fewer than two rows, NaN or infinity, a bandwidth that is not positive.

    Source: Gretton et al. 2012 (JMLR 13), Lemma 6; Jayasumana et al. 2024 (arXiv:2401.09603), eq. 4; Rahimi and Recht
    2007 (NeurIPS), section 2, for random features.
    """
    from .random_features import RandomFeatureMmd, frequencies_of  # which is made of what is here

    if (count := frequencies_of(method, num_frequencies)) is not None:
        return RandomFeatureMmd(reference, bandwidth, estimator, seed, count).distance(generated)
    with kernels_beside(reference, generated):
        exact = MmdReference(reference, bandwidth, estimator, seed)
        rows = exact.checked(generated, "generated")
        warn_of_cost(len(exact.rows), len(rows), rows.shape[1], "`method='random-features'` estimates it in much less")
        return exact.distance(rows)


@dataclass(frozen=True, eq=False)
class MmdScore:
    """An estimate and the kernel sums that it was made of, from which tests and witnesses need no second pass.

    `distinct` is the unbiased score of the same sets without exact copies, where they hold any. An average over
    backbones has rows of all of them.
    """

    estimate: Estimate
    terms: tuple[Term, Term, Term]
    rows: tuple[GaussianRows, GaussianRows] | tuple[SummedRows, SummedRows] | None
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
        self.estimator = check_estimator(estimator)
        self.seed = check_seed(seed)
        self._own: dict[tuple[float, str], tuple[GaussianRows, Within]] = {}
        self._streamed: dict[tuple[float, str], GaussianRows] = {}

    def distance(self, generated: Any) -> Estimate:
        """Squared MMD from the reference to one generated set."""
        return self.score(generated).estimate

    def score(self, generated: Any, name: str = "generated") -> MmdScore:
        """Squared MMD from the reference to one generated set, and the sums behind it."""
        rows = self.checked(generated, name)
        sigma = self.ruler(rows)
        score = self._score(rows, sigma)
        x, y = self.distinct, without_copies(rows)
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
        is_small = multiplications(len(self.rows), len(rows), self.rows.shape[1]) <= _EXACT_MULTIPLICATIONS
        dtype = np.float64 if is_small else self.precision_of_products(rows, gamma)
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

    def streamed(self, score: MmdScore, generated: Any) -> MmdScore:
        """The score of a set, its rows scaled whenever they are looked at, which takes no copy of either set."""
        assert score.rows is not None
        assert score.rows[0].products is not None
        sigma, dtype = score.estimate.parameters["bandwidth"], np.dtype(score.rows[0].products[0]).type
        key = (sigma, np.dtype(dtype).name)
        if key not in self._streamed:
            self._streamed[key] = StreamedGaussianRows(self.rows, self.centre, dtype, gamma_of(sigma))
        checked = self.checked(generated, "generated")
        rows = StreamedGaussianRows(checked, self.centre, dtype, gamma_of(sigma))
        distinct = score.distinct
        if distinct is not None:
            ruler = MmdReference(self.distinct, sigma, "unbiased", self.seed)
            distinct = ruler.streamed(distinct, without_copies(checked))
        return replace(score, rows=(self._streamed[key], rows), distinct=distinct)

    def checked(self, generated: Any, name: str) -> SomeRows:
        """The rows of a generated set, as wide as the reference's, or an ArgumentError."""
        rows = _checked_rows(generated, name)
        check_width(self.rows.shape[1], rows.shape[1], name)
        check_digits(self.rows, rows, name)
        return rows

    @cached_property
    def distinct(self) -> SomeRows:
        """The rows, exact copies once."""
        return without_copies(self.rows)

    def _reference_sums(self, sigma: float, dtype: type[np.floating[Any]]) -> tuple[GaussianRows, Within]:
        key = (sigma, np.dtype(dtype).name)
        if key not in self._own:
            rows = self._kernel_rows(self.rows, dtype, gamma_of(sigma))
            self._own = {key: (rows, sums_within(rows))}  # one at a time: a scaled copy is as large as the rows
        return self._own[key]

    def ruler(self, generated: SomeRows) -> float:
        """The bandwidth beside a generated set."""
        if self.rule == "median":
            return self._median
        if self.rule == "median-pooled":
            return median_of_pooled(self.rows, generated, self.seed)
        return float(self.rule)

    @cached_property
    def _median(self) -> float:
        return median_of(self.rows, self.seed, "within the reference")

    def precision_of_products(self, generated: SomeRows, gamma: float) -> type[np.floating[Any]]:
        """Float32 where products in it leave enough digits in the exponents."""
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


def check_one_ruler(bandwidth: Any) -> None:
    """Raise ArgumentError for what is not a bandwidth, or one that differs from set to set."""
    if check_bandwidth(bandwidth) == "median-pooled":
        raise ArgumentError(
            "bandwidth: median-pooled gives each set a different kernel, but sets to compare must share one; use "
            "median or a number"
        )


def check_estimator(estimator: Any) -> Estimator:
    """The estimator as it is, or an ArgumentError."""
    if estimator not in ("unbiased", "biased"):
        raise ArgumentError(f"estimator: expected unbiased or biased, got {estimator!r}")
    return estimator  # type: ignore[no-any-return]
