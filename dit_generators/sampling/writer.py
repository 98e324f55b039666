"""Pictures are written in threads while the next batch is made."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from .folder import SampleFolder

_MOST_THREADS = 4
Write = Callable[[Sequence[int], NDArray[np.uint8]], None]


@contextmanager
def picture_writer(folder: SampleFolder) -> Iterator[Write]:
    """A function that takes pictures (B, H, W, C) with their numbers; at most one batch waits, so memory stays flat.

    At its end, whatever the reason, all that was handed over is written. The error of a picture that could not be
    written is raised by the next call or at the end.
    """
    waiting: list[Future[None]] = []

    def finish() -> None:
        while waiting:
            waiting.pop(0).result()

    with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as threads:

        def write(indices: Sequence[int], pictures: NDArray[np.uint8]) -> None:
            finish()
            waiting.extend(threads.submit(folder.save, *pair) for pair in zip(indices, pictures, strict=True))

        yield write
    finish()
