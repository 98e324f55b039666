"""How training pictures are read: how many bytes of them may be in memory, by how many threads, shared by whom."""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cmmd_toolkit.common.progress import ShowProgress, show_no_progress
from cmmd_toolkit.common.threads import default_workers

from ..common.processes import ALONE, Processes

OnError = Literal["fail", "skip"]


@dataclass(frozen=True)
class Reading:
    """How pictures are read.

    Attributes:
        memory: bytes of decoded pictures that may be held; of more, each is decoded when it is needed. None holds all.
        workers: threads that decode; None is one a core of this process, at most eight.
        folder: keeps what is known of streamed pictures, and copies of sources that can only be read in order.
        processes: those that look at the pictures together.
    """

    memory: int | None = None
    workers: int | None = None
    folder: Path | None = None
    processes: Processes = ALONE
    show_progress: ShowProgress = show_no_progress

    def holds(self, shape: tuple[int, ...]) -> bool:
        """Whether so many pixels are held in memory."""
        return self.memory is None or math.prod(shape) <= self.memory

    @property
    def threads(self) -> int:
        """How many decode."""
        return default_workers() if self.workers is None else self.workers

    def pool(self) -> ThreadPoolExecutor | None:
        """The threads; none for 0 and 1, where the caller's own decodes."""
        return ThreadPoolExecutor(self.threads, "decode") if self.threads > 1 else None


IN_MEMORY = Reading()
