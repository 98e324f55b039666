"""Square pictures by number."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Pixels(Protocol):
    """Pictures uint8 (N, E, E, C), such as an array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, E, E, C)."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


def take(pixels: Pixels, indices: Sequence[int]) -> Sequence[NDArray[np.uint8]]:
    """The pictures of these numbers, each (E, E, C)."""
    return [pixels[i] for i in indices]
