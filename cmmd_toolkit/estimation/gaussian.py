"""A Gaussian fitted to features, with the factorisations of its covariance made once and kept."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from scipy.linalg import blas

from ..common.processes import current_processes
from ..errors import ArgumentError
from ..features.features import Features, GaussianStatistics
from ..features.matrices import as_matrix
from .kernel_device import device_of_kernels

Matrix = NDArray[np.floating[Any]]

_EPS = float(np.finfo(np.float64).eps)
_CHUNK_ROWS = 1024


@dataclass(frozen=True, eq=False)
class GaussianFit:
    """A Gaussian fitted to one side; keeps its factorisations so that a reference is factored once."""

    name: str
    mean: Matrix
    n: int | None
    rows: NDArray[Any] | None
    given_cov: Matrix | None

    @classmethod
    def of(cls, source: Any, name: str) -> "GaussianFit":
        if isinstance(source, GaussianStatistics):
            return cls(name, source.mean, source.n, None, source.cov)
        rows = source.values if isinstance(source, Features) else as_matrix(source, name)
        if len(rows) < 2:
            raise ArgumentError(f"{name}: a covariance needs at least two rows, got {len(rows)}")
        return cls(name, rows.mean(axis=0, dtype=np.float64), len(rows), rows, None)

    @cached_property
    def distinct(self) -> "GaussianFit":
        """The fit without exact copies of rows; itself where there are none."""
        from .shared_rows import without_copies

        if self.rows is None or len(rows := without_copies(self.rows)) in (1, self.n):
            return self
        return GaussianFit.of(rows, self.name)

    @cached_property
    def cov(self) -> Matrix:
        """The covariance; only its lower triangle is filled, which is all that LAPACK reads.

        The processes of `shared_work` take each their part of the rows.
        """
        if self.given_cov is not None:
            return np.asfortranarray(self.given_cov)
        total = self._covariance(current_processes().share(self.parts))
        current_processes().sum(total.T)
        return total

    def _covariance(self, parts: Iterable[slice]) -> Matrix:
        """What some parts of the rows add to it."""
        assert self.rows is not None
        dim, divisor = self.mean.size, self.count - 1
        if (device := device_of_kernels(np.float64, self.count * dim * dim / 2)) is not None:
            from .device_moments import covariance_on

            return covariance_on(device, self.rows, self.mean, parts, divisor)
        total = np.zeros((dim, dim), order="F")
        for _, rows in self.centred_parts(parts):
            total = blas.dsyrk(1 / divisor, rows.T, beta=1.0, c=total, lower=1, overwrite_c=1)
        return total

    @cached_property
    def trace(self) -> float:
        if self.has_full_rank or self.given_cov is not None:
            return float(np.trace(self.cov))
        return sum(float(np.square(chunk).sum()) for chunk in self.centred_chunks())

    @cached_property
    def has_full_rank(self) -> bool:
        """Whether the number of rows allows a positive definite covariance."""
        return self.n is None or self.n > self.mean.size

    @cached_property
    def cholesky(self) -> Matrix | None:
        """Lower L with L L^T = cov, None when the covariance is not positive definite."""
        try:
            lower: Matrix = scipy.linalg.cholesky(self.cov, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return None
        return lower

    @cached_property
    def factor(self) -> Matrix:
        """A with A^T A = cov and at most D rows."""
        if self.given_cov is not None:
            return _factor_of_covariance(self.given_cov, self.name)
        factor: Matrix = np.empty((0, self.mean.size))
        for chunk in self.centred_chunks():
            factor = np.vstack([factor, chunk])
            if len(factor) > self.mean.size:
                factor = np.asarray(np.linalg.qr(factor, mode="r"))
        return factor

    @property
    def rank_caveat(self) -> str | None:
        if self.has_full_rank:
            return None
        return (
            f"{self.name}: {self.n} pictures for {self.mean.size} feature dimensions: the covariance is singular and "
            "the Frechet distance is biased upwards; compare it only with values of the same n"
        )

    @property
    def count(self) -> int:
        """The number of rows."""
        assert self.rows is not None
        return len(self.rows)

    @cached_property
    def principal_axes(self) -> tuple[Matrix, Matrix]:
        """Eigenvalues of the covariance, rising, and its eigenvectors as columns."""
        values, vectors = scipy.linalg.eigh(self.cov, lower=True, check_finite=False, driver="evd")
        return values, vectors

    @property
    def parts(self) -> list[slice]:
        """Slices of about a thousand rows."""
        return [slice(at, min(at + _CHUNK_ROWS, self.count)) for at in range(0, self.count, _CHUNK_ROWS)]

    def centred_parts(self, parts: Iterable[slice]) -> Iterator[tuple[slice, Matrix]]:
        """Each part with its rows, centred, in float64; the next part's take the same memory."""
        assert self.rows is not None
        memory = np.empty((min(_CHUNK_ROWS, self.count), self.mean.size))
        for part in parts:
            yield part, np.subtract(self.rows[part], self.mean, out=memory[: part.stop - part.start])

    def centred_chunks(self) -> Iterator[Matrix]:
        """All centred rows in float64, divided by sqrt(n - 1), as `centred_parts` gives them."""
        for _, rows in self.centred_parts(self.parts):
            rows /= np.sqrt(self.count - 1)
            yield rows


def _factor_of_covariance(cov: Matrix, name: str) -> Matrix:
    """A with A^T A = cov from its eigenvectors; rounding-level eigenvalues are zero."""
    eigenvalues, vectors = np.linalg.eigh((cov + cov.T) / 2)
    largest = float(np.abs(eigenvalues).max())
    if eigenvalues[0] < -1e-6 * largest:
        raise ArgumentError(
            f"{name}: the covariance has a negative eigenvalue ({eigenvalues[0]:.3g} beside {largest:.3g}); "
            "compute the statistics again"
        )
    kept = eigenvalues > len(cov) * _EPS * largest
    factor: Matrix = (vectors[:, kept] * np.sqrt(eigenvalues[kept])).T
    return factor
