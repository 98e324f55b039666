"""Features and Gaussian statistics: what a backbone leaves of a set of pictures, in memory and on disk.

Files: `.safetensors` for both (the provenance is JSON in its header; the record of the pictures beside it, see
`record_file`); `.npz` with `mu` and `sigma`, the pytorch-fid layout, for statistics. Nothing here is ever unpickled.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..common.arguments import whole_number
from ..common.arrays import as_array
from ..common.files import atomic_path, check_exists, check_regular, path_of
from ..common.json_text import checked_provenance
from ..common.numpy_files import check_numpy_file, explain_numpy_error, read_member
from ..common.safetensors_file import is_whole, write_safetensors
from ..common.text import first_line
from ..errors import ArgumentError, InputError
from .matrices import LARGEST, SMALLEST, as_float32
from .record import SetRecord
from .record_file import HEADER, read_record, record_header, record_tensors

FORMAT = "cmmd-toolkit 1"
_UNKNOWN = -1  # the number of pictures in an .npz of statistics that do not say
_MOST_PICTURES = 2**53  # what float64 counts exactly


@dataclass(frozen=True, eq=False)
class Features:
    """One row of features for each picture.

    Attributes:
        values: float32 (N, D), finite.
        provenance: what made them (backbone, model, weights' SHA-256, preprocessing, ...), JSON-able.
        names: the pictures' names, empty or one a row.
        record: what else was seen of the pictures, None where it is not known; the checks of `compare` need it.

    Raises:
        ArgumentError: not two-dimensional, empty, not numeric, or with NaN or infinity; a provenance that is no JSON;
            names that are no text.
    """

    values: NDArray[np.float32]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    record: SetRecord | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", as_float32(self.values, "features"))
        object.__setattr__(self, "provenance", checked_provenance(self.provenance))
        object.__setattr__(self, "names", _checked_names(self.names))
        if self.names and len(self.names) != len(self.values):
            raise ArgumentError(f"expected one name a row, got {len(self.names)} names for {len(self.values)} rows")
        _check_record(self.record, len(self.values))

    def __len__(self) -> int:
        return len(self.values)

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
        rows = self.values.astype(np.float64)
        mean = rows.mean(axis=0)
        rows -= mean
        return GaussianStatistics(mean, rows.T @ rows / (len(self) - 1), len(self), self.provenance, self.record)

    def save(self, path: str | Path) -> None:
        """Write a `.safetensors` file atomically."""
        names = self.names or (self.record.names if self.record else ())
        header = {"names": json.dumps(names)} if names else {}
        _save_safetensors(path_of(path), {"features": self.values}, "features", self.provenance, header, self.record)

    @classmethod
    def load(cls, path: str | Path) -> "Features":
        """Read a file that `save` wrote. Raises InputError."""
        loaded = load_stored(path_of(path))
        if not isinstance(loaded, Features):
            raise InputError(f"{path}: holds Gaussian statistics, not features; make features with `cmmd embed`")
        return loaded


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
            object.__setattr__(self, "n", whole_number(self.n, "n", 1, _MOST_PICTURES))
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
        path = path_of(path)
        if path.suffix.lower() == ".npz":
            with atomic_path(path) as temporary, temporary.open("wb") as stream:
                count = np.int64(_UNKNOWN if self.n is None else self.n)
                np.savez(stream, mu=self.mean, sigma=self.cov, n=count)
            return
        header = {} if self.n is None else {"n": str(self.n)}
        header |= {"names": json.dumps(self.record.names)} if self.record else {}
        tensors = {"mean": self.mean, "cov": self.cov}
        _save_safetensors(path, tensors, "statistics", self.provenance, header, self.record)

    @classmethod
    def load(cls, path: str | Path) -> "GaussianStatistics":
        """Read `.safetensors` or a pytorch-fid `.npz`. Raises InputError."""
        loaded = load_stored(path_of(path))
        if not isinstance(loaded, GaussianStatistics):
            raise InputError(f"{path}: holds features, not statistics; use Features.load")
        return loaded


def rows_needed(name: str, what: str, instead: str = "") -> str:
    """The sentence about a set of statistics where every picture's features are needed."""
    return (
        f"{name} holds mean and covariance only, and {what} needs every picture's features; "
        f"{instead}take features from `cmmd embed` without --stats"
    )


def _checked_names(names: Any) -> tuple[str, ...]:
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
            f"got {highest:.3g} and {variance:.3g}; rescale the features, the same way on both sides"
        )


