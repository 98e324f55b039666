"""The record of a set inside a `.safetensors` file: three tensors of one row a picture, and JSON in the header."""

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError
from .origin import Origin
from .record import DIGEST_SIZE, Kind, SetRecord

HEADER = "pictures"
_KINDS, _SIZES, _HASHES = "picture_kinds", "picture_sizes", "pixel_hashes"
_TENSORS = (_KINDS, _SIZES, _HASHES)


def record_tensors(record: SetRecord) -> dict[str, NDArray[Any]]:
    """The tensors of a record by name."""
    return {_KINDS: record.kind_of, _SIZES: record.sizes, _HASHES: record.digests}


def record_header(record: SetRecord, target: Path) -> str:
    """The rest of a record as JSON; a relative origin is written relative to the file, so that both may move."""
    origin = record.origin
    place = None if origin is None or origin.path is None else _moved(origin.path, Path.cwd(), target.parent)
    document = {
        "count": len(record),
        "kinds": [[kind.format, list(kind.notes)] for kind in record.kinds],
        "skipped": record.skipped,
        "remarks": record.remarks,
        "made": origin and origin.made,
        "from": place,
        "recursive": origin is None or origin.recursive,
        "from_count": origin.count if origin else 0,
        "from_ahead": origin.ahead if origin else None,
    }
    return json.dumps(document, sort_keys=True)


def read_record(
    text: str | None, tensors: Mapping[str, NDArray[Any]], names: tuple[str, ...], rows: int | None, path: Path
) -> SetRecord | None:
    """The record in a file, None where an older version left none.

    Raises:
        ArgumentError: part of it is missing, of the wrong type, or not about `rows` pictures.
    """
    present = [name for name in _TENSORS if name in tensors]
    if text is None and not present:
        return None
    _expect(text is not None and len(present) == len(_TENSORS), f"expected {HEADER}, {', '.join(_TENSORS)}")
    document = _parsed(text or "")
    count = _whole(document, "count")
    _expect(rows is None or count == rows, f"of {count} pictures beside features of {rows}")
    _expect(len(names) == count and all(isinstance(name, str) for name in names), f"expected {count} names")
    kinds = tuple(_kind(item) for item in _list(document, "kinds"))
    _expect(len(set(kinds)) == len(kinds), "kinds: one comes twice")
    kind_of = _tensor(tensors, _KINDS, "uint32", (count,))
    _expect(int(kind_of.max(initial=0)) < len(kinds), f"{_KINDS}: a number beyond the {len(kinds)} kinds")
    sizes = _tensor(tensors, _SIZES, "uint32", (count, 2))
    _expect(bool(sizes.all()), f"{_SIZES}: a side of zero pixels")
    digests = _tensor(tensors, _HASHES, "uint8", (count, DIGEST_SIZE))
    skipped = tuple(_pair(item) for item in _list(document, "skipped"))
    remarks = _strings(_list(document, "remarks"), "remarks")
    return SetRecord(names, kinds, kind_of, sizes, digests, skipped, remarks, _origin(document, path), str(path))


def _moved(place: str, source: Path, target: Path) -> str:
    """A relative path from one folder as a relative path from another; POSIX separators."""
    if Path(place).is_absolute():
        return place
    try:
        return PurePath(os.path.relpath(source / place, target)).as_posix()
    except ValueError:  # another drive
        return str(source / place)


def _parsed(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    _expect(isinstance(document, dict), f"{HEADER}: expected a JSON object")
    assert isinstance(document, dict)
    return document


def _origin(document: Mapping[str, Any], path: Path) -> Origin | None:
    made, place, recursive = document.get("made"), document.get("from"), document.get("recursive")
    if made is None:
        return None
    _expect(isinstance(made, str) and _is_date(made), "made: expected a date with its time zone")
    _expect(place is None or isinstance(place, str), "from: expected a path")
    _expect(isinstance(recursive, bool), "recursive: expected true or false")
    ahead = None if document.get("from_ahead") is None else _whole(document, "from_ahead")
    if place is not None and not Path(place).is_absolute():
        place = os.path.normpath(path.parent / place)
    return Origin(made, place, bool(recursive), _whole(document, "from_count"), ahead)


def _is_date(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _tensor(tensors: Mapping[str, NDArray[Any]], name: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    found = np.asarray(tensors[name])
    _expect(
        found.dtype == dtype and found.shape == shape,
        f"{name}: expected {dtype} of shape {shape}, got {found.dtype} of shape {found.shape}",
    )
    return found


def _whole(document: Mapping[str, Any], name: str) -> int:
    value = document.get(name)
    _expect(type(value) is int and 0 <= value < 2**53, f"{name}: expected a whole number from 0, got {value!r:.40}")
    return int(value or 0)


def _list(document: Mapping[str, Any], name: str) -> list[Any]:
    value = document.get(name)
    _expect(isinstance(value, list), f"{name}: expected a list")
    return list(value or ())


def _strings(items: Any, name: str) -> tuple[str, ...]:
    _expect(isinstance(items, list) and all(isinstance(item, str) for item in items), f"{name}: expected strings")
    return tuple(items)


def _pair(item: Any) -> tuple[str, str]:
    found = _strings(item, "skipped")
    _expect(len(found) == 2, "skipped: expected names and reasons")
    return found[0], found[1]


def _kind(item: Any) -> Kind:
    _expect(isinstance(item, list) and len(item) == 2 and isinstance(item[0], str), "kinds: expected formats and notes")
    return Kind(item[0], _strings(item[1], "kinds"))


def _expect(holds: bool, problem: str) -> None:
    if not holds:
        raise ArgumentError(f"the record of its pictures is damaged ({problem}); write the file again by `cmmd embed`")
