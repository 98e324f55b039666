"""Tables in Markdown, as GitHub and most notebooks read it."""

import re
from collections.abc import Sequence

from ...common.text import printable
from .table import Cell, PaperTable, in_parts

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+|~$!&-])")


def to_markdown(tables: Sequence[PaperTable]) -> str:
    """Every table with its caption above and its notes below."""
    parts = [part for table in tables for part in in_parts(table)]
    return "\n".join(line for part in parts for line in _lines(part))


def _lines(table: PaperTable) -> list[str]:
    rules = [":---" if heading.is_name else "---:" for heading in table.headings]
    head = [_escaped(heading.whole) for heading in table.headings]
    rows = [head, rules, *([_cell(cell) for cell in row] for row in table.rows)]
    notes = [line for note in table.notes for line in (_escaped(note), "")]
    return [f"**{_escaped(table.caption)}**", "", *(f"| {' | '.join(row)} |" for row in rows), "", *notes]


def _cell(cell: Cell) -> str:
    text = f"{cell.text} ± {cell.error}" if cell.error else cell.text
    text = text if cell.is_number else _escaped(text)
    return f"**{text}**" if cell.is_best else text


def _escaped(text: str) -> str:
    """Names may hold what Markdown takes for emphasis, links, HTML or the border of a cell."""
    return _SPECIAL.sub(_reference, printable(text))


def _reference(found: re.Match[str]) -> str:
    """A hyphen needs it only where it would make a list or a line; an ampersand, as HTML."""
    sign = found[1]
    if sign == "&":
        return "&amp;"
    if sign in "-+()!" and found.start() > 0:
        return sign
    return f"\\{sign}"
