"""What every source is: a named collection of pictures in one order."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ..decode import MAX_PIXELS, DecodePolicy, decode
from ..load import Load
from .names import other_files

Item = tuple[str, Load]
Rows = NDArray[np.int64]


class Stream(ABC, Iterable[Item]):
    """Pictures that can only be read in order, as often as asked; none is kept.

    Attributes:
        size: the number of pictures, None where only a pass tells it.
        others: how many other files the last pass met; processes that share a pass add up theirs.
    """

    size: int | None = None
    others = 0

    @property
    def remarks(self) -> tuple[str, ...]:
        """About the last pass."""
        return other_files(self.others)

    @abstractmethod
    def read(self, rows: Rows | None = None) -> Iterator[Item]:
        """One pass over all pictures, or over those of the given rows (from 0, rising)."""

    def count(self) -> int:
        """The number of pictures; costs a pass where `size` is None."""
        return sum(1 for _ in self.read()) if self.size is None else self.size

    def part(self, rank: int, count: int) -> Iterator[tuple[int, Item]]:
        """The share of one of `count` processes, each picture with its place: rising, no other's, in the order of all.

        Where the size is known, it is the rows next to each other, so that the rest need not be read.
        """
        if self.size is None:
            return self._every(rank, count)
        rows = np.arange(self.size * rank // count, self.size * (rank + 1) // count)
        return zip(rows.tolist(), self.read(rows), strict=True)

    def _every(self, rank: int, count: int) -> Iterator[tuple[int, Item]]:
        yield from islice(enumerate(self.read()), rank, None, count)
        self.others = 0 if rank else self.others  # all processes have met the same

    def __iter__(self) -> Iterator[Item]:
        return self.read()


class Drawn(Stream):
    """A seeded draw of pictures from a stream, the same as from a folder of as many."""

    def __init__(self, stream: Stream, wanted: int, seed: int) -> None:
        self._stream, self._wanted, self._seed = stream, wanted, seed
        self._rows: Rows | None = None
        self._counted: tuple[str, ...] = ()
        self.size = None if stream.size is None else min(wanted, stream.size)

    def read(self, rows: Rows | None = None) -> Iterator[Item]:
        """See `Stream`; the first pass over a stream of unknown length counts it before."""
        if self._rows is None:
            total = self._stream.count()
            self._rows = subset_rows(total, self._wanted, self._seed)
            counted = f"read twice: its {total} pictures were counted, and {len(self._rows)} of them drawn"
            self._counted = (counted,) if self._stream.size is None else ()
        yield from self._stream.read(self._rows if rows is None else self._rows[rows])
        self.others = self._stream.others

    @property
    def remarks(self) -> tuple[str, ...]:
        """See `Stream`."""
        return (*super().remarks, *self._counted)


@dataclass(frozen=True)
class ImageSource:
    """A named, ordered collection of pictures; `items` has no length when it streams.

    `problems` are names and reasons of what could not be looked into, or only looks like a picture: unusable, too.
    """

    name: str
    items: Sequence[Item] | Iterable[Item]
    policy: DecodePolicy = "upright"
    remarks: tuple[str, ...] = ()
    problems: tuple[tuple[str, str], ...] = ()

    @property
    def size(self) -> int | None:
        """The number of pictures, None when it is known only at the end of the stream."""
        if isinstance(self.items, Stream):
            return self.items.size
        return len(self.items) if isinstance(self.items, Sequence) else None

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    def part(self, rank: int, count: int) -> Iterator[tuple[int, Item]]:
        """The share of one of `count` processes: pictures with their places in the whole, rising."""
        if isinstance(self.items, Stream) and count > 1:
            return self.items.part(rank, count)
        return islice(enumerate(self.items), rank, None, count)

    def all_remarks(self) -> tuple[str, ...]:
        """The remarks, with those that only the end of a stream tells."""
        return self.remarks + (self.items.remarks if isinstance(self.items, Stream) else ())

    def subset(self, max_images: int | None, seed: int) -> "ImageSource":
        """At most `max_images` pictures, drawn without replacement by `seed`, in the source's order.

        A stream of unknown length that can be read again is counted first; one that can be read only once is held.
        """
        if max_images is None:
            return self
        if isinstance(self.items, Stream):
            return replace(self, items=Drawn(self.items, max_images, seed))
        items, remarks = self.items, self.remarks
        if not isinstance(items, Sequence):
            items = list(items)
            remarks = (*remarks, f"can be read only once, so all of its {len(items)} pictures were held for the draw")
        rows = subset_rows(len(items), max_images, seed)
        return replace(self, items=[items[i] for i in rows], remarks=remarks)


@dataclass(frozen=True)
class Opening:
    """How a source is opened: arguments as in `open_images`."""

    recursive: bool = True
    policy: DecodePolicy = "upright"
    max_pixels: int = MAX_PIXELS

    def load(self, name: str, read: Callable[[], bytes]) -> Load:
        """One encoded picture; `name` is what messages call it."""
        return Load(read, lambda data: decode(data, name, self.policy, self.max_pixels))


def subset_rows(total: int, wanted: int, seed: int) -> Rows:
    """Sorted row numbers of a seeded draw of `wanted` out of `total` without replacement."""
    if wanted >= total:
        return np.arange(total)
    return np.sort(np.random.default_rng(seed).choice(total, wanted, replace=False))
