"""Square pictures by number: an array in memory, or decoded anew each time one is asked for."""

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ..errors import DataError

Digests = NDArray[np.uint8]  # (N, 32), SHA-256 of each picture's pixels


class Pixels(Protocol):
    """Pictures uint8 (N, E, E, C): an array, or `StreamedPixels`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, E, E, C)."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


@dataclass(frozen=True)
class StreamedPixels:
    """Pictures that are decoded when they are asked for, and found to be those that training began with.

    Attributes:
        read: gives picture i of the source as uint8 RGB (H, W, 3).
        rows: numbers of the pictures in the source.
        digests: of each of them, (N, 32).
        source, names: what messages call the set, and each picture.
        edge, channels: of the squares.
        pool: threads that decode; None decodes in the caller's.
        again: the folder to remove where pictures are to be looked at again.
    """

    read: Callable[[int], NDArray[np.uint8]]
    rows: NDArray[np.int64]
    digests: Digests
    source: str
    names: Sequence[str]
    edge: int
    channels: int
    pool: ThreadPoolExecutor | None
    again: Path | None

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, E, E, C)."""
        return len(self.rows), self.edge, self.edge, self.channels

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """uint8 (E, E, C); raises DataError for a picture that is gone, damaged, or another than it was."""
        picture = square(self.read(int(self.rows[index])), self.edge, self.channels)
        if digest_of(picture) != self.digests[index].tobytes():
            raise DataError(
                f"{self.source}: {self.names[index]} has changed since it was first read; restore it, or remove "
                f"{self.again} and start again"
            )
        return picture

    def many(self, indices: Sequence[int]) -> list[NDArray[np.uint8]]:
        """Several, in this order, whatever the number of threads."""
        return list(map(self.__getitem__, indices) if self.pool is None else self.pool.map(self.__getitem__, indices))


def take(pixels: Pixels, indices: Sequence[int]) -> Sequence[NDArray[np.uint8]]:
    """The pictures of these numbers, each (E, E, C)."""
    return pixels.many(indices) if isinstance(pixels, StreamedPixels) else [pixels[i] for i in indices]


def square(picture: NDArray[np.uint8], edge: int, channels: int) -> NDArray[np.uint8]:
    """RGB (H, W, 3) as uint8 (edge, edge, channels): shortest side resized with antialiasing, middle."""
    image = Image.fromarray(picture)
    resized = ImageOps.fit(image if channels == 3 else image.convert("L"), (edge, edge), Image.Resampling.LANCZOS)
    return np.asarray(resized, dtype=np.uint8).reshape(edge, edge, channels)


def digest_of(picture: NDArray[np.uint8]) -> bytes:
    """SHA-256 of a picture's pixels."""
    return hashlib.sha256(np.ascontiguousarray(picture).data).digest()


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """What Pillow warns of is checked by the decoder."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield
