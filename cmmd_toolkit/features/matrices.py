"""The common door of features: what is no finite matrix, or has no digits left, is refused here.

No metric has to guard against overflow behind it: magnitudes from 1e-20 to 1e20 leave room in float64 for the kernel
of KID, which is a product of six features, and for its square.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..common.arrays import as_array
from ..common.row_collector import IN_MEMORY, RowCollector, row_blocks
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
        low, high = column_range(array)
        spread, largest = high - low, np.maximum(np.abs(low), np.abs(high))
        resolved = spread >= _LEAST_STEPS * _EPS_64 * largest  # what is rounding already loses nothing
        lost = (spread < _LEAST_STEPS * _EPS_32 * largest) & resolved
        if np.square(spread[lost]).sum() > np.square(spread[~lost]).sum():
            raise _no_digits(name, "float32, in which features are kept", largest[lost].max(), spread[lost].max())
    return _converted(array)


def _converted(array: NDArray[Any]) -> NDArray[np.float32]:
    """As float32; a large one in a temporary file."""
    if array.dtype == np.float32 or array.size * 4 <= IN_MEMORY:
        return array.astype(np.float32, copy=False)
    collector = RowCollector(array.shape[1])
    for block in row_blocks(*array.shape):
        collector.add(array[block].astype(np.float32))
    return collector.collected()


def column_range(rows: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The least and the largest number of each column (D,), float64, in one pass over the rows (N, D)."""
    ends = []
    for block in row_blocks(*rows.shape):
        part = rows[block]
        ends.append((part.min(axis=0), part.max(axis=0)))
    low, high = (np.stack(own) for own in zip(*ends, strict=True))
    return low.min(axis=0).astype(np.float64), high.max(axis=0).astype(np.float64)


def check_magnitude(array: NDArray[Any], name: str) -> None:
    """Raise ArgumentError for NaN, infinity, and magnitudes whose squares no metric can hold."""
    largest = 0.0
    for block in row_blocks(*array.shape):
        part = array[block]
        low, high = part.min(), part.max()
        if not (np.isfinite(low) and np.isfinite(high)):
            row = block.start + int(np.flatnonzero(~np.isfinite(part).all(axis=1))[0])
            raise ArgumentError(f"{name}: NaN or infinity in row {row}; compute the features again")
        largest = max(largest, abs(float(low)), abs(float(high)))
    if largest > LARGEST or 0 < largest < SMALLEST:
        raise ArgumentError(
            f"{name}: expected a largest magnitude between {SMALLEST:g} and {LARGEST:g}, or zeros, got {largest:.3g}; "
            "rescale the features of both sides in the same way"
        )


def check_width(reference: int, generated: int, name: str = "generated") -> None:
    """Raise ArgumentError for two sets of features of different width."""
    if reference != generated:
        raise ArgumentError(
            f"features of different width: reference has {reference}, {name} has {generated}; use the same backbone "
            "and dims for both"
        )


def check_digits(reference: Any, generated: Any, name: str = "generated") -> None:
    """Raise ArgumentError where two sets lie so far from zero that their spread is rounding; equal rows may."""
    sides = reference, generated
    lows, highs = zip(*map(column_range, sides), strict=True)
    low, high = np.minimum(*lows), np.maximum(*highs)
    spread, largest = high - low, np.maximum(np.abs(low), np.abs(high))
    lost = spread < _LEAST_STEPS * max(map(_eps, sides)) * largest
    all_lost = np.square(spread[lost]).sum() > np.square(spread[~lost]).sum()
    if all_lost or 0 < spread.max() < _LEAST_STEPS * _EPS_64 * largest.max():
        given = "float64" if not all_lost else str(np.result_type(reference.dtype, generated.dtype))
        raise _no_digits(f"reference, {name}", given, largest.max(), spread.max())


def _no_digits(name: str, dtype: str, largest: float, spread: float) -> ArgumentError:
    return ArgumentError(
        f"{name}: expected features whose spread has digits left, got values up to {largest:.3g} that vary by "
        f"{spread:.3g}, which is rounding in {dtype}; subtract the common offset before rounding, on both sides"
    )


def _eps(rows: Any) -> float:
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
