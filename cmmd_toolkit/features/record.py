"""What is known of every picture of a set besides its features.

Every check of a set is made from this record, whether its pictures were read just now or their features come from a
file. A record is kept picture by picture, so that a subset of the rows has one too: 28 bytes a picture, and its name.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from heapq import merge
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .origin import Origin

DIGEST_SIZE = 16


class Kind(NamedTuple):
    """What pictures have in common: the stored format, and what was converted."""

    format: str
    notes: tuple[str, ...]


@dataclass
class SetSummary:
    """A set as the checks see it: counts, and the digest of every picture's pixels."""

    name: str
    names: list[str] = field(default_factory=list)
    formats: Counter[str] = field(default_factory=Counter)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    remarks: tuple[str, ...] = ()
    label: str = ""

    def __post_init__(self) -> None:
        self.label = self.label or self.name


@dataclass(frozen=True, eq=False)
class SetRecord:
    """What was seen of N pictures while they were read.

    Attributes:
        names: one a picture; kinds: the different ones.
        kind_of: uint32 (N,), which of `kinds`; sizes: uint32 (N, 2), width and height in pixels.
        digests: uint8 (N, 16), BLAKE2b of the decoded pixels.
        skipped: name and reason of the pictures that were left out; remarks: about the set.
        origin: when and where they were read, None before it is known.
        file: the file this was loaded from, or "".
    """

    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    kind_of: NDArray[np.uint32]
    sizes: NDArray[np.uint32]
    digests: NDArray[np.uint8]
    skipped: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()
    origin: Origin | None = None
    file: str = ""

    def __len__(self) -> int:
        return len(self.names)

    def subset(self, rows: NDArray[np.int64]) -> "SetRecord":
        """The record of some of the pictures."""
        return replace(
            self,
            names=tuple(self.names[row] for row in rows),
            kind_of=self.kind_of[rows],
            sizes=self.sizes[rows],
            digests=self.digests[rows],
        )

    def summary(self, name: str, label: str = "") -> SetSummary:
        """The counts under a name, and under a short one for warnings."""
        kinds = Counter({self.kinds[i]: n for i, n in _counted(self.kind_of)})
        formats, notes = Counter[str](), Counter[str]()
        for kind, count in kinds.items():
            formats[kind.format] += count
            for note in kind.notes:
                notes[note] += count
        packed = self.sizes[:, 0].astype(np.uint64) << np.uint64(32) | self.sizes[:, 1]
        sizes = Counter({(size >> 32, size & 0xFFFFFFFF): n for size, n in _counted(packed)})
        digests = [row.tobytes() for row in self.digests]
        names, skipped = list(self.names), list(self.skipped)
        return SetSummary(name, names, formats, sizes, notes, skipped, digests, self.remarks, label)


def _counted(values: NDArray[np.unsignedinteger]) -> Iterable[tuple[int, int]]:
    found, counts = np.unique(values, return_counts=True)
    return zip(found.tolist(), counts.tolist(), strict=True)


class RecordBuilder:
    """A record in the making, picture by picture; `places` are theirs, and those of the skipped, in the source."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.places = array("q")
        self.skipped: list[tuple[str, str]] = []
        self.skipped_places = array("q")
        self._kinds: dict[Kind, int] = {}
        self._kind_of = array("I")
        self._sizes = array("I")
        self._digests = bytearray()

    def add(self, place: int, name: str, kind: Kind, size: tuple[int, int], digest: bytes) -> None:
        """One usable picture; size is (width, height) in pixels."""
        self.names.append(name)
        self.places.append(place)
        self._kind_of.append(self._kinds.setdefault(kind, len(self._kinds)))
        self._sizes.extend(size)
        self._digests += digest

    def skip(self, place: int, name: str, reason: str) -> None:
        """One that cannot be used."""
        self.skipped.append((name, reason))
        self.skipped_places.append(place)

    @classmethod
    def joined(cls, parts: Sequence["RecordBuilder"]) -> "RecordBuilder":
        """Parts of one source, in its order."""
        if len(parts) == 1:
            return parts[0]
        whole = cls()
        for picture in merge(*(part._pictures() for part in parts)):
            whole.add(*picture)
        for place, skipped in merge(*(zip(part.skipped_places, part.skipped, strict=True) for part in parts)):
            whole.skip(place, *skipped)
        return whole

    def _pictures(self) -> Iterator[tuple[int, str, Kind, tuple[int, int], bytes]]:
        kinds = list(self._kinds)
        for row, place in enumerate(self.places):
            digest = bytes(self._digests[row * DIGEST_SIZE : (row + 1) * DIGEST_SIZE])
            yield place, self.names[row], kinds[self._kind_of[row]], self._size_of(row), digest

    def _size_of(self, row: int) -> tuple[int, int]:
        return self._sizes[2 * row], self._sizes[2 * row + 1]

    def build(self, remarks: tuple[str, ...]) -> SetRecord:
        """The record of all that was added."""
        return SetRecord(
            tuple(self.names),
            tuple(self._kinds),
            np.array(self._kind_of, np.uint32),
            np.array(self._sizes, np.uint32).reshape(-1, 2),
            np.frombuffer(bytes(self._digests), np.uint8).reshape(-1, DIGEST_SIZE),
            tuple(self.skipped),
            remarks,
        )
