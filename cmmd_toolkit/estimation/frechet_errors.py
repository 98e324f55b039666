"""Standard error, bias and interval of the Frechet distance by the delta method, to second order.

FD is a smooth function of two means and two covariances. Write S_x = A^T A, S_y = B^T B, A B^T = U diag(s) V^T, and for
centred rows x of the reference and y of the generated set

    u_x = diag(s)^(-1/2) V^T B x,        u_y = diag(s)^(-1/2) U^T A y,

which have the same covariance diag(s); |u_x|^2 = x^T T x, where T is the optimal-transport map between the Gaussians.

First order: FD moves with a row by the influence function (the Kantorovich potential of the two Gaussians; Dowson and
Landau 1982 differentiated once)

    I_x = 2 (m_x - m_y).x + |x|^2 - |u_x|^2 - const,     and I_y likewise;     Var FD = Var(I_x) / n + Var(I_y) / m.

Second order: sqrt is concave, so noise in the covariances lowers the cross term and raises FD:

    bias = tr S_x / n + tr S_y / m + 1/2 sum_ij [Var(u_x,i u_x,j) / n + Var(u_y,i u_y,j) / m] / (s_i + s_j).

The s of a sample are themselves too small where n is no large multiple of D. To the next order a pair's part of the
bias grows by 1 / (1 - (k_i + k_j) / 2), k_i = sum_k b_ik / s_i with b_ik the second-order bias of the pair. A share of
that growth counts as uncertainty, and so does the sampling error of the bias itself, doubled for the tails that few
rows have not shown yet; where the growth is large beside the standard error there is no interval.

Where the sets are equal the first order vanishes, and the variance of the quadratic remainder (`degenerate`) takes its
place: that of pair remainders of the kernel of `frechet_rows`.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import blas

from ..common.processes import current_processes
from ..common.thread_memory import ThreadMemory
from .frechet_rows import FrechetRows, sample_rows, sampled
from .gaussian import GaussianFit, Matrix
from .joint_spectrum import joint_spectrum
from .kernels import KernelRows, sums_between, sums_within
from .pair_bias import PairBias, pair_factor
from .ustatistics import Spread, distance_interval, zeta_of_pair, zeta_of_set

LEAST_ROWS = 50
SINGULAR = "a covariance is singular (features that repeat or never vary)"
_DOUBT = 0.4  # of the third-order bias: what it misses, by simulation (docs/calibration.md)
_MOST_GROWTH = 4.0  # third-order bias in standard errors up to which an interval is given
_MOST_UNLIKE = 1e12  # ratio of the traces, whose squares and their sums float32 still holds
_LEAST_EFFECTIVE = 20  # by simulation (docs/calibration.md)
_SMALLEST_ROOT = 1e-6  # of the largest s: below it the division by s has no digits left
_LEAST_SPREAD = 1e-35  # of an axis: the float32 solver divides by it


@dataclass(frozen=True, eq=False)
class FrechetErrors:
    """Influence of every row on FD, and on FD without its bias; bias and variance; `growth` is the third-order bias.

    `rows`: a sample of both sets with the kernel of the quadratic remainder; `remainders`: its variance within the
    reference, within the generated set, and between them; `effective_rows`: how many equal rows would tell as much
    about fourth moments, the smaller of both sets'; `roots`: s.
    """

    reference: Matrix
    generated: Matrix
    without_bias: tuple[Matrix, Matrix]
    rows: tuple[KernelRows, KernelRows]
    remainders: tuple[float, float, float]
    bias: float
    spread: Spread
    growth: float
    bias_variance: float
    effective_rows: float
    roots: Matrix

    @property
    def why_unusable(self) -> str | None:
        """Why no interval can be given all the same, None where one can."""
        if self.effective_rows < _LEAST_EFFECTIVE:
            return (
                f"a few pictures account for most of the spread (equivalent to {self.effective_rows:.0f} equal ones, "
                f"and {_LEAST_EFFECTIVE} are needed); use more pictures, or mmd"
            )
        if self.growth > _MOST_GROWTH * self.spread.standard_error:
            n, dim = min(len(self.reference), len(self.generated)), len(self.roots)
            return (
                f"the bias of {n} pictures in {dim} feature dimensions (about {self.bias:.3g}) cannot be estimated "
                "well enough; use more pictures or fewer dimensions"
            )
        return None

    @property
    def standard_error(self) -> float:
        """Of the value, whose bias differs from sample to sample too."""
        return float(np.hypot(self.spread.standard_error, np.sqrt(self.bias_variance)))

    def interval(self, value: float, quantile: float) -> tuple[float, float]:
        """Confidence interval of the distance between the populations; `value` is that of the samples."""
        doubt = (_DOUBT * self.growth) ** 2 + 2 * self.bias_variance
        spread = Spread(self.spread.projected, self.spread.excess, self.spread.degenerate + doubt)
        return distance_interval(value - self.bias, value, spread, quantile)


def why_no_errors(reference: GaussianFit, generated: GaussianFit) -> str | None:
    """The sentence that takes the place of an interval; None where one can be given, if there is a joint spectrum."""
    for side in (reference, generated):
        if side.rows is None:
            return f"the {side.name} holds mean and covariance only, not its pictures"
    n, dim = min(reference.count, generated.count), reference.mean.size
    if n < LEAST_ROWS or n <= dim:
        least = max(LEAST_ROWS, dim + 1)
        return (
            f"{n} pictures for {dim} feature dimensions are too few (at least {least} are needed, "
            "better several times the dimensions)"
        )
    if reference.cholesky is None:
        return SINGULAR
    if not 1 / _MOST_UNLIKE < generated.trace / reference.trace < _MOST_UNLIKE:
        unlike = "the variances of the two sets are of different orders of magnitude"
        return unlike if generated.cholesky is not None else SINGULAR
    return None


def frechet_errors(
    reference: GaussianFit, generated: GaussianFit, joint: tuple[Matrix, Matrix] | None = None
) -> FrechetErrors:
    """Errors of the distance between two fits of rows with positive definite covariances."""
    joint = joint_spectrum(reference, generated) if joint is None else joint
    assert joint is not None
    roots, to_x, to_y = _joint_basis(reference, *joint)
    n, m = reference.count, generated.count
    shift, factor, fourth = reference.mean - generated.mean, pair_factor(roots), np.zeros((len(roots),) * 2, order="F")
    influence_x, bias_x, joint_x = _influence(reference, 2 * shift, to_x, roots, factor, fourth)
    influence_y, bias_y, joint_y = _influence(generated, -2 * shift, to_y, roots, factor, fourth)
    current_processes().sum(fourth.T)
    fourth *= roots[-1] ** 2
    pairs = PairBias.of(fourth, roots, 1 / n + 1 / m)
    unit = reference.trace
    rows = _sampled(reference, joint_x, roots, unit), _sampled(generated, joint_y, roots, unit)
    remainders = _remainders(rows, n, m, unit)
    degenerate = max(sum(remainders), _uncorrelated(reference, generated, pairs))
    # first order: Var(I_x) / n + Var(I_y) / m
    projected = float(influence_x.var(ddof=1)) / n + float(influence_y.var(ddof=1)) / m
    # second order: tr S_x / n + tr S_y / m + sum_ij b_ij; and what the third adds
    growth = pairs.third_order()
    bias = reference.trace / n + generated.trace / m + pairs.total + growth
    spread = Spread(projected, degenerate, degenerate)
    bias_variance = float(bias_x.var()) / n + float(bias_y.var()) / m
    corrected = influence_x - bias_x, influence_y - bias_y
    effective = min(_effective(bias_x), _effective(bias_y))
    return FrechetErrors(
        influence_x, influence_y, corrected, rows, remainders, bias, spread, growth, bias_variance, effective, roots
    )


def _uncorrelated(reference: GaussianFit, generated: GaussianFit, pairs: PairBias) -> float:
    """Variance of the remainder if the errors of the covariances' entries were uncorrelated: from all rows and biased
    upwards, so that it stands in where tails are heavy and few pairs of rows show them."""
    a, b, n, m = reference.cov, generated.cov, reference.count, generated.count  # the lower triangles
    triangle = _products(a, a) / n**2 + 2 * _products(a, b) / (n * m) + _products(b, b) / m**2
    diagonal = a.diagonal() / n + b.diagonal() / m
    means = 2 * triangle - float(diagonal @ diagonal)
    return 2 * means + 4 * pairs.squares - 2 * float(np.square(pairs.lower.diagonal()).sum())


def _products(first: Matrix, second: Matrix) -> float:
    """The sum of the products of their entries, without a matrix of them."""
    return float(np.einsum("ij,ij->", first, second))


def _effective(parts: Matrix) -> float:
    """(sum b)^2 / sum b^2: all rows where they are equal, one where one is everything."""
    return float(parts.sum() ** 2 / np.square(parts).sum())


def _sampled(fit: GaussianFit, joint: Matrix, roots: Matrix, unit: float) -> FrechetRows:
    """Some rows of a set, with the kernel of the quadratic remainder in units of the reference's trace."""
    assert fit.rows is not None
    return FrechetRows(sample_rows(fit.rows).astype(np.float64) - fit.mean, joint, roots, unit)


