"""The report drawn on a terminal by rich, or its plain text where nobody is watching."""

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from .report import Report, Table, plain_table, tables
from .verdict import verdict_lines

if TYPE_CHECKING:
    from rich.console import Console

_CONSTANT = ("Generated", "Backbone", "Ref. n", "Gen. n")
_FOLDED = ("Class", "Generated", "Backbone")
_GAP, _NAME = 2, 12


def print_report(report: Report, console: "Console") -> None:
    """Print tables, warnings and verdicts to `console`, plain when it is no terminal."""
    if not console.is_terminal:
        console.file.write(plain_table(report))
        return
    from rich.text import Text

    for own in tables(report):
        for table in _fitting(own, console.width):
            _print_table(table, console)
        console.print(Text(own.caption), end="\n\n")
    for warning in report.warnings:
        console.print(Text.assemble(("warning: ", "yellow"), warning))
    for line in verdict_lines(report.verdicts):
        console.print(Text(line))


def _print_table(own: Table, console: "Console") -> None:
    """Numbers are never broken; names fold, and headings where they are wider than their column."""
    from rich import box
    from rich.table import Table as Grid
    from rich.text import Text

    tight = _width(own) > console.width
    console.print(Text(own.title, style="italic"))
    table = Grid(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
    for i, heading in enumerate(own.headings):
        shown = heading.replace(" ", "\n") if tight and len(heading) > _cells_width(own, i) else heading
        folds = heading in _FOLDED
        justify: Literal["left", "right"] = "left" if i in own.left else "right"
        table.add_column(shown, justify=justify, no_wrap=not folds, overflow="fold" if folds else "ellipsis")
    for row in own.rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def _cells_width(own: Table, column: int) -> int:
    return max(len(row[column]) for row in own.rows)


def _width(own: Table) -> int:
    """How wide the table is with its headings in one line."""
    return sum(max(len(heading), _cells_width(own, i)) + _GAP for i, heading in enumerate(own.headings))


def _least_width(own: Table) -> int:
    """How wide it is with folded names and headings."""
    words = [max(len(word) for word in heading.split()) for heading in own.headings]
    cells = [min(_cells_width(own, i), _NAME if h in _FOLDED else 1000) for i, h in enumerate(own.headings)]
    return sum(max(pair) + _GAP for pair in zip(words, cells, strict=True))


def _fitting(own: Table, width: int) -> list[Table]:
    """The table; where it is too wide without what is the same in every row, else a table for each generated set."""
    if _width(own) <= width:
        return [own]
    shorter = _without_constants(own)
    if _least_width(shorter) <= width:
        return [shorter]
    column = own.headings.index("Generated")
    by_set = {row[column]: [other for other in own.rows if other[column] == row[column]] for row in own.rows}
    return [_without_constants(replace(own, rows=rows)) for rows in by_set.values()]


def _without_constants(own: Table) -> Table:
    """With what is the same in every row said once, above the table."""
    same = [
        i for i, heading in enumerate(own.headings) if heading in _CONSTANT and len({row[i] for row in own.rows}) == 1
    ]
    kept = [i for i in range(len(own.headings)) if i not in same]
    facts = [f"{own.headings[i]}: {own.rows[0][i]}" for i in same]
    rows = [[row[i] for i in kept] for row in own.rows]
    left = [place for place, i in enumerate(kept) if i in own.left]
    title = "   ".join([own.title, *facts])
    return Table(title, [own.headings[i] for i in kept], rows, left, own.caption)
