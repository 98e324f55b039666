"""Rows of unit length: made at once while they are few, block by block where a copy of them would be large."""

from typing import Any, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..common.row_collector import IN_MEMORY, gathered
from .matrices import unit_rows


class UnitRows:
    """Float32 rows (N, D), each divided by its length whenever it is looked at: nothing of their size is held.

    Slices and arrays of row numbers give arrays; `numpy.asarray` gives all rows at once.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, rows: NDArray[np.float32]) -> None:
        self._rows = rows
        self.shape = rows.shape

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, which: slice | NDArray[np.int64]) -> NDArray[np.float32]:
        return unit_rows(self._rows[which])

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return self[:].astype(dtype or self.dtype, copy=False)

    def taken(self, index: NDArray[np.int64]) -> "UnitRows":
        """Some of the rows, (n, D)."""
        return UnitRows(gathered(self._rows, index))


SomeRows = NDArray[Any] | UnitRows


def as_unit_rows(rows: NDArray[np.float32]) -> SomeRows:
    """The rows divided by their lengths, an array up to 256 MiB."""
    return unit_rows(rows) if rows.nbytes <= IN_MEMORY else UnitRows(rows)


@overload
def taken(rows: NDArray[Any], index: NDArray[np.int64]) -> NDArray[Any]: ...


@overload
def taken(rows: UnitRows, index: NDArray[np.int64]) -> UnitRows: ...


def taken(rows: SomeRows, index: NDArray[np.int64]) -> SomeRows:
    """Some of the rows, (n, D); in a temporary file where they are many."""
    return rows.taken(index) if isinstance(rows, UnitRows) else gathered(rows, index)
