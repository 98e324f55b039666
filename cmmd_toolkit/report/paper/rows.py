"""Tidy rows: one observation a row, every digit kept, for spreadsheets and data frames."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ...errors import ArgumentError

if TYPE_CHECKING:
    import pandas

Value = str | int | float | bool | None
Row = Mapping[str, Value]


def to_csv(columns: Sequence[str], rows: Sequence[Row]) -> str:
    """Comma-separated text with a line of headings; what is not known is empty, numbers are as Python writes them."""
    return _csv_line(columns) + "".join(_csv_line([row[name] for name in columns]) for row in rows)


def _csv_line(cells: Sequence[Value]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)  # which quotes a carriage return in a name, too
    return text.getvalue().removesuffix("\r\n") + "\n"


def to_dataframe(columns: Sequence[str], rows: Sequence[Row]) -> "pandas.DataFrame":
    """The same in pandas. Raises ArgumentError where pandas is not installed."""
    try:
        import pandas
    except ImportError as error:
        raise ArgumentError(
            f"to_dataframe: needs pandas ({error}); pip install 'cmmd-toolkit[pandas]', or write `to_csv()`"
        ) from error
    return pandas.DataFrame([dict(row) for row in rows], columns=list(columns))