def _remainders(rows: tuple[FrechetRows, FrechetRows], n: int, m: int, unit: float) -> tuple[float, float, float]:
    """Variance of the remainder within the reference, within the generated set, and between them."""
    x, y = rows
    return (
        2 * unit**2 * zeta_of_set(sums_within(x)) / (n * (n - 1)),
        2 * unit**2 * zeta_of_set(sums_within(y)) / (m * (m - 1)),
        4 * unit**2 * zeta_of_pair(sums_between(x, y)) / (n * m),
    )


def _joint_basis(reference: GaussianFit, squares: Matrix, vectors: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    """s, and the matrices that take centred reference and generated rows to u_x and u_y (rows times matrix), over the
    square root of the largest s and in float32: an error needs no more digits."""
    first = int(np.searchsorted(squares, _SMALLEST_ROOT**2 * squares[-1], side="right"))
    roots, vectors = np.sqrt(squares[first:]), vectors[:, first:]
    assert reference.cholesky is not None
    lower = reference.cholesky.astype(np.float32, order="F")
    np.fill_diagonal(lower, np.maximum(lower.diagonal(), _LEAST_SPREAD))
    # L diag(s)^(-1/2) and, since S_y L V = L^-T V diag(s)^2, L^-T V diag(s)^(1/2)
    to_y: Matrix = blas.strmm(1.0, lower, vectors, lower=1)
    to_x: Matrix = blas.strsm(1.0, lower, vectors, lower=1, trans_a=1)
    to_x *= np.sqrt(roots / roots[-1]).astype(np.float32)
    to_y /= np.sqrt(roots * roots[-1])  # in float64: its inverse may exceed float32
    return roots, to_x, to_y


def _influence(
    fit: GaussianFit, slope: Matrix, to_joint: Matrix, roots: Matrix, pair_factor: Matrix, fourth: Matrix
) -> tuple[Matrix, Matrix, Matrix]:
    """I of every row; its part in the bias, whose mean is the side's bias of second order; and u of the sampled rows.

    The processes of `shared_work` take each their part of the rows, and add to the lower triangle of `fourth` (D, D)
    what it adds to E u_i^2 u_j^2 / n.
    """
    unit, dim, sample = float(roots[-1]), len(roots), sampled(fit.count, len(fit.mean))
    factor = (pair_factor * np.sqrt(unit)).astype(np.float32)
    influence, bias, joint = np.zeros(fit.count), np.zeros(fit.count), np.zeros((len(sample), dim), np.float32)
    memory, products = ThreadMemory(), np.zeros((dim, dim), np.float32, order="F")
    for part, rows in fit.centred_parts(current_processes().share(fit.parts)):
        norms = np.einsum("ij,ij->i", rows, rows)
        single, squares = (
            memory.empty(name, (len(rows), width), np.float32)
            for name, width in (("single", rows.shape[1]), ("squares", dim))
        )
        single[:] = rows
        np.matmul(single, to_joint, out=squares)
        inside = (part.start <= sample) & (sample < part.stop)
        joint[inside] = squares[sample[inside] - part.start]
        # u_i^2 of every row, and sum over rows of u_i^2 u_j^2
        np.square(squares, out=squares)
        fourth += blas.ssyrk(1 / fit.count**2, squares.T, c=products, lower=1, overwrite_c=1)
        # I = 2 (m_x - m_y).x + |x|^2 - |u|^2;  bias: |x|^2 + 1/2 sum_ij u_i^2 u_j^2 / (s_i + s_j)
        influence[part] = rows @ slope + norms - unit * squares.sum(axis=1, dtype=np.float64)
        bias[part] = norms + unit * np.square(squares @ factor).sum(axis=1, dtype=np.float64)
    current_processes().sum(influence, bias, joint)
    return influence, bias / fit.count, joint * np.float32(np.sqrt(unit))
