"""Tables in HTML, for notebooks."""

from collections.abc import Sequence
from html import escape as escaped

from ...common.text import printable
from .table import Cell, PaperTable


def to_html(tables: Sequence[PaperTable], sentences: Sequence[str]) -> str:
    """Every table with its notes, then sentences, a paragraph each; every name escaped."""
    return "\n".join([*(_table(table) for table in tables), *(f"<p>{escape(text)}</p>" for text in sentences)])


def _table(table: PaperTable) -> str:
    sides = ["left" if heading.is_name else "right" for heading in table.headings]
    head = "".join(
        f'<th scope="col" style="text-align:{side}">{escape(heading.whole)}</th>'
        for side, heading in zip(sides, table.headings, strict=True)
    )
    rows = ["".join(map(_cell, row)) for row in table.rows]
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    notes = "".join(f"<p><small>{escape(note)}</small></p>" for note in table.notes)
    caption = f'<caption style="text-align:left">{escape(table.caption)}</caption>'
    return f"<table>{caption}\n<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>{notes}"


def _cell(cell: Cell) -> str:
    text = escape(f"{cell.text} ± {cell.error}" if cell.error else cell.text)
    side = "right" if cell.is_number else "left"
    return f'<td style="text-align:{side}">{f"<b>{text}</b>" if cell.is_best else text}</td>'


def escape(text: str) -> str:
    """The text as HTML shows it letter for letter."""
    return escaped(printable(text))
