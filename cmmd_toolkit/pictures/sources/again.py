"""Pictures of a stream, read a second time."""

from collections.abc import Iterator, Mapping, Sequence

from ...errors import InputError
from ..load import Load
from .source import Stream


class Again(Mapping[int, Load]):
    """Some pictures of a stream, by their place among the usable ones; one more pass takes them when one is asked for.

    Args:
        stream: what was read.
        names: of its usable pictures, in order; what was skipped is not among them.
        rows: the places of those that may be asked for, from 0. They are held encoded.
    """

    def __init__(self, stream: Stream, names: Sequence[str], rows: Sequence[int]) -> None:
        self._stream, self._names, self._rows = stream, names, sorted(set(rows))
        self._found: dict[int, Load] | None = None

    def __getitem__(self, row: int) -> Load:
        if self._found is None:
            self._found = dict(self.walk(self._rows))
        if row in self._rows and row not in self._found:
            raise InputError(f"{self._names[row]}: is no longer in its set; explain the sets again")
        return self._found[row]

    def __iter__(self) -> Iterator[int]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def walk(self, rows: Sequence[int]) -> Iterator[tuple[int, Load]]:
        """Those of the given rows in rising order, in one pass; none is held."""
        row, wanted = 0, set(rows)
        last = max(wanted, default=-1)
        for name, load in self._stream.read():
            if row > last:
                return
            if name == self._names[row]:
                if row in wanted:
                    yield row, load
                row += 1
