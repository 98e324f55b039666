"""Eigenvalues and eigenvectors of L^T S_y L, where S_x = L L^T: the joint frame of two Gaussians.

The Householder vectors of the tridiagonal form turn its eigenvectors back in float32, 192 at a time: with V their
matrix and t their factors, H_1 H_2 ... = I - V T V^T, where T^-1 is the upper triangle of V^T V, its diagonal 1 / t
(Schreiber and Van Loan 1989, doi:10.1137/0910005; Puglisi 1992, doi:10.1137/0913042).
"""

import numpy as np
import scipy.linalg
from scipy.linalg import lapack

from .gaussian import GaussianFit, Matrix

_EPS = float(np.finfo(np.float64).eps)
_TOGETHER = 192


def joint_spectrum(reference: GaussianFit, generated: GaussianFit) -> tuple[Matrix, Matrix] | None:
    """Eigenvalues s^2, rising, and eigenvectors (float32, as errors need no more); None where S_y is singular."""
    product, _ = lapack.dsygst(generated.cov, reference.cholesky, itype=2, lower=1)
    work, _ = lapack.dsytrd_lwork(len(product), lower=1)
    reflections, diagonal, beside, factors, _ = lapack.dsytrd(product, lower=1, lwork=int(work), overwrite_a=1)
    if not _is_positive(diagonal, beside) and generated.cholesky is None:
        return None
    squares, vectors = scipy.linalg.eigh_tridiagonal(diagonal, beside, check_finite=False)
    vectors = vectors.astype(np.float32, order="F")
    _turn_back(reflections, factors, vectors)
    return squares, vectors


def _is_positive(diagonal: Matrix, beside: Matrix) -> bool:
    """Whether no eigenvalue of a tridiagonal matrix is near rounding: then S_y is not singular, by Sylvester's law."""
    radius = np.abs(diagonal)
    radius[1:] += np.abs(beside)
    radius[:-1] += np.abs(beside)
    shifted = diagonal - len(diagonal) * _EPS * radius.max()
    return bool(lapack.dpttrf(shifted, np.append(beside, 0.0)[: max(len(beside), 1)])[-1] == 0)


def _turn_back(reflections: Matrix, factors: Matrix, vectors: Matrix) -> None:
    """Multiply the vectors (columns) by the reflections of `dsytrd`, in place."""
    rows = vectors.T
    for start in reversed(range(0, len(factors), _TOGETHER)):
        part = slice(start, min(start + _TOGETHER, len(factors)))
        householder = np.tril(reflections[start + 1 :, part], -1).astype(np.float32)
        np.fill_diagonal(householder, 1.0)
        scale = factors[part].astype(np.float32)
        # T = (1 + diag(t) strict(V^T V))^-1 diag(t), since t may be zero
        triangle = scale[:, None] * (householder.T @ householder)
        inner = scipy.linalg.solve_triangular(triangle, np.diag(scale), unit_diagonal=True, check_finite=False)
        turned = rows[:, start + 1 :]  # a reflection leaves the coordinates before its own as they are
        turned -= (turned @ householder) @ (householder @ inner).T
