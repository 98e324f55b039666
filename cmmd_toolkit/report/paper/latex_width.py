"""Tables that keep to the width of an article's text (345 pt), by what letters take on average.

In this order: smaller letters and narrower gaps; long names lose their middle; fewer columns of numbers in a table.
"""

from dataclasses import replace

from .fitting import fitted
from .table import MOST_COLUMNS, PaperTable, in_parts

_TEXT = 345.0  # points
_SMALL, _SMALLER = (4.7, 12.0), (4.25, 5.0)  # points of a letter, of the gap between columns
_LEAST_NAME = 14  # letters
SMALL, SMALLER = r"\centering\small", r"\centering\footnotesize\setlength{\tabcolsep}{2.5pt}"


def within_text(table: PaperTable) -> list[tuple[str, PaperTable]]:
    """The table, or the parts of it that fit, each with the commands that it is set with."""
    parts: list[PaperTable] = []
    for most in range(MOST_COLUMNS, 0, -1):
        parts = in_parts(table, most)
        if all(_width(part, *_SMALL) <= _TEXT for part in parts):
            return [(SMALL, part) for part in parts]
        parts = [_with_short_names(part) for part in parts]
        if all(_width(part, *_SMALLER) <= _TEXT for part in parts):
            break
    return [(SMALLER, part) for part in parts]


def _letters(table: PaperTable) -> list[int]:
    """Of the widest entry of each column."""
    heads = [len(heading.text) for heading in table.headings]
    cells = [[len(cell.text) + (len(cell.error) + 3 if cell.error else 0) for cell in row] for row in table.rows]
    return [max(column) for column in zip(heads, *cells, strict=True)]


def _width(table: PaperTable, letter: float, gap: float) -> float:
    return letter * sum(_letters(table)) + gap * (len(table.headings) - 1)


def _with_short_names(table: PaperTable) -> PaperTable:
    """Names share what the numbers leave, none shorter than it must be."""
    letter, gap = _SMALLER
    letters = _letters(table)
    named = [i for i, heading in enumerate(table.headings) if heading.is_name and letters[i] > _LEAST_NAME]
    over = _width(table, letter, gap) - _TEXT
    if over <= 0 or not named:
        return table
    room = sum(letters[i] for i in named) - over / letter
    most = max((n for n in range(1, 200) if sum(min(letters[i], n) for i in named) <= room), default=0)
    rows = [list(row) for row in table.rows]
    for i in named:
        texts = fitted([row[i].text for row in rows], max(most, _LEAST_NAME))
        for row, text in zip(rows, texts, strict=True):
            row[i] = replace(row[i], text=text)
    return replace(table, rows=tuple(map(tuple, rows)))
