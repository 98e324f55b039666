"""Vendi score: how many different pictures a set effectively holds.

    K_ij = cos(x_i, x_j), or another kernel with K_ii = 1;   l = eigenvalues of K / n   (they sum to 1)
    order 1     exp(-sum l log l)
    order q     (sum l^q)^(1 / (1 - q))
    order inf   1 / max l
    truncated   the t largest, each with (1 - their sum) / t added, in place of all

With cosines K / n shares its nonzero eigenvalues with the D x D matrix X^T X / n of the normalised rows, so the smaller
of the two is decomposed. Of another kernel K itself is, N x N.
"""

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from ..common.arguments import real_number, whole_number
from ..errors import ArgumentError
from ..estimation.estimate import Estimate
from ..features.matrices import as_matrix

Kernel = Literal["cosine"] | Callable[[NDArray[Any]], Any]
_KERNEL_ROUNDING = 1e-5  # of a kernel in float32
BLOCK = 4096  # rows normalised at a time
TRUNCATION = 32  # of the metric `vendi-truncated`
ENOUGH = 10  # pictures for each eigenvalue of a truncated score: measured in docs/metrics.md
_NEAR_ONE = 1e-8  # nearer orders differ from Shannon's entropy by less than the rounding of their own formula
CAVEATS = (
    "measures diversity only, noise included; it does not use the reference",
    "at most min(n, D), and grows with n: compare only values with equal n",
)
NO_ERROR = "the score grows with the number of different pictures, and copies in a bootstrap lower it"


def vendi_score(
    *, generated: Any, order: float = 1.0, kernel: Kernel = "cosine", truncation: int | None = None
) -> Estimate:
    """Effective number of different pictures: exp of the Renyi entropy of the kernel matrix's eigenvalues.

    Args:
        generated: features (N, D) as array, tensor or `Features`; no row may be zero.
        order: q > 0 of the entropy, `float("inf")` included. Large orders depend on the commonest kinds only,
            small ones weigh rare kinds more (and below 1 eigenvalues lost in rounding, 1e-14, begin to matter).
        kernel: "cosine", or a function of the features (N, D), as given, that returns K, (N, N): similarities with 1 on
            the diagonal, symmetric and positive semi-definite. N x N numbers are held.
        truncation: t >= 1, how many of the largest eigenvalues count; the sum of the others is spread evenly over
            these. The truncated score converges at a few multiples of t pictures, so that sets of different size can be
            compared; the full score grows as long as there are eigenvalues to find. None for all.

    Returns:
        Estimate in 1..min(N, D, t), higher is more diverse: 1 for copies of one picture, N for orthogonal rows.
        `parameters`: order (a number or "inf"), kernel, route ("gram" or "dual"), of a truncated score truncation.

    Raises:
        ArgumentError: a zero row, NaN or infinity, an order that is not positive, a matrix that is not such a kernel.

    Source: Friedman and Dieng 2023 (arXiv:2210.02410); Pasarkar and Dieng 2023 (arXiv:2310.12952) for the orders;
    Ospanov and Farnia 2025 (arXiv:2410.21719), section 4, for the truncated score.
    """
    (estimate,) = vendi_scores(generated, order, kernel, (truncation,))
    return estimate


def vendi_scores(generated: Any, order: float, kernel: Kernel, truncations: Sequence[int | None]) -> list[Estimate]:
    """`vendi_score` at several truncations, of one decomposition."""
    rows = as_matrix(generated, "generated")
    order = real_number(order, "order", "a number > 0 or infinity")
    if not order > 0:
        raise ArgumentError(f"order: expected a number > 0 or infinity, got {order}; 1 is the usual score")
    counts = [None if own is None else whole_number(own, "truncation", 1) for own in truncations]
    cosine = isinstance(kernel, str) and kernel == "cosine"
    dual = cosine and rows.shape[0] > rows.shape[1]
    make = _dual if dual else _gram if cosine else partial(_of_kernel, kernel=kernel)
    eigenvalues = _eigenvalues(make(rows))
    parameters = {
        "order": "inf" if np.isinf(order) else order,
        "kernel": kernel if isinstance(kernel, str) else getattr(kernel, "__name__", type(kernel).__name__),
        "route": "dual" if dual else "gram",
    }
    return [_estimate(eigenvalues, order, len(rows), parameters, count) for count in counts]


def _estimate(
    eigenvalues: NDArray[np.float64], order: float, n: int, parameters: dict[str, Any], truncation: int | None
) -> Estimate:
    if truncation is None:
        value = float(np.exp(renyi_entropy(eigenvalues, order)))
        return Estimate(value, None, n, parameters, CAVEATS, no_error_reason=NO_ERROR)
    value = float(np.exp(renyi_entropy(truncated(eigenvalues, truncation), order)))
    least = ENOUGH * truncation
    few = () if n >= least else (f"still grows with n: {n} pictures, but the {truncation} largest kinds need {least}",)
    caveats = (CAVEATS[0], f"at most {truncation}", *few)
    return Estimate(value, None, n, {**parameters, "truncation": truncation}, caveats, no_error_reason=NO_ERROR)


def truncated(shares: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The largest of positive shares that sum to 1, each with an even part of what the others sum to."""
    if len(shares) <= count:
        return shares
    largest = np.sort(shares)[::-1][:count]
    return np.asarray(largest + (1 - largest.sum()) / count)


def vendi_by_class(
    *, generated: Any, labels: Sequence[Hashable], order: float = 1.0, kernel: Kernel = "cosine"
) -> dict[Hashable, Estimate]:
    """The Vendi score of each class by itself, in the order in which the classes first appear.

    Args:
        generated: features (N, D), as in `vendi_score`.
        labels: (N,), the class of each row.
        order, kernel: as in `vendi_score`.

    Raises:
        ArgumentError: as `vendi_score`, with the class; another number of labels than of rows.
    """
    rows, own = as_matrix(generated, "generated"), list(np.asarray(labels, object).ravel())
    if len(own) != len(rows):
        raise ArgumentError(f"labels: expected one for each of {len(rows)} rows, got {len(own)}")
    places: dict[Hashable, list[int]] = {}
    for place, label in enumerate(own):
        places.setdefault(label, []).append(place)
    scores = {}
    for label, part in places.items():
        try:
            scores[label] = vendi_score(generated=rows[part], order=order, kernel=kernel)
        except ArgumentError as error:
            raise ArgumentError(f"class {label}: {error}") from error
    return scores


def renyi_entropy(shares: NDArray[np.float64], order: float) -> float:
    """Renyi entropy in nats of positive shares that sum to 1; order 1 is Shannon's."""
    if abs(order - 1) < _NEAR_ONE:
        return float(-(shares * np.log(shares)).sum())
    if np.isinf(order):
        return float(-np.log(shares.max()))
    largest = shares.max()  # taken out, for l^q underflows at large orders
    rest = float(np.log(((shares / largest) ** order).sum()))
    return float(order / (1.0 - order) * np.log(largest) + rest / (1.0 - order))


def _of_kernel(rows: NDArray[Any], kernel: Any) -> NDArray[np.float64]:
    """K / n, or an ArgumentError for what is no matrix of similarities."""
    if not callable(kernel):
        raise ArgumentError(f"kernel: expected cosine or a function of the features, got {kernel!r:.40}")
    n = len(rows)
    matrix = as_matrix(kernel(rows), "kernel").astype(np.float64)
    if matrix.shape != (n, n):
        raise ArgumentError(f"kernel: expected a matrix ({n}, {n}), got one of shape {matrix.shape}")
    if np.abs(matrix.diagonal() - 1).max() > _KERNEL_ROUNDING:
        raise ArgumentError("kernel: expected 1 on the diagonal; divide K_ij by sqrt(K_ii K_jj)")
    if np.abs(matrix - matrix.T).max() > _KERNEL_ROUNDING:
        raise ArgumentError("kernel: expected a symmetric matrix; a similarity has no direction")
    least = float(scipy.linalg.eigvalsh(matrix, subset_by_index=[0, 0])[0])
    if least < -_KERNEL_ROUNDING * n:
        raise ArgumentError(f"kernel: expected a positive semi-definite matrix, got an eigenvalue of {least:.3g}")
    return np.asarray(matrix / n)


def _gram(rows: NDArray[Any]) -> NDArray[np.float64]:
    unit = _normalised(rows, 0)
    return np.asarray(unit @ unit.T / len(rows))


def _dual(rows: NDArray[Any]) -> NDArray[np.float64]:
    total = np.zeros((rows.shape[1], rows.shape[1]))
    for start in range(0, len(rows), BLOCK):
        unit = _normalised(rows[start : start + BLOCK], start)
        total += unit.T @ unit
    return total / len(rows)


def _normalised(rows: NDArray[Any], start: int) -> NDArray[np.float64]:
    rows = rows.astype(np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    if not norms.all():
        row = start + int(np.flatnonzero(norms == 0)[0])
        raise ArgumentError(f"generated: expected rows with a direction, got zeros in row {row}; leave it out")
    return np.asarray(rows / norms)


def _eigenvalues(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The eigenvalues above rounding: the rest are zeros of a rank-deficient matrix."""
    eigenvalues = scipy.linalg.eigvalsh(matrix, overwrite_a=True)
    rounding = np.finfo(np.float64).eps * len(matrix) * eigenvalues[-1]
    return np.asarray(eigenvalues[eigenvalues > rounding])
