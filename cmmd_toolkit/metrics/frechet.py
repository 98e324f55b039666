"""Frechet distance between two Gaussians, real arithmetic throughout.

    FD = |m_x - m_y|^2 + tr S_x + tr S_y - 2 tr (S_x S_y)^(1/2)        (Dowson and Landau 1982, eq. 16)

The last term is the nuclear norm of A B^T for any factors A^T A = S_x, B^T B = S_y, so no matrix square
root, and no complex number, is needed. Two routes reach it:

fast      S_x = L L^T; the square roots of the eigenvalues of L^T S_y L. At D = 2048 this is ten times faster
          than sqrtm, but an eigenvalue below 1e-16 of the largest drowns in rounding.
accurate  factors from a QR of the centred rows (or the eigenvectors of a given covariance), then singular
          values. Right for every n and D, singular or not; three times slower.

The fast route bounds its own rounding error; where the bound exceeds `RELATIVE_TOLERANCE` of the result
the accurate route runs instead. `parameters["route"]` says which one did.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.linalg
from scipy.linalg import lapack

from ..estimation.estimate import Estimate
from ..estimation.frechet_errors import SINGULAR, FrechetErrors, frechet_errors, why_no_errors
from ..estimation.frechet_rows import FrechetRows, rows_by_reference
from ..estimation.gaussian import GaussianFit, Matrix
from ..estimation.intervals import covering_copies, t_quantile, with_errors
from ..estimation.joint_spectrum import joint_spectrum
from ..estimation.kernel_device import kernels_beside
from ..features.matrices import check_digits, check_width

RELATIVE_TOLERANCE = 2e-10
_EPS = float(np.finfo(np.float64).eps)


def frechet_distance(*, reference: Any, generated: Any, errors: bool = True) -> Estimate:
    """Frechet distance between Gaussians fitted to two sets of features (FID, on Inception features).

    Args:
        reference, generated: features (N, D) as array, tensor or `Features`, or `GaussianStatistics`. Where one is a
            tensor on a GPU, covariances are computed there, as inside `kernels_on`.
        errors: False leaves out the standard error and the interval, which take half of the time at D = 2048.

    Returns:
        Estimate in squared feature units, lower is better, 0 for identical sets. The value is biased upwards by
        about 1/n: compare only values with equal n. The standard error and the interval are by the delta method
        (`inference.frechet`); the interval is of the distance between the populations, so the bias is subtracted and
        the value itself may lie above it. `parameters`: dim, route, mean_term, the two traces, and bias.

    Raises:
        ArgumentError: widths differ, fewer than two rows, NaN or infinity, a covariance with negative eigenvalues.

    Source: Heusel et al. 2017 (arXiv:1706.08500), eq. 6.
    """
    with kernels_beside(reference, generated):
        sides = GaussianFit.of(reference, "reference"), GaussianFit.of(generated, "generated")
        return score(*sides).estimate if errors else distance(*sides)


@dataclass(frozen=True, eq=False)
class FrechetScore:
    """An estimate and, where there are any, the errors that it was given: tests need no second pass.

    `distinct` is the score of the same sets without exact copies, where they hold any.
    """

    estimate: Estimate
    errors: FrechetErrors | None
    reference: GaussianFit
    generated: GaussianFit
    distinct: "FrechetScore | None" = None

    def rows_to_deal(self, *, of_reference: bool) -> FrechetRows:
        """Some rows of one of the sets, in a frame that all sets beside one reference share."""
        return rows_by_reference(self.reference, self.reference if of_reference else self.generated)

    @property
    def unit(self) -> float:
        """That of the kernel of `errors.rows`."""
        return self.reference.trace


def score(reference: GaussianFit, generated: GaussianFit) -> FrechetScore:
    """The distance with its standard error and interval, or with the reason why there is none."""
    whole = _score(reference, generated)
    if reference.distinct is reference and generated.distinct is generated:
        return whole
    distinct = _score(reference.distinct, generated.distinct)
    return replace(whole, estimate=covering_copies(whole.estimate, distinct.estimate), distinct=distinct)


def _score(reference: GaussianFit, generated: GaussianFit) -> FrechetScore:
    _check_width(reference, generated)
    reason, joint = why_no_errors(reference, generated), None
    if reason is None and (joint := joint_spectrum(reference, generated)) is None:
        reason = SINGULAR
    if joint is None:
        bare = distance(reference, generated)
        return FrechetScore(replace(bare, no_error_reason=reason), None, reference, generated)
    bare = distance(reference, generated, joint[0])
    errors = frechet_errors(reference, generated, joint)
    parameters = {**bare.parameters, "bias": errors.bias}
    if (reason := errors.why_unusable) is not None:
        return FrechetScore(replace(bare, parameters=parameters, no_error_reason=reason), None, reference, generated)
    interval = errors.interval(bare.value, t_quantile(min(reference.count, generated.count)))
    bare = replace(bare, parameters=parameters, corrected=bare.value - errors.bias)
    return FrechetScore(with_errors(bare, errors.standard_error, interval), errors, reference, generated)


def distance(reference: GaussianFit, generated: GaussianFit, squares: Matrix | None = None) -> Estimate:
    """The Frechet distance alone, without its errors; `squares` of `joint_spectrum` where they are known."""
    _check_width(reference, generated)
    mean_term = float(np.square(reference.mean - generated.mean).sum())
    scale = mean_term + reference.trace + generated.trace
    route, trace_sqrt = "fast", _trace_sqrt_fast(reference, generated, scale, squares)
    if trace_sqrt is None:
        singular_values: Matrix = np.linalg.svd(reference.factor @ generated.factor.T, compute_uv=False)
        route, trace_sqrt = "accurate", float(singular_values.sum())
    parameters = {
        "dim": int(reference.mean.size),
        "mean_term": mean_term,
        "trace_reference": reference.trace,
        "trace_generated": generated.trace,
        "route": route,
    }
    caveats = tuple(c for c in (reference.rank_caveat, generated.rank_caveat) if c)
    value = scale - 2 * trace_sqrt
    value = value if value > _rounding(reference, generated, scale) else 0.0
    return Estimate(value, reference.n, generated.n, parameters, caveats)


def _rounding(reference: GaussianFit, generated: GaussianFit, scale: float) -> float:
    """Below it a distance is what rounding leaves of zero: a few units in the traces, and in the means squared.

    Measured on sets against themselves, up to D = 2048: five units of the traces.
    """
    means = 16 * _EPS * np.maximum(np.abs(reference.mean), np.abs(generated.mean))
    return 64 * _EPS * scale + float(np.square(means).sum())


def _check_width(reference: GaussianFit, generated: GaussianFit) -> None:
    check_width(reference.mean.size, generated.mean.size, generated.name)
    if reference.rows is not None and generated.rows is not None:
        check_digits(reference.rows, generated.rows, generated.name)


def _trace_sqrt_fast(
    reference: GaussianFit, generated: GaussianFit, scale: float, squares: Matrix | None
) -> float | None:
    """tr (S_x S_y)^(1/2) by Cholesky and a symmetric eigensolver, None where rounding would show, or a covariance that
    was given may be none."""
    if not (reference.has_full_rank and generated.has_full_rank) or reference.cholesky is None:
        return None
    if generated.given_cov is not None and generated.cholesky is None:
        return None
    if squares is None:
        product, _ = lapack.dsygst(generated.cov, reference.cholesky, itype=2, lower=1)  # L^T S_y L
        squares = scipy.linalg.eigvalsh(product, lower=True, check_finite=False, overwrite_a=True)
    eigenvalues = np.clip(squares, 0, None)
    rounding = 2 * _EPS * eigenvalues[-1]
    roots = np.sqrt(eigenvalues)
    error = float((rounding / (roots + np.sqrt(rounding))).sum()) if rounding > 0 else 0.0
    value = scale - 2 * float(roots.sum())
    return float(roots.sum()) if 2 * error <= RELATIVE_TOLERANCE * abs(value) else None
