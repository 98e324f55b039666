"""Pictures are written in threads while the next batch is made."""

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .folder import SampleFolder

_MOST_THREADS = 4


class PictureWriter:
    """Writes batches of pictures to a folder; at most one batch waits, so memory stays flat.

    A context manager: at its end, whatever the reason, all that was handed over is written. The error of a picture that
    could not be written is raised by the next `write` or at the end.
    """

    def __init__(self, folder: SampleFolder) -> None:
        self._folder = folder
        self._threads = ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1))
        self._waiting: list[Future[None]] = []

    def write(self, indices: Sequence[int], pictures: NDArray[np.uint8]) -> None:
        """Hand over pictures (B, H, W, C) with their numbers, once those before are written."""
        self._finish()
        save = self._folder.save
        self._waiting = [self._threads.submit(save, i, picture) for i, picture in zip(indices, pictures, strict=True)]

    def __enter__(self) -> "PictureWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None) -> None:
        self._threads.shutdown()
        if kind is None:
            self._finish()

    def _finish(self) -> None:
        for picture in self._waiting:
            picture.result()
        self._waiting = []
