"""Squared MMD with random Fourier features: time and memory that grow with the rows, not with their pairs.

A Gaussian kernel is the mean of waves over random frequencies (Rahimi and Recht 2007, NeurIPS, section 2):

    k(x, y) = E cos(w.(x - y)),     w ~ N(0, I / bandwidth^2).

For L frequencies w_1 ... w_L and the mean waves of a set, p_l = mean_i exp(i w_l.x_i) and q_l likewise,

    biased     mean_l v_l,   v_l = |p_l - q_l|^2
    unbiased   mean_l u_l,   u_l = v_l - (1 - |p_l|^2) / (n - 1) - (1 - |q_l|^2) / (m - 1)

Whatever the sets, E_w u_l is their exact unbiased squared MMD and E_w v_l their biased one, so both are unbiased over
the frequencies. These are independent: the error that they add has the variance Var(u_l) / L, which is estimated from
the u_l and added to the variance over draws of the sets. And as 0 <= v_l <= 4, Hoeffding's inequality bounds it,

    P(|biased - exact biased| >= e) <= 2 exp(-L e^2 / 8),

so e = sqrt(8 log(2 / 0.05) / L) at 95 %: 0.085 for L = 4,096, far more than what is usual near zero.
"""

from dataclasses import replace
from math import log, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..common.arguments import whole_number
from ..common.processes import current_processes
from ..errors import ArgumentError
from ..estimation.blocks import Pair, blocks, in_parallel
from ..estimation.estimate import Estimate
from ..estimation.intervals import LEAST_ROWS, covering_copies, t_quantile, with_errors
from ..estimation.kernels import GaussianRows, Rows, gamma_of, sums_between, sums_within
from ..estimation.shared_rows import without_copies
from ..estimation.ustatistics import Spread, distance_interval, zeta_of_pair, zeta_of_set
from ..features.unit_rows import SomeRows
from .mmd import BIASED, Bandwidth, Estimator, MmdReference

METHODS = ("exact", "random-features")
FREQUENCIES = 4096
_LEAST_FREQUENCIES, _MOST_FREQUENCIES = 100, 100_000  # fewer give no variance, more take gigabytes
_PROJECTED_ROWS = 20_000  # whose witness values give the variance of a row to 1 %
_PAIRED_ROWS = 1500  # whose kernel gives the variance of pair remainders to some percent
_ALPHA = 0.05  # of Hoeffding's bound
_STREAM = 0x7766  # so that no features that were drawn with the same seed are the frequencies

Vector = NDArray[np.float64]


def frequencies_of(method: Any, frequencies: Any, names: tuple[str, str] = ("method", "num_frequencies")) -> int | None:
    """How many frequencies are asked for, None for the exact method. Raises ArgumentError; `names` are the options'."""
    if method not in METHODS:
        raise ArgumentError(f"{names[0]}: expected {' or '.join(METHODS)}, got {method!r}")
    if method == "exact":
        if frequencies is not None:
            raise ArgumentError(
                f"{names[1]}: the exact method has none; leave it out, or use `{names[0]}={METHODS[1]!r}`"
            )
        return None
    return whole_number(
        FREQUENCIES if frequencies is None else frequencies, names[1], _LEAST_FREQUENCIES, _MOST_FREQUENCIES
    )


class Waves:
    """The waves of random frequencies of one bandwidth, at rows that are taken less a centre."""

    def __init__(self, centre: Vector, bandwidth: float, count: int, seed: int, dtype: type[np.floating[Any]]) -> None:
        drawn = np.random.default_rng((seed, _STREAM)).standard_normal((len(centre), count))
        self.frequencies: Rows = (drawn / bandwidth).astype(dtype)  # (D, L)
        self.centre, self.dtype = centre, dtype

    def means(self, rows: SomeRows) -> Vector:
        """Mean cosine and mean sine of every frequency over the rows (N, D): (2, L), a block of rows at a time."""
        total = np.zeros((2, self.frequencies.shape[1]))

        def one(pair: Pair) -> Vector:
            waves = self._at(rows[pair[0]])
            ones = np.ones(len(waves[0]), self.dtype)
            return np.stack([ones @ own for own in waves]).astype(np.float64)

        for part in in_parallel(one, ((own, own) for own in blocks(len(rows)))):
            total += part
        current_processes().sum(total)
        return total / len(rows)

    def kernel_means(self, rows: Rows, means: Vector) -> Vector:
        """Mean kernel of each row (n,) to the set that has these mean waves."""
        towards = (means / means.shape[1]).astype(self.dtype)
        parts = (zip(self._at(rows[own]), towards, strict=True) for own in blocks(len(rows)))
        return np.concatenate([sum(wave @ mean for wave, mean in part) for part in parts]).astype(np.float64)

    def _at(self, rows: Rows) -> tuple[Rows, Rows]:
        """Cosines and sines (n, L)."""
        angles = (rows - self.centre).astype(self.dtype) @ self.frequencies
        return np.cos(angles), np.sin(angles, out=angles)


class RandomFeatureMmd:
    """The reference side: its bandwidth, frequencies and mean waves, computed once for any number of generated sets."""

    def __init__(
        self, reference: Any, bandwidth: Bandwidth, estimator: Estimator, seed: int, num_frequencies: int
    ) -> None:
        self._base = MmdReference(reference, bandwidth, estimator, seed)
        self._count = num_frequencies
        self._known: dict[tuple[float, str], tuple[Waves, Vector]] = {}

    def distance(self, generated: Any, name: str = "generated") -> Estimate:
        """Squared MMD from the reference to one generated set."""
        base, rows = self._base, self._base.checked(generated, name)
        sigma = base.ruler(rows)
        waves, means = self._of_reference(sigma, base.precision_of_products(rows, gamma_of(sigma)))
        estimate = self._estimate(waves, sigma, (base.rows, means), rows)
        x, y = base.distinct, without_copies(rows)
        if len(x) + len(y) == len(base.rows) + len(rows):
            return estimate
        if min(len(x), len(y)) < 2:
            reason = "all pictures of a set are copies of one"
            return replace(estimate, standard_error=None, interval=None, no_error_reason=reason)
        return covering_copies(estimate, self._estimate(waves, sigma, (x, waves.means(x)), y))

    def _of_reference(self, sigma: float, dtype: type[np.floating[Any]]) -> tuple[Waves, Vector]:
        """The waves of a bandwidth, and their means over the reference."""
        key = sigma, np.dtype(dtype).name
        if key not in self._known:
            waves = Waves(self._base.centre, sigma, self._count, self._base.seed, dtype)
            self._known = {key: (waves, waves.means(self._base.rows))}
        return self._known[key]

    def _estimate(self, waves: Waves, sigma: float, reference: tuple[SomeRows, Vector], rows: SomeRows) -> Estimate:
        base, (x, p), q = self._base, reference, waves.means(rows)
        n, m = len(x), len(rows)
        # v = |p - q|^2;  u = v - (1 - |p|^2) / (n - 1) - (1 - |q|^2) / (m - 1)
        v = np.square(p - q).sum(axis=0)
        u = v - (1 - np.square(p).sum(axis=0)) / (n - 1) - (1 - np.square(q).sum(axis=0)) / (m - 1)
        variance = float(u.var(ddof=1)) / self._count
        value, biased = float(u.mean()), float(v.mean())
        parameters = {
            "estimator": base.estimator,
            "kernel": "gaussian",
            "bandwidth": sigma,
            "bandwidth_rule": base.rule if isinstance(base.rule, str) else "given",
            "precision": "float64" if waves.dtype == np.float64 else "float32 products, float64 sums",
            "method": METHODS[1],
            "num_frequencies": self._count,
            "frequency_error": sqrt(variance),
            "frequency_bound": sqrt(8 * log(2 / _ALPHA) / self._count),
            "seed": base.seed,
        }
        estimate = Estimate(value, n, m, parameters, (_caveat(self._count, sqrt(variance)),), corrected=value)
        if min(n, m) < LEAST_ROWS:
            few = f"{min(n, m)} pictures are too few for a standard error, which needs {LEAST_ROWS}"
            estimate = replace(estimate, no_error_reason=few)
        else:
            own = _spread(waves, gamma_of(sigma), (x, p), (rows, q))
            spread = Spread(own.projected + variance, own.excess, own.degenerate + variance)
            interval = distance_interval(value, biased, spread, t_quantile(min(n, m)))
            estimate = with_errors(estimate, spread.standard_error, interval)
        if base.estimator == "biased":
            return replace(estimate, value=biased, caveats=(*estimate.caveats, BIASED))
        return estimate


def _caveat(count: int, error: float) -> str:
    return (
        f"estimated with {count:,} random frequencies, which add a standard error of {error:.2g} to that of the "
        "pictures (both are in the error and the interval)"
    )


def _spread(
    waves: Waves, gamma: float, reference: tuple[SomeRows, Vector], generated: tuple[SomeRows, Vector]
) -> Spread:
    """The variance over draws of both sets, as `ustatistics.spread_of` has it, from some of their rows."""
    (x, p), (y, q) = reference, generated
    n, m = len(x), len(y)
    projected = excess = 0.0
    for rows, own, other, count in ((x, p, q, n), (y, q, p, m)):
        some = _some(rows, _PROJECTED_ROWS)
        means = 2 * count / (count - 2) * waves.kernel_means(some, own) - 2 * waves.kernel_means(some, other)
        projected += float(means.var(ddof=1)) / count
    few = [GaussianRows(_some(rows, _PAIRED_ROWS).astype(np.float64) - waves.centre, gamma) for rows in (x, y)]
    within = [2 * zeta_of_set(sums_within(own)) / (count * (count - 1)) for own, count in zip(few, (n, m), strict=True)]
    between = 4 * zeta_of_pair(sums_between(*few)) / (n * m)
    excess = between + sum(own * (count / (count - 2)) for own, count in zip(within, (n, m), strict=True))
    return Spread(projected, excess, sum(within) + between)


def _some(rows: SomeRows, most: int) -> Rows:
    """All rows, or as many as are enough for a variance, drawn with a fixed seed."""
    if len(rows) <= most:
        return rows[:]
    return rows[np.sort(np.random.default_rng(0).choice(len(rows), most, replace=False))]
