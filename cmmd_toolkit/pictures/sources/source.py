"""What every source is: a named collection of pictures in one order."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..decode import MAX_PIXELS, DecodePolicy, decode
from ..load import Load

Item = tuple[str, Load]


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
        return len(self.items) if isinstance(self.items, Sequence) else None

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    def subset(self, max_images: int | None, seed: int) -> "ImageSource":
        """At most `max_images` pictures, drawn without replacement by `seed`, in the source's order."""
        if max_images is None:
            return self
        items = self.items if isinstance(self.items, Sequence) else list(self.items)
        rows = subset_rows(len(items), max_images, seed)
        return replace(self, items=[items[i] for i in rows])


@dataclass(frozen=True)
class Opening:
    """How a source is opened: arguments as in `open_images`."""

    recursive: bool = True
    policy: DecodePolicy = "upright"
    max_pixels: int = MAX_PIXELS

    def load(self, name: str, read: Callable[[], bytes]) -> Load:
        """One encoded picture; `name` is what messages call it."""
        return Load(read, lambda data: decode(data, name, self.policy, self.max_pixels))


def subset_rows(total: int, wanted: int, seed: int) -> NDArray[np.int64]:
    """Sorted row numbers of a seeded draw of `wanted` out of `total` without replacement."""
    if wanted >= total:
        return np.arange(total)
    return np.sort(np.random.default_rng(seed).choice(total, wanted, replace=False))
