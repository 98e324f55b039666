"""Features and Gaussian statistics: what a backbone leaves of a set of pictures. Their files: `stored_file`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..common.arguments import whole_number
from ..common.arrays import as_array
from ..common.files import path_of
from ..common.json_text import checked_provenance
from ..common.row_collector import gathered, row_blocks
from ..errors import ArgumentError, InputError
from .matrices import LARGEST, SMALLEST, as_float32
from .record import SetRecord

MOST_PICTURES = 2**53  # what float64 counts exactly


@dataclass(frozen=True, eq=False)
class Features:
    """One row of features for each picture.

    Attributes:
        values: float32 (N, D), finite.
        provenance: what made them (backbone, model, weights' SHA-256, preprocessing, ...), JSON-able.
        names: the pictures' names, empty or one per row.
        record: what else was seen of the pictures, None where it is not known; the checks of `compare` need it.

    Raises:
        ArgumentError: not two-dimensional, empty, not numeric, or with NaN or infinity; a provenance that is not JSON;
            names that are not text.
    """

    values: NDArray[np.float32]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    record: SetRecord | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", as_float32(self.values, "features"))
        object.__setattr__(self, "provenance", checked_provenance(self.provenance))
        object.__setattr__(self, "names", checked_names(self.names))
        if self.names and len(self.names) != len(self.values):
            raise ArgumentError(f"expected one name per row, got {len(self.names)} names for {len(self.values)} rows")
        _check_record(self.record, len(self.values))

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        facts = (self.provenance.get("backbone"), self.provenance.get("source"))
        known = [str(facts[0])] if facts[0] else []
        known += [repr(str(facts[1]))] if facts[1] else []
        return f"Features({', '.join([f'{len(self)} x {self.dim}', *known])})"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=bool(copy)) if copy else np.asarray(self.values, dtype=dtype)

    @property
    def dim(self) -> int:
        """The number of feature dimensions D."""
        return int(self.values.shape[1])

    def statistics(self) -> "GaussianStatistics":
        """Mean and covariance (ddof 1) in float64. Raises ArgumentError for fewer than two rows."""
        if len(self) < 2:
            raise ArgumentError("a covariance needs at least two pictures, got one")
        mean, total = self.values.mean(axis=0, dtype=np.float64), np.zeros((self.dim, self.dim))
        for block in row_blocks(len(self), self.dim):
            centred = self.values[block] - mean
            total += centred.T @ centred
        return GaussianStatistics(mean, total / (len(self) - 1), len(self), self.provenance, self.record)

    def subset(self, rows: NDArray[np.int64]) -> "Features":
        """The features of some pictures; rows are int64, each from 0 to N - 1."""
        names = tuple(self.names[row] for row in rows) if self.names else ()
        record = self.record.subset(rows) if self.record else None
        return Features(gathered(self.values, rows), self.provenance, names, record)

    def save(self, path: str | Path) -> None:
        """Write a `.safetensors` file atomically."""
        from .stored_file import save_features

        save_features(self, path_of(path))

    @classmethod
    def load(cls, path: str | Path, *, backbone: str | None = None) -> "Features":
        """Read a file of features: what `save` or `FeatureSet.save` wrote, or an `.npy` of floats (N, D).

        More than 64 MiB stay in the file, memory-mapped and read-only: do not write to it meanwhile.

        Args:
            path: the file.
            backbone: which features to take from a file that holds several.

        Raises:
            InputError: unreadable, damaged, statistics, or features of another backbone; of several, and none named.
        """
        from .stored_file import load_features

        return load_features(path_of(path), backbone)


@dataclass(frozen=True, eq=False)
class GaussianStatistics:
    """Mean and covariance of features: all that the Frechet distance needs.

    Attributes:
        mean: float64 (D,).
        cov: float64 (D, D), symmetric, ddof 1.
        n: the number of pictures, None where a file does not say.
        provenance, record: as in `Features`.
    """

    mean: NDArray[np.float64]
    cov: NDArray[np.float64]
    n: int | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    record: SetRecord | None = None

    def __post_init__(self) -> None:
        mean, cov = _as_float64(self.mean, "mean"), _as_float64(self.cov, "cov")
        if mean.ndim != 1 or cov.shape != (mean.size, mean.size) or mean.size == 0:
            raise ArgumentError(f"expected a mean (D,) and a covariance (D, D), got {mean.shape} and {cov.shape}")
        if not (np.isfinite(mean).all() and np.isfinite(cov).all()):
            raise ArgumentError("mean or covariance holds NaN or infinity; compute the statistics again")
        _check_moments(mean, cov)
        object.__setattr__(self, "provenance", checked_provenance(self.provenance))
        if self.n is not None:
            object.__setattr__(self, "n", whole_number(self.n, "n", 1, MOST_PICTURES))
        _check_record(self.record, self.n)
        if not np.allclose(cov, cov.T, rtol=1e-6, atol=1e-6 * float(np.abs(cov).max())):
            raise ArgumentError("the covariance is not symmetric; compute the statistics again")
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "cov", cov)

    @property
    def dim(self) -> int:
        """The number of feature dimensions D."""
        return int(self.mean.size)

    def save(self, path: str | Path) -> None:
        """Write `.safetensors`, or `.npz` that pytorch-fid reads, atomically."""
        from .stored_file import save_statistics

        save_statistics(self, path_of(path))

    @classmethod
    def load(cls, path: str | Path) -> "GaussianStatistics":
        """Read `.safetensors` or a pytorch-fid `.npz`. Raises InputError."""
        from .stored_file import load_stored

        loaded = load_stored(path_of(path))
        if not isinstance(loaded, GaussianStatistics):
            raise InputError(f"{path}: holds features, not statistics; use Features.load")
        return loaded


def rows_needed(name: str, what: str, instead: str = "") -> str:
    """The sentence about a set of statistics where every picture's features are needed."""
    return (
        f"{name} holds mean and covariance only, and {what} needs every picture's features; "
        f"{instead}use features from `cmmd embed` without --stats"
    )


def checked_names(names: Any) -> tuple[str, ...]:
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise ArgumentError(f"names: expected a tuple of text, got {type(names).__name__} {names!r:.60}")
    return tuple(names)


def _check_record(record: SetRecord | None, rows: int | None) -> None:
    if not isinstance(record, SetRecord | None):
        raise ArgumentError(f"record: expected what `embed` saw of the pictures, got {type(record).__name__}")
    if record is not None and rows is not None and len(record) != rows:
        raise ArgumentError(f"expected a record of {rows} pictures, got one of {len(record)}")


def _as_float64(values: Any, name: str) -> NDArray[np.float64]:
    array = as_array(values, name)
    if array.dtype.kind not in "fiu":
        raise ArgumentError(f"{name}: expected numbers, got {array.dtype}; compute the statistics again")
    with np.errstate(over="ignore"):  # of long doubles, to an infinity that is refused
        return array.astype(np.float64, copy=False)


def _check_moments(mean: NDArray[np.float64], cov: NDArray[np.float64]) -> None:
    """The magnitudes that features may have, and their squares."""
    highest, variance = float(np.abs(mean).max()), float(np.abs(cov).max())
    if highest > LARGEST or variance > LARGEST**2 or 0 < variance < SMALLEST**2:
        raise ArgumentError(
            f"expected a mean up to {LARGEST:g} and a covariance between {SMALLEST**2:g} and {LARGEST**2:g}, or zeros, "
            f"got {highest:.3g} and {variance:.3g}; rescale the features of both sides in the same way"
        )
