"""Rows that come block by block: in memory while they are few, beyond that in a temporary file, memory-mapped."""

import os
import tempfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..errors import InputError

IN_MEMORY = 256 * 2**20  # bytes


class RowCollector:
    """Rows (N, D) in the order they come, N not known before.

    The file has no name, so that a killed process leaves nothing; it goes with the array that is mapped to it. It is
    written, not mapped, while it grows: a full disk is an error then, and no signal.
    """

    def __init__(self, dim: int, dtype: DTypeLike = np.float32, folder: Path | None = None) -> None:
        self._dim, self._dtype, self._folder = dim, np.dtype(dtype), folder
        self._waiting: list[NDArray[Any]] = []
        self._held = self._written = 0  # bytes in memory, rows in the file
        self._file: IO[bytes] | None = None

    def add(self, rows: NDArray[Any]) -> None:
        """The next rows (n, D), which are not changed afterwards. Raises InputError where a disk has no room."""
        self._waiting.append(rows)
        self._held += rows.nbytes
        if self._held > IN_MEMORY:
            self._write()

    def collected(self) -> NDArray[Any]:
        """All rows, (N, D); read-only where they are in a file."""
        if self._file is None:
            return np.concatenate(self._waiting) if self._waiting else np.empty((0, self._dim), self._dtype)
        self._write()
        with self._file as file:
            file.flush()
            shape = self._written, self._dim
            return np.asarray(np.memmap(file, self._dtype, "r", shape=shape))

    def _write(self) -> None:
        folder = self._folder or Path(tempfile.gettempdir())
        try:
            if self._file is None:
                folder.mkdir(parents=True, exist_ok=True)
                self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (as long as the array)
            for rows in self._waiting:
                self._file.write(np.ascontiguousarray(rows, self._dtype).data)
                self._written += len(rows)
        except OSError as error:
            reason = error.strerror or error
            raise InputError(
                f"{folder}: rows of {self._dim} features beyond {IN_MEMORY // 2**20} MiB are kept in a temporary file "
                f"here, which could not be written ({reason}); free space, or set TMPDIR to another folder"
            ) from error
        self._waiting, self._held = [], 0


def gathered(rows: NDArray[Any], index: NDArray[np.int64]) -> NDArray[Any]:
    """rows[index], (n, D), in a temporary file where that is large."""
    if len(index) * rows.shape[1] * rows.dtype.itemsize <= IN_MEMORY:
        return rows[index]
    collector = RowCollector(rows.shape[1], rows.dtype)
    for block in row_blocks(len(index), rows.shape[1]):
        collector.add(rows[index[block]])
    return collector.collected()


def row_blocks(count: int, dim: int) -> list[slice]:
    """Slices of a few thousand rows, each of at most 16 MiB in float32."""
    height = max(1, 2**22 // dim)
    return [slice(start, min(start + height, count)) for start in range(0, count, height)]


def empty_rows(count: int, dim: int, folder: Path | None = None) -> NDArray[np.float32]:
    """Float32 (count, dim) to be filled in any order; in a temporary file, which goes with it, where it is large."""
    if count * dim * 4 <= IN_MEMORY:
        return np.empty((count, dim), np.float32)
    place = folder or Path(tempfile.gettempdir())
    with tempfile.TemporaryFile(dir=place) as file:
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, count * dim * 4)  # no room is an error now, and no signal later
        except OSError as error:
            raise InputError(
                f"{place}: {count:,} rows of {dim} features are kept in a temporary file here, for which there is no "
                f"room ({error.strerror}); free space, or set TMPDIR to another folder"
            ) from error
        return np.asarray(np.memmap(file, np.float32, "r+", shape=(count, dim)))