def is_stored(path: Path) -> bool:
    """Whether `path` names stored features or statistics rather than pictures."""
    suffix = path.suffix.lower()
    if suffix == ".npz" and path.is_file():
        keys = _npz_keys(path)
        return {"mu", "sigma"} <= keys and "arr_0" not in keys
    return suffix == ".safetensors"


def load_stored(path: Path) -> Features | GaussianStatistics:
    """Read stored features or statistics, whichever the file holds. Raises InputError."""
    check_exists(path)
    check_regular(path)
    try:
        return _load_npz(path) if path.suffix.lower() == ".npz" else _load_safetensors(path)
    except ArgumentError as error:
        raise InputError(f"{path}: {error}") from error


def _npz_keys(path: Path) -> set[str]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return set(archive.files)
    except Exception:  # unreadable: whoever opens it next says why
        return set()


def _load_npz(path: Path) -> GaussianStatistics:
    check_numpy_file(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not {"mu", "sigma"} <= set(archive.files):
                raise InputError(f"{path}: expected mu and sigma, found {', '.join(archive.files) or 'nothing'}")
            n = read_member(archive, "n").item() if "n" in archive.files else _UNKNOWN
            mean, cov = (read_member(archive, key) for key in ("mu", "sigma"))
            return GaussianStatistics(mean, cov, None if n == _UNKNOWN else n)
    except (InputError, ArgumentError):
        raise
    except Exception as error:
        raise InputError(f"{path}: {explain_numpy_error(error)}") from error


def _save_safetensors(
    path: Path,
    tensors: dict[str, NDArray[Any]],
    kind: str,
    provenance: Mapping[str, Any],
    header: dict[str, str],
    record: SetRecord | None,
) -> None:
    if path.suffix.lower() != ".safetensors":
        raise ArgumentError(f"{path}: expected a name that ends in .safetensors (or .npz for statistics)")
    metadata = {"format": FORMAT, "kind": kind, "provenance": json.dumps(dict(provenance), sort_keys=True), **header}
    if record is not None:
        metadata[HEADER] = record_header(record, path)
        tensors = tensors | record_tensors(record)
    with atomic_path(path) as temporary:
        write_safetensors(tensors, temporary, metadata)


def _load_safetensors(path: Path) -> Features | GaussianStatistics:
    from safetensors import safe_open

    try:
        with safe_open(path, framework="numpy") as stream:
            header = stream.metadata() or {}
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 (not a dict)
            provenance, names = (json.loads(header.get(key, "null")) for key in ("provenance", "names"))
    except Exception as error:  # SafetensorError, ValueError, OSError, TypeError, RecursionError, ...
        reason = first_line(error)
        raise InputError(f"{path}: not a readable safetensors file ({reason}); write it again") from error
    if not is_whole(tensors, header):
        raise InputError(f"{path}: damaged, its checksum differs; write it again")
    provenance = {} if provenance is None else provenance
    names = _checked_names(() if names is None else names)
    if "features" in tensors:
        record = read_record(header.get(HEADER), tensors, names, len(tensors["features"]), path)
        return Features(tensors["features"], provenance, names, record)
    if {"mean", "cov"} <= set(tensors):
        n = _count(header.get("n"))
        record = read_record(header.get(HEADER), tensors, names, n, path)
        return GaussianStatistics(tensors["mean"], tensors["cov"], n, provenance, record)
    found = ", ".join(sorted(tensors)[:3]) or "nothing"
    raise InputError(f"{path}: expected features, or mean and cov, found {found}; make it with `cmmd embed`")


def _count(text: str | None) -> int | None:
    """The number of pictures that a file says."""
    if text is None:
        return None
    if not (text.isdecimal() and len(text) < len(str(_MOST_PICTURES))):
        raise ArgumentError(f"n: expected a number of pictures, got {text!r:.60}")
    return int(text)
