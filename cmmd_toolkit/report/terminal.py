"""The report on a terminal: rich tables, or plain aligned text when nobody is watching."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..metric_names import CLOSER, HIGHER, LOWER, METRICS
from .labels import short_labels
from .report import Report, Result
from .text import align, interval_text

if TYPE_CHECKING:
    from rich.console import Console

HEADINGS = ("Generated", "Backbone", "Metric", "Value", "Std. error", "95 % interval", "Ref. n", "Gen. n")
_NAMES = 3
_EACH_CLASS = (
    "Each class is scored as if its folders alone had been compared; the numbers depend on how many pictures it has."
)
BIAS_REMARK = (
    "The interval of a Frechet distance is of the distance between the populations: the value itself is biased upwards."
)


def print_report(report: Report, console: "Console") -> None:
    """Print the tables and the warnings to `console`, plain when it is no terminal."""
    if not console.is_terminal:
        console.file.write(plain_table(report))
        return
    from rich.table import Table
    from rich.text import Text

    for title, (headings, *rows), caption in _tables(report):
        table = Table(title=Text(title), caption=Text(caption), title_justify="left", caption_justify="left")
        names = _name_columns(headings)
        for i, heading in enumerate(headings):
            table.add_column(heading, justify="left" if i in names else "right", overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        console.print(table)
    for warning in report.warnings:
        console.print(Text.assemble(("warning: ", "yellow"), warning))


def plain_table(report: Report) -> str:
    """Aligned columns without colour or box characters; the same report gives the same text."""
    lines = []
    for title, rows, caption in _tables(report):
        lines += [title, "", *align(rows, _name_columns(rows[0])), "", caption, ""]
    lines[-1:] = [f"warning: {warning}" for warning in report.warnings]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _tables(report: Report) -> Iterator[tuple[str, list[tuple[str, ...]], str]]:
    """Title, headings and rows, and caption: the whole sets, then the classes."""
    by_class = report.results_per_class
    every = [*report.results, *(result for own in by_class.values() for result in own)]
    short = short_labels(name for result in every for name in (result.reference, result.generated))
    yield _title(report), [HEADINGS, *(_row(result, short) for result in report.results)], _legend(report)
    if by_class:
        rows = [(name, *_row(result, short)) for name, own in by_class.items() for result in own]
        yield "Class by class", [("Class", *HEADINGS), *rows], _EACH_CLASS


def _name_columns(headings: Sequence[str]) -> range:
    return range(len(headings) - len(HEADINGS) + _NAMES)


def _row(result: Result, short: dict[str, str]) -> tuple[str, ...]:
    counts = (_count(n, result.metric) for n in (result.n_reference, result.n_generated))
    error = "-" if result.standard_error is None else f"{result.standard_error:.2g}"
    interval = interval_text(result.interval, result.standard_error)
    return (short[result.generated], result.backbone, result.metric, f"{result.value:.6g}", error, interval, *counts)


def _count(n: int | None, metric: str) -> str:
    """Only stored moments have an unknown count; elsewhere a missing one means that the side is not looked at."""
    if n is None:
        return "?" if METRICS[metric].needs == "moments" else "-"
    return f"{n:,}"


def _title(report: Report) -> str:
    references = dict.fromkeys(result.reference for result in report.results)
    recipe = report.provenance["recipe"]["name"]
    return f"Reference: {', '.join(references)}" + ("" if recipe == "default" else f"   Recipe: {recipe}")


def _legend(report: Report) -> str:
    """The full names, a line for each direction."""
    shown = [METRICS[name] for name in dict.fromkeys(result.metric for result in report.results)]
    sentences = []
    for reading in (CLOSER, LOWER, HIGHER):
        if names := [f"{spec.name} = {spec.full_name}" for spec in shown if spec.reading == reading]:
            sentences.append(f"{'; '.join(names)}; {reading}.")
    if any(result.interval and METRICS[result.metric].scorer == "frechet" for result in report.results):
        sentences.append(BIAS_REMARK)
    return "\n".join(sentences)
