"""Memory that a thread uses again for each block: what is freed and taken anew costs page faults."""

import math
from threading import local
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class ThreadMemory(local):
    """Arrays by name, of one thread each; what a name held before is overwritten."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, np.dtype[Any]], NDArray[Any]] = {}

    def empty(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array of this shape with whatever is in it."""
        key, size = (name, np.dtype(dtype)), math.prod(shape)
        if key not in self._kept or self._kept[key].size < size:
            self._kept[key] = np.empty(size, dtype)
        return self._kept[key][:size].reshape(shape)
