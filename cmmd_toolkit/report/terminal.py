"""The report on a terminal: rich tables, or plain aligned text when nobody is watching."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ..common.labels import short_labels
from ..common.text import align, p_text
from ..sets.metric_names import CLOSER, HIGHER, LOWER, METRICS
from .report import Report, Result
from .verdict import verdict_lines

if TYPE_CHECKING:
    from rich.console import Console

HEADINGS = (
    *("Generated", "Backbone", "Metric"),
    *("Value", "Without bias", "Std. error", "95 % interval", "Ref. n", "Gen. n"),
)
TEST_HEADINGS = ("Generated", "Backbone", "p-value", "Reading", "Ref. n", "Gen. n")
_NAMES, _TEST_NAMES = (0, 1, 2), (0, 1, 3)
_CORRECTED = HEADINGS.index("Without bias")
_TEST_TITLE = "Test: do the sets differ at all?"
_CONSTANT = ("Generated", "Backbone", "Ref. n", "Gen. n")
_FOLDED = ("Class", "Generated", "Backbone")
_GAP, _NAME = 2, 12
_LEVEL = 0.05
_EACH_CLASS = (
    "Each class is scored as if its folders alone had been compared; the numbers depend on how many pictures it has."
)
_BIAS = (
    "Value: as other tools print it. Without bias: with the bias of few pictures taken off; the interval belongs to it."
)


@dataclass(frozen=True)
class _Table:
    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: Collection[int]
    caption: str


def print_report(report: Report, console: "Console") -> None:
    """Print tables, warnings and verdicts to `console`, plain when it is no terminal."""
    if not console.is_terminal:
        console.file.write(plain_table(report))
        return
    from rich.text import Text

    for own in _tables(report):
        for table in _fitting(own, console.width):
            _print_table(table, console)
        console.print(Text(own.caption), end="\n\n")
    for warning in report.warnings:
        console.print(Text.assemble(("warning: ", "yellow"), warning))
    for line in verdict_lines(report.verdicts):
        console.print(Text(line))


def _print_table(own: _Table, console: "Console") -> None:
    """Numbers are never broken; names fold, and headings where they are wider than their column."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    tight = _width(own) > console.width
    console.print(Text(own.title, style="italic"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
    for i, heading in enumerate(own.headings):
        shown = heading.replace(" ", "\n") if tight and len(heading) > _cells_width(own, i) else heading
        folds = heading in _FOLDED
        justify: Literal["left", "right"] = "left" if i in own.left else "right"
        table.add_column(shown, justify=justify, no_wrap=not folds, overflow="fold" if folds else "ellipsis")
    for row in own.rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def _cells_width(own: _Table, column: int) -> int:
    return max(len(row[column]) for row in own.rows)


def _width(own: _Table) -> int:
    """How wide the table is with its headings in one line."""
    return sum(max(len(heading), _cells_width(own, i)) + _GAP for i, heading in enumerate(own.headings))


def _least_width(own: _Table) -> int:
    """How wide it is with folded names and headings."""
    words = [max(len(word) for word in heading.split()) for heading in own.headings]
    cells = [min(_cells_width(own, i), _NAME if h in _FOLDED else 1000) for i, h in enumerate(own.headings)]
    return sum(max(pair) + _GAP for pair in zip(words, cells, strict=True))


def _fitting(own: _Table, width: int) -> list[_Table]:
    """The table; where it is too wide without what is the same in every row, else a table for each generated set."""
    if _width(own) <= width:
        return [own]
    shorter = _without_constants(own)
    if _least_width(shorter) <= width:
        return [shorter]
    column = own.headings.index("Generated")
    by_set = {row[column]: [other for other in own.rows if other[column] == row[column]] for row in own.rows}
    return [_without_constants(replace(own, rows=rows)) for rows in by_set.values()]


def _without_constants(own: _Table) -> _Table:
    """With what is the same in every row said once, above the table."""
    same = [
        i for i, heading in enumerate(own.headings) if heading in _CONSTANT and len({row[i] for row in own.rows}) == 1
    ]
    kept = [i for i in range(len(own.headings)) if i not in same]
    facts = [f"{own.headings[i]}: {own.rows[0][i]}" for i in same]
    rows = [[row[i] for i in kept] for row in own.rows]
    left = [place for place, i in enumerate(kept) if i in own.left]
    title = "   ".join([own.title, *facts])
    return _Table(title, [own.headings[i] for i in kept], rows, left, own.caption)


def plain_table(report: Report) -> str:
    """Aligned columns without colour or box characters; the same report gives the same text."""
    lines = []
    for own in _tables(report):
        lines += [own.title, "", *align([own.headings, *own.rows], own.left), "", own.caption, ""]
    lines[-1:] = [f"warning: {warning}" for warning in report.warnings]
    return "\n".join(line.rstrip() for line in [*lines, *verdict_lines(report.verdicts)]) + "\n"


def _tables(report: Report) -> Iterator[_Table]:
    """The scores and tests of the whole sets, then those of the classes."""
    by_class = report.results_per_class
    whole, classes = {"": report.results}, by_class
    every = [*report.results, *(result for own in by_class.values() for result in own)]
    short = short_labels(name for result in every for name in (result.reference, result.generated))
    left_out = () if any(result.is_biased for result in every) else (_CORRECTED,)
    title = _title(report)
    for groups, about in ((whole, ""), (classes, "Class by class")):
        scores = _table(groups, short, left_out, about or title, _EACH_CLASS if about else _legend(report))
        before = f"{about}. " if about else "" if scores.rows else f"{title}   "
        tests = _test_table(groups, short, before + _TEST_TITLE)
        yield from [table for table in (scores, tests) if table.rows]


def _table(
    groups: Mapping[str, Sequence[Result]], short: Mapping[str, str], left_out: Sequence[int], title: str, caption: str
) -> _Table:
    """The scores; `groups` is by class, "" for the whole sets."""
    rows = [
        [*([label] if label else []), *(cell for i, cell in enumerate(_row(result, short)) if i not in left_out)]
        for label, own in groups.items()
        for result in own
        if not METRICS[result.metric].is_test
    ]
    headings = [heading for i, heading in enumerate(HEADINGS) if i not in left_out]
    return _in_classes(_Table(title, headings, rows, _NAMES, caption), groups)


def _test_table(groups: Mapping[str, Sequence[Result]], short: Mapping[str, str], title: str) -> _Table:
    rows, spec = [], None
    for label, own in groups.items():
        for result in own:
            if METRICS[result.metric].is_test:
                spec = METRICS[result.metric]
                rows.append([*([label] if label else []), *_test_row(result, short)])
    caption = "" if spec is None else f"{spec.name} = {spec.full_name}; {spec.reading.words}."
    return _in_classes(_Table(title, TEST_HEADINGS, rows, _TEST_NAMES, caption), groups)


def _in_classes(table: _Table, groups: Mapping[str, Sequence[Result]]) -> _Table:
    """With a column for the class where the rows have one."""
    if "" in groups:
        return table
    left = (0, *(i + 1 for i in table.left))
    return _Table(table.title, ["Class", *table.headings], table.rows, left, table.caption)


def _row(result: Result, short: Mapping[str, str]) -> tuple[str, ...]:
    counts = (_count(n, result.metric) for n in (result.n_reference, result.n_generated))
    return (short[result.generated], result.backbone, result.metric, *result.estimate_texts, *counts)


def _test_row(result: Result, short: Mapping[str, str]) -> tuple[str, ...]:
    reading = "the sets differ" if result.value < _LEVEL else "no difference shown"
    counts = (_count(n, result.metric) for n in (result.n_reference, result.n_generated))
    return (short[result.generated], result.backbone, p_text(result.value), reading, *counts)


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
            sentences.append(f"{'; '.join(names)}; {reading.words}.")
    if any(result.is_biased for result in report.results):
        sentences.append(_BIAS)
    return "\n".join(sentences)
