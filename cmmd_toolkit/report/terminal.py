"""The report on a terminal: a rich table, or plain aligned text when nobody is watching."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .labels import short_labels
from .report import Report, Result

if TYPE_CHECKING:
    from rich.console import Console

HEADINGS = ("Generated", "Backbone", "Metric", "Value", "Std. error", "95 % interval", "Reference n", "Generated n")
_NUMERIC_FROM = 3
BIAS_REMARK = (
    "The interval of a Frechet distance is of the distance between the populations: the value itself is biased upwards."
)
FULL_NAMES = {
    "fd": "Frechet distance",
    "fid": "Frechet distance on Inception",
    "mmd": "squared MMD",
    "cmmd": "squared MMD on a picture-text embedding",
}


def print_report(report: Report, console: "Console") -> None:
    """Print the table and the warnings to `console`, plain when it is no terminal."""
    if not console.is_terminal:
        console.file.write(plain_table(report))
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(_title(report)), caption=Text(_legend(report)), title_justify="left", caption_justify="left"
    )
    for i, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if i >= _NUMERIC_FROM else "left", overflow="fold")
    for row in _rows(report):
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
    for warning in report.warnings:
        console.print(Text.assemble(("warning: ", "yellow"), warning))


def plain_table(report: Report) -> str:
    """Aligned columns without colour or box characters; the same report gives the same text."""
    rows = [HEADINGS, *_rows(report)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADINGS))]
    lines = [_title(report), "", *(_plain_line(row, widths) for row in rows), "", _legend(report)]
    lines += [f"warning: {warning}" for warning in report.warnings]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _plain_line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (
        cell.rjust(width) if i >= _NUMERIC_FROM else cell.ljust(width)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join(cells)


def _rows(report: Report) -> list[tuple[str, ...]]:
    short = short_labels(name for result in report.results for name in (result.reference, result.generated))
    return [_row(result, short[result.generated]) for result in report.results]


def _row(result: Result, generated: str) -> tuple[str, ...]:
    counts = ("?" if n is None else f"{n:,}" for n in (result.n_reference, result.n_generated))
    error = "-" if result.standard_error is None else f"{result.standard_error:.2g}"
    return (generated, result.backbone, result.metric, f"{result.value:.6g}", error, interval_text(result), *counts)


def interval_text(result: Result) -> str:
    """Both ends to the digit that the standard error reaches."""
    if result.interval is None or not result.standard_error:
        return "-"
    digits = max(0, 1 - math.floor(math.log10(result.standard_error)))
    low, high = (f"{end:.{digits}f}" if digits < 10 else f"{end:.3g}" for end in result.interval)
    return f"{low} to {high}"


def _title(report: Report) -> str:
    references = dict.fromkeys(result.reference for result in report.results)
    recipe = report.provenance["recipe"]["name"]
    return f"Reference: {', '.join(references)}" + ("" if recipe == "default" else f"   Recipe: {recipe}")


def _legend(report: Report) -> str:
    names = dict.fromkeys(result.metric for result in report.results)
    meaning = "; ".join(f"{name} = {FULL_NAMES[name]}" for name in names) + "; lower is closer to the reference."
    if any(result.interval and result.metric in ("fd", "fid") for result in report.results):
        meaning += f" {BIAS_REMARK}"
    return meaning
