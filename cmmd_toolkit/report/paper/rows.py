"""Tidy rows: one observation a row, every digit kept, for spreadsheets and data frames."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ...errors import ArgumentError

if TYPE_CHECKING:
    import pandas

Value = str | int | float | bool | None
Row = Mapping[str, Value]
_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff0b\uff0d\uff1d\uff20]")  # OWASP, CSV injection


def to_csv(columns: Sequence[str], rows: Sequence[Row]) -> str:
    """Comma-separated text with a line of headings; what is not known is empty, numbers are as Python writes them.

    A text that a spreadsheet would take for a formula gets an apostrophe in front, and so does one that begins with
    apostrophes before such a sign: one apostrophe less is the text again.
    """
    return _csv_line(columns) + "".join(_csv_line([_no_formula(row[name]) for name in columns]) for row in rows)


def _no_formula(value: Value) -> Value:
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


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
    return pandas.DataFrame([{name: _whole_text(row[name]) for name in columns} for row in rows], columns=list(columns))


def _whole_text(value: Value) -> Value:
    """Names that are no UTF-8 with escapes in place of the odd bytes, as in files: pandas takes no others."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
