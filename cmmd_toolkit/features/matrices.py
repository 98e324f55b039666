"""The common door of features: what is no finite matrix, or has no digits left, is refused here.

No metric has to guard against overflow behind it: magnitudes from 1e-20 to 1e20 leave room in float64 for the kernel
of KID, which is a product of six features, and for its square.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..common.arrays import as_array
from ..errors import ArgumentError

SMALLEST, LARGEST = 1e-20, 1e20
_LEAST_STEPS = 32  # of rounding in the range of a column; with fewer its spread is rounding as much as data
_EPS_64, _EPS_32 = (float(np.finfo(dtype).eps) for dtype in (np.float64, np.float32))


def as_matrix(values: Any, name: str) -> NDArray[Any]:
    """A finite (N, D) array of sensible magnitude from an array, tensor or Features, or an ArgumentError."""
    array = as_array(values, name)
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in "fiu":
        raise ArgumentError(f"{name}: expected numbers of shape (N, D), got {array.dtype} of shape {array.shape}")
    check_magnitude(array, name)
    return array.astype(np.float64) if array.dtype.kind == "f" and array.dtype.itemsize > 8 else array


def as_float32(values: Any, name: str) -> NDArray[np.float32]:
    """The same as float32, or an ArgumentError where the conversion would leave nothing of the spread."""
    array = as_matrix(values, name)
    if array.dtype.itemsize > 4:
        low, high = array.min(axis=0).astype(np.float64), array.max(axis=0).astype(np.float64)
        spread, largest = high - low, np.maximum(np.abs(low), np.abs(high))
        resolved = spread >= _LEAST_STEPS * _EPS_64 * largest  # what is rounding already loses nothing
        lost = (spread < _LEAST_STEPS * _EPS_32 * largest) & resolved
        if np.square(spread[lost]).sum() > np.square(spread[~lost]).sum():
            raise _no_digits(name, "float32, in which features are kept", largest[lost].max(), spread[lost].max())
    return array.astype(np.float32, copy=False)


def check_magnitude(array: NDArray[Any], name: str) -> None:
    """Raise ArgumentError for NaN, infinity, and magnitudes whose squares no metric can hold."""
    if not (np.isfinite(array.min()) and np.isfinite(array.max())):
        row = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        raise ArgumentError(f"{name}: NaN or infinity in row {row}; compute the features again")
    low, high = float(array.min()), float(array.max())
    largest = max(abs(low), abs(high))
    if largest > LARGEST or 0 < largest < SMALLEST:
        raise ArgumentError(
            f"{name}: expected a largest magnitude between {SMALLEST:g} and {LARGEST:g}, or zeros, got {largest:.3g}; "
            "rescale the features, the same way on both sides"
        )


def check_digits(reference: NDArray[Any], generated: NDArray[Any], name: str = "generated") -> None:
    """Raise ArgumentError where two sets lie so far from zero that their spread is rounding; equal rows may."""
    sides = reference, generated
    low = np.minimum(*(rows.min(axis=0).astype(np.float64) for rows in sides))
    high = np.maximum(*(rows.max(axis=0).astype(np.float64) for rows in sides))
    spread, largest = high - low, np.maximum(np.abs(low), np.abs(high))
    lost = spread < _LEAST_STEPS * max(map(_eps, sides)) * largest
    all_lost = np.square(spread[lost]).sum() > np.square(spread[~lost]).sum()
    if all_lost or 0 < spread.max() < _LEAST_STEPS * _EPS_64 * largest.max():
        given = "float64" if not all_lost else str(np.result_type(*sides))
        raise _no_digits(f"reference, {name}", given, largest.max(), spread.max())


def _no_digits(name: str, dtype: str, largest: float, spread: float) -> ArgumentError:
    return ArgumentError(
        f"{name}: expected features whose spread has digits left, got values up to {largest:.3g} that vary by "
        f"{spread:.3g}, which is rounding in {dtype}; take the common offset off before rounding, on both sides"
    )


def _eps(rows: NDArray[Any]) -> float:
    """The rounding of values as given; whole numbers have none, and halves are taken at their word."""
    if rows.dtype.kind != "f":
        return 0.0
    return _EPS_64 if rows.dtype.itemsize == 8 else _EPS_32


def unit_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each row divided by its Euclidean length; a zero row stays zero."""
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    beyond = ~((lengths > 1e-15) & (lengths < 1e15))[:, 0]  # where squares leave float32
    lengths[beyond] = np.linalg.norm(rows[beyond].astype(np.float64), axis=1, keepdims=True)
    unit: NDArray[np.float32] = (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32, copy=False)
    return unit
