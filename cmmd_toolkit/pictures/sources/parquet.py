"""Parquet files with a column of encoded pictures, as `datasets` writes them; needs pyarrow.

A file is read row group by row group, and of each a few rows at a time.
"""

import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...common.text import first_line
from ...common.urls import is_url
from ...errors import InputError, PictureError
from ..load import refusal
from .place import Place, RangeStream
from .source import ImageSource, Item, Opening, Rows, Stream

_AT_ONCE = 16  # rows that are in memory beside those that are decoded
_PARTS = {"bytes", "path"}
_COLUMN = re.compile(r"(.*\.parquet):(.+)", re.IGNORECASE | re.DOTALL)


def column_of_parquet(name: str) -> tuple[str, str] | None:
    """`file.parquet:column` as the file, or the pattern of several, and the column; None for every other name."""
    found = _COLUMN.fullmatch(name)
    if found is None or (not is_url(name) and os.path.exists(name)):  # noqa: PTH110 (pathlib raises at too long a name)
        return None
    return found[1], found[2]


def parquet_source(places: Sequence[Place], name: str, how: Opening, column: str | None = None) -> ImageSource:
    """The pictures of one file or several, in order.

    Without a name, the column is the one of structs with `bytes` and `path`, else the one of bytes. Names are the paths
    that stand in it, else row numbers. Raises InputError where there is none, or several.
    """
    stream = _Parquet(places, column, how)
    if not stream.size:
        raise InputError(f"{name}: no pictures among its 0 rows")
    return ImageSource(name, stream, how.policy)


class _Parquet(Stream):
    """Files of known numbers of rows."""

    def __init__(self, places: Sequence[Place], column: str | None, how: Opening) -> None:
        self._places, self._how = places, how
        self._ends: list[int] = []  # of each file, in rows of all
        self._columns = []
        for place in places:
            with _opened(place) as file:
                self._columns.append(_image_column(file.schema_arrow, place.name, column))
                self._ends.append(file.metadata.num_rows + (self._ends[-1] if self._ends else 0))
        self.size = self._ends[-1]
        self._width = len(str(max(self.size - 1, 0)))

    def read(self, rows: Rows | None = None) -> Iterator[Item]:
        """See `Stream`; row groups of which no row is wanted are passed over."""
        for place, column, first, end in zip(self._places, self._columns, [0, *self._ends], self._ends, strict=False):
            wanted = None if rows is None else rows[slice(*np.searchsorted(rows, (first, end)))]
            if wanted is None or len(wanted):
                for row, value in _values(place, column, None if wanted is None else wanted - first):
                    yield self._item(place, first + row, row, value)

    def _item(self, place: Place, number: int, row: int, value: Any) -> Item:
        data, path = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (value, None)
        name = path or f"{number:0{self._width}d}"
        shown = f"{place.name}, row {row}" + (f" ({path})" if path else "")
        if not data:
            reason = "names a picture and does not hold it" if path else "holds no picture"
            return name, refusal(PictureError(f"{shown}: {reason}; write its bytes or use `on_error='skip'`"))
        return name, self._how.load(shown, lambda: data)


def _values(place: Place, column: str, wanted: Rows | None) -> Iterator[tuple[int, Any]]:
    """Row numbers within the file, and what stands there."""
    try:
        with _opened(place) as file:
            first = 0
            for group in range(file.num_row_groups):
                rows = np.arange(file.metadata.row_group(group).num_rows) + first
                first += len(rows)
                chosen = rows if wanted is None else np.intersect1d(rows, wanted, assume_unique=True)
                if len(chosen):
                    yield from _of_group(file, group, column, rows[0], frozenset(chosen.tolist()))
    except (InputError, GeneratorExit):
        raise
    except Exception as error:  # ArrowInvalid, OSError, ...
        raise InputError(f"{place.name}: not a whole Parquet file ({first_line(error)}); copy it again") from error


def _of_group(file: Any, group: int, column: str, row: int, wanted: frozenset[int]) -> Iterator[tuple[int, Any]]:
    for batch in file.iter_batches(_AT_ONCE, row_groups=[group], columns=[column], use_threads=False):
        for value in batch.column(0):
            if row in wanted:
                yield int(row), value.as_py()
            row += 1


def _opened(place: Place) -> Any:
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise InputError(
            f"{place.name}: Parquet needs the package pyarrow; pip install 'cmmd-toolkit[parquet]'"
        ) from error
    try:
        # buffered, so that no column chunk is in memory as a whole
        return ParquetFile(RangeStream(place), buffer_size=1 << 20, pre_buffer=False, page_checksum_verification=True)
    except InputError:
        raise
    except Exception as error:  # ArrowInvalid, OSError, ...
        raise InputError(f"{place.name}: not a readable Parquet file ({first_line(error)}); copy it again") from error


def _image_column(schema: Any, name: str, asked: str | None) -> str:
    """The asked column, else the only one that can hold pictures."""
    structs = [own.name for own in schema if _is_picture(own.type)]
    found = structs or [own.name for own in schema if _is_bytes(own.type)]
    has = "it has " + (", ".join(f"{own.name} ({own.type})" for own in schema) or "no columns")
    if asked is not None:
        if (count := schema.names.count(asked)) != 1:
            raise InputError(f"{name}: {'several columns' if count else 'no column'} {asked!r}; {has}")
        own = schema.field(asked).type
        if not _is_picture(own) and not _is_bytes(own):
            raise InputError(f"{name}: column {asked!r} holds no pictures (structs of bytes and path, or bytes); {has}")
        return asked
    if not found:
        what = "no column of pictures (structs of bytes and path, or bytes)"
        raise InputError(f"{name}: {what}; {has}; give one that holds encoded pictures")
    if len(found) > 1:
        raise InputError(f"{name}: several columns of pictures; {has}; name one, as in FILE.parquet:{found[0]}")
    return str(found[0])


def _is_picture(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_struct(kind)) and {part.name for part in kind} >= _PARTS


def _is_bytes(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_binary(kind) or types.is_large_binary(kind))
