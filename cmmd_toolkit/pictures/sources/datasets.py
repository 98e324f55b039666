"""Data sets of the library `datasets`: `Dataset` and `IterableDataset`, read through their image column."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from ...common.files import path_of
from ...common.text import first_names
from ...common.urls import is_url, shown_url
from ...errors import ArgumentError, PictureError
from ..load import Load, refusal
from .folders import file_loader
from .iterables import object_loader
from .remote import open_remote, read_whole
from .source import ImageSource, Item, Opening, Rows, Stream

_AT_ONCE = 16  # rows that are in memory beside those that are decoded
_KINDS = ("Dataset", "IterableDataset", "DatasetDict", "IterableDatasetDict")


def is_dataset(source: Any) -> bool:
    """Whether this is a data set of `datasets`, which is not imported for the question."""
    return any(kind.__module__.split(".")[0] == "datasets" and kind.__name__ in _KINDS for kind in type(source).__mro__)


def dataset_source(dataset: Any, how: Opening) -> ImageSource:
    """The pictures of a data set, in its order.

    Names are the paths that stand in it, else row numbers. Raises ArgumentError for several splits, and where there is
    not one column of pictures.
    """
    if isinstance(dataset, dict):
        raise ArgumentError(f"expected one split of a data set, got {first_names(dataset)}; give dataset[SPLIT]")
    return ImageSource(_name(dataset), _DatasetStream(dataset, how), how.policy)


def _name(dataset: Any) -> str:
    parts = (getattr(dataset.info, "dataset_name", None), dataset.split)
    return " ".join(str(part) for part in parts if part) or type(dataset).__name__


class _DatasetStream(Stream):
    """A data set whose rows are taken encoded."""

    def __init__(self, dataset: Any, how: Opening) -> None:
        from datasets import Image

        self._column, self._how = _image_column(dataset), how
        rows = dataset.with_format(None).select_columns([self._column])
        self._rows = rows.cast_column(self._column, Image(decode=False)) if dataset.features else rows
        self.size = getattr(dataset, "num_rows", None)
        self._width = len(str(max(self.size - 1, 0))) if self.size else 6

    def read(self, rows: Rows | None = None) -> Iterator[Item]:
        """See `Stream`."""
        values = _streamed(self._rows, rows) if self.size is None else _picked(self._rows, rows)
        return (self._item(row, value[self._column]) for row, value in values)

    def _item(self, row: int, value: Any) -> Item:
        path = value.get("path") if isinstance(value, dict) else None
        return path or f"{row:0{self._width}d}", _loader(value, f"row {row}", self._how)


def _picked(dataset: Any, rows: Rows | None) -> Iterator[tuple[int, Any]]:
    chosen: Sequence[int] = range(len(dataset)) if rows is None else rows.tolist()
    for first in range(0, len(chosen), _AT_ONCE):
        part = list(chosen[first : first + _AT_ONCE])
        yield from zip(part, dataset.select(part), strict=True)


def _streamed(dataset: Any, rows: Rows | None) -> Iterator[tuple[int, Any]]:
    if rows is None:
        yield from enumerate(dataset)
    elif len(rows):
        wanted = frozenset(rows.tolist())
        yield from ((row, value) for row, value in islice(enumerate(dataset), int(np.max(rows)) + 1) if row in wanted)


def _loader(value: Any, name: str, how: Opening) -> Load:
    if value is None or value == {"bytes": None, "path": None}:
        return refusal(PictureError(f"{name}: holds no picture; remove it or use `on_error='skip'`"))
    if not isinstance(value, dict):
        return object_loader(value, name, how)
    if (data := value["bytes"]) is not None:
        return how.load(name, lambda: data)
    path = str(value["path"])
    if is_url(path):
        return how.load(f"{name}: {shown_url(path)}", lambda: read_whole(open_remote(path), name))
    return file_loader(path_of(path), f"{name}: {path}", how)


def _image_column(dataset: Any) -> str:
    """The column with the feature Image; of a stream without features, that of pictures in its first row."""
    features = dataset.features
    if features:
        found = [name for name, own in features.items() if type(own).__name__ == "Image"]
        described = [f"{name} ({type(own).__name__})" for name, own in features.items()]
    else:
        first: dict[str, Any] = next(iter(dataset), {})
        found = [name for name, own in first.items() if hasattr(own, "getexif")]
        described = [f"{name} ({type(own).__name__})" for name, own in first.items()]
    if len(found) != 1:
        what = f"several columns of pictures ({', '.join(found)})" if found else "no column of pictures"
        advice = "select_columns" if found else "cast_column(NAME, datasets.Image())"
        has = ", ".join(described) or "no columns"
        raise ArgumentError(f"{_name(dataset)}: {what}; it has {has}; use its {advice} first")
    return str(found[0])
