"""The tables of a report as texts, with the spans of their intervals; and its plain text."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..common.labels import short_labels
from ..common.text import align, in_lines, p_text
from ..sets.metric_names import CLOSER, HIGHER, LOWER, METRICS
from .joint import (
    HEADINGS as JOINT_HEADINGS,
    NAMES as JOINT_NAMES,
    TITLE as JOINT_TITLE,
    joint_lines,
    joint_note,
    joint_rows,
)
from .verdict import verdict_lines

if TYPE_CHECKING:
    from .report import Report, Result

HEADINGS = (
    *("Generated", "Backbone", "Metric"),
    *("Value", "Without bias", "Std. error", "95 % interval", "Ref. n", "Gen. n"),
)
TEST_HEADINGS = ("Generated", "Backbone", "p-value", "Reading", "Ref. n", "Gen. n")
_NAMES, _TEST_NAMES = (0, 1, 2), (0, 1, 3)
_CORRECTED = HEADINGS.index("Without bias")
_TEST_TITLE = "Test: do the sets differ at all?"
_LEVEL = 0.05
_EACH_CLASS = (
    "Each class is scored as if its folders alone had been compared; the numbers depend on how many pictures it has."
)
_BIAS = (
    "Value: as other tools print it. Without bias: value minus the bias from a limited number of pictures; the "
    "interval belongs to it."
)


@dataclass(frozen=True)
class Span:
    """An interval and the value in it; those of one `kind` are on one scale."""

    kind: str
    low: float
    value: float
    high: float


@dataclass(frozen=True)
class Table:
    """A table of texts; the columns numbered in `left` are aligned to the left, the caption stands below.

    `spans` has the interval of each row, None for none, and is empty where rows have none.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: Collection[int]
    caption: str
    spans: Sequence[Span | None] = ()


def plain_table(report: "Report") -> str:
    """Aligned columns without colour or box characters; the same report gives the same text."""
    lines = []
    for own in tables(report):
        rows = align([own.headings, *own.rows], own.left)
        lines += [own.title, "", *rows, "", *own.caption.split("\n"), ""]
    lines[-1:] = [f"warning: {warning}" for warning in report.warnings]
    return in_lines([*lines, *answer_lines(report)])


def answer_lines(report: "Report") -> list[str]:
    """Verdicts and joint tests, under headings."""
    return [*verdict_lines(report.verdicts), *joint_lines(report.joint)]


def tables(report: "Report", *, base_names: bool = False) -> Iterator[Table]:
    """The scores and tests of the whole sets, then those of the classes; the reference in full or by its base name."""
    by_class = report.results_per_class
    whole, classes = {"": report.results}, by_class
    every = [*report.results, *(result for own in by_class.values() for result in own)]
    short = short_labels(name for result in every for name in (result.reference, result.generated))
    left_out = () if any(result.is_biased for result in every) else (_CORRECTED,)
    title = _title(report, short if base_names else {})
    for groups, about in ((whole, ""), (classes, "Class by class")):
        scores = _table(groups, short, left_out, about or title, _EACH_CLASS if about else _legend(report))
        before = f"{about}. " if about else "" if scores.rows else f"{title}   "
        tests = _test_table(groups, short, before + _TEST_TITLE)
        yield from [table for table in (scores, tests) if table.rows]
        if report.joint and not about:
            rows, note = joint_rows(report.joint, short), joint_note(report.joint)
            yield Table(JOINT_TITLE, JOINT_HEADINGS, rows, JOINT_NAMES, note)


def _table(
    groups: "Mapping[str, Sequence[Result]]",
    short: Mapping[str, str],
    left_out: Sequence[int],
    title: str,
    caption: str,
) -> Table:
    """The scores; `groups` is by class, "" for the whole sets."""
    rows = [
        [*([label] if label else []), *(cell for i, cell in enumerate(_row(result, short)) if i not in left_out)]
        for label, own in groups.items()
        for result in own
        if not METRICS[result.metric].is_test
    ]
    headings = [heading for i, heading in enumerate(HEADINGS) if i not in left_out]
    scores = (result for own in groups.values() for result in own if not METRICS[result.metric].is_test)
    return _in_classes(Table(title, headings, rows, _NAMES, caption, [_span(result) for result in scores]), groups)


def _test_table(groups: "Mapping[str, Sequence[Result]]", short: Mapping[str, str], title: str) -> Table:
    rows, spec = [], None
    for label, own in groups.items():
        for result in own:
            if METRICS[result.metric].is_test:
                spec = METRICS[result.metric]
                rows.append([*([label] if label else []), *_test_row(result, short)])
    caption = "" if spec is None else f"{spec.name} = {spec.full_name}; {spec.reading.words}."
    return _in_classes(Table(title, TEST_HEADINGS, rows, _TEST_NAMES, caption), groups)


def _in_classes(table: Table, groups: "Mapping[str, Sequence[Result]]") -> Table:
    """With a column for the class where the rows have one."""
    if "" in groups:
        return table
    left = (0, *(i + 1 for i in table.left))
    return replace(table, headings=["Class", *table.headings], left=left)


def _span(result: "Result") -> Span | None:
    if result.interval is None:
        return None
    low, high = result.interval
    value = result.value if result.corrected is None else result.corrected
    return Span(f"{result.metric} on {result.backbone}", low, value, high)


def _row(result: "Result", short: Mapping[str, str]) -> tuple[str, ...]:
    counts = (_count(n, result.metric) for n in (result.n_reference, result.n_generated))
    return (short[result.generated], result.backbone, result.metric, *result.estimate_texts, *counts)


def _test_row(result: "Result", short: Mapping[str, str]) -> tuple[str, ...]:
    reading = "the sets differ" if result.value < _LEVEL else "no difference shown"
    counts = (_count(n, result.metric) for n in (result.n_reference, result.n_generated))
    return (short[result.generated], result.backbone, p_text(result.value), reading, *counts)


def _count(n: int | None, metric: str) -> str:
    """Only stored moments have an unknown count; elsewhere a missing one means that the side is not looked at."""
    if n is None:
        return "?" if METRICS[metric].needs == "moments" else "-"
    return f"{n:,}"


def _title(report: "Report", short: Mapping[str, str]) -> str:
    references = dict.fromkeys(short.get(result.reference, result.reference) for result in report.results)
    recipe = report.provenance["recipe"]["name"]
    return f"Reference: {', '.join(references)}" + ("" if recipe == "default" else f"   Recipe: {recipe}")


def _legend(report: "Report") -> str:
    """The full names, a line for each direction."""
    shown = [METRICS[name] for name in dict.fromkeys(result.metric for result in report.results)]
    sentences = []
    for reading in (CLOSER, LOWER, HIGHER):
        if names := [f"{spec.name} = {spec.full_name}" for spec in shown if spec.reading == reading]:
            sentences.append(f"{'; '.join(names)}; {reading.words}.")
    if any(result.is_biased for result in report.results):
        sentences.append(_BIAS)
    return "\n".join(sentences)
