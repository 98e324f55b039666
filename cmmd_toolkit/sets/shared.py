"""What several processes embedded, each its part of the pictures, put together in the source's order."""

from array import array
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..common.processes import current_processes
from ..common.row_collector import empty_rows
from ..features.record import RecordBuilder
from ..pictures.sources import ImageSource
from ..pictures.sources.source import Stream

Rows = NDArray[np.float32]


def gather_set(seen: RecordBuilder, features: Sequence[Rows], folder: Path | None) -> tuple[RecordBuilder, list[Rows]]:
    """The whole set in every process: what is known of the pictures, and features float32 (N, D) a backbone.

    `seen` and `features` are this process's part, in its order, which is the source's; `folder` takes many rows.
    """
    processes = current_processes()
    if processes.count == 1:
        return seen, list(features)
    parts = processes.gather(seen)
    rows_of = _rows_of([part.places for part in parts])
    whole = []
    for own in features:
        every = empty_rows(sum(map(len, rows_of)), own.shape[1], folder)
        for rank, first, part in processes.gather_rows(own, map(len, rows_of)):
            every[rows_of[rank][first : first + len(part)]] = part
        whole.append(every)
    return RecordBuilder.joined(parts), whole


def add_up_others(source: ImageSource) -> None:
    """Of a stream that processes have read in parts: the other files of all."""
    if isinstance(source.items, Stream):
        source.items.others = sum(current_processes().gather(source.items.others))


def _rows_of(places: Sequence["array[int]"]) -> list[NDArray[np.int64]]:
    """For each part the rows of its pictures in the whole set."""
    order = np.sort(np.concatenate([np.array(part, np.int64) for part in places]))
    return [np.searchsorted(order, np.array(part, np.int64)) for part in places]
