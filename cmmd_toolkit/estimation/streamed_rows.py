"""Rows of a Gaussian kernel that are scaled block by block: for sets whose scaled copy would be large."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..features.unit_rows import SomeRows
from .blocks import BLOCK, blocks
from .kernels import GaussianRows, Rows, Vector

_KEPT = 6  # blocks: a row of blocks uses its first factor again and again


class StreamedRows:
    """Rows less the centre, times a factor, made whenever a slice is looked at."""

    def __init__(self, rows: SomeRows, centre: Vector, dtype: type[np.floating[Any]], factor: float) -> None:
        self._rows, self._centre, self._dtype, self._factor = rows, centre, dtype, dtype(factor)
        self._part = lru_cache(_KEPT)(self._made)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, part: slice) -> Rows:
        return self._part(*part.indices(len(self)))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return self._made(0, len(self), 1).astype(dtype or self._dtype, copy=False)

    def _made(self, start: int, stop: int, _step: int) -> Rows:
        scaled: Rows = np.empty((stop - start, self._rows.shape[1]), self._dtype)
        for at in range(start, stop, BLOCK):
            end = min(at + BLOCK, stop)
            scaled[at - start : end - start] = self._rows[at:end] - self._centre
        scaled *= self._factor
        return scaled


class StreamedGaussianRows(GaussianRows):
    """`GaussianRows` without a scaled copy of the rows: the same blocks to the last bit."""

    def __init__(self, rows: SomeRows, centre: Vector, dtype: type[np.floating[Any]], gamma: float) -> None:
        self.scaled = StreamedRows(rows, centre, dtype, float(np.sqrt(2.0 * gamma)))
        own = (self.scaled[part] for part in blocks(len(rows)))
        self.half_norms = np.concatenate([np.einsum("ij,ij->i", part, part) for part in own]) / 2
