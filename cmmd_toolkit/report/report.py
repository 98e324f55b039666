"""The report: results, warnings and provenance; and its plain text."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..common.files import path_of
from ..common.labels import short_labels
from ..common.text import align, estimate_texts, in_lines, p_text
from ..errors import ArgumentError
from ..sets.metric_names import CLOSER, HIGHER, LOWER, METRICS
from .document import IF_KNOWN, NOT_SAVED, plain
from .exhibit import NOT_ASKED, Exhibit
from .joint import (
    HEADINGS as JOINT_HEADINGS,
    NAMES as JOINT_NAMES,
    TITLE as JOINT_TITLE,
    JointAnswer,
    check_answers,
    joint_lines,
    joint_note,
    joint_rows,
)
from .paper import scores
from .paper.panel import Panel
from .paper.record import PaperRecord, drawn
from .paper.rows import Row
from .paper.table import PaperTable
from .sound import check_known, check_level, check_sets, require
from .verdict import Verdict, verdict_lines

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
    "Value: as other tools print it. Without bias: with the bias of few pictures taken off; the interval belongs to it."
)


@dataclass(frozen=True)
class Result:
    """One number: a generated set against the reference, under one backbone and metric; see `Estimate`.

    `higher_is_better` says which way to read it: True for shares and scores, False for distances, None for the p-value
    of a test, which is no score.
    """

    reference: str
    generated: str
    backbone: str
    metric: str
    value: float
    standard_error: float | None
    interval: tuple[float, float] | None
    n_reference: int | None
    n_generated: int | None
    parameters: Mapping[str, Any]
    caveats: tuple[str, ...] = ()
    higher_is_better: bool | None = False
    corrected: float | None = None
    no_error_reason: str | None = None

    @property
    def estimate_texts(self) -> tuple[str, str, str, str]:
        """Value, value without bias, standard error and interval as they are printed."""
        return estimate_texts(self.value, self.corrected, self.standard_error, self.interval)

    @property
    def is_biased(self) -> bool:
        """Whether the value without bias is known, and another one than the value."""
        return self.corrected not in (None, self.value)


@dataclass(frozen=True)
class Report(PaperRecord):
    """All results of a comparison, with what one must know to trust them.

    Attributes:
        results: one entry for each generated set, backbone and metric, in the order asked for.
        warnings: sentences that say what is odd about the sets and what it does to the numbers.
        sets: for each set of pictures its count, formats, sizes, conversions and skipped files.
        provenance: versions, weights, preprocessing, device, seed, command, time.
        results_per_class: the same for the pictures of each class folder, where that was asked for.
        verdicts: for each backbone which sets are closer than which, in words and as tests; by mmd, else by fd, and
            none where neither was computed.
        joint: the joint test of each generated set over all backbones, where that was asked for.
        exhibit: what `save_html` shows besides numbers, or why it has nothing; not in the JSON form.
    """

    kind: ClassVar[str] = "report"
    schema_version: ClassVar[int] = 3
    columns: ClassVar[tuple[str, ...]] = scores.COLUMNS

    results: tuple[Result, ...]
    warnings: tuple[str, ...]
    sets: tuple[Mapping[str, Any], ...]
    provenance: Mapping[str, Any] = field(compare=False)
    results_per_class: Mapping[str, tuple[Result, ...]] = field(default_factory=dict)
    verdicts: tuple[Verdict, ...] = ()
    joint: tuple[JointAnswer, ...] = field(default=(), metadata=IF_KNOWN)
    exhibit: Exhibit | str = field(default=NOT_ASKED, repr=False, compare=False, metadata=NOT_SAVED)

    def value(self, metric: str, *, backbone: str | None = None, generated: str | None = None) -> float:
        """The one value that fits, `generated` by its full or short name. Raises ArgumentError for none or several."""
        wanted = None if generated is None else str(path_of(generated))
        short = short_labels(name for result in self.results for name in (result.reference, result.generated))
        found = [
            result.value
            for result in self.results
            if result.metric == metric
            and backbone in (None, result.backbone)
            and wanted in (None, result.generated, short[result.generated])
        ]
        if not found:
            there = ", ".join(f"{r.metric} on {r.backbone} of {short[r.generated]}" for r in self.results)
            raise ArgumentError(f"no result for {metric} of {generated or 'any set'}; there are {there}")
        if len(found) != 1:
            raise ArgumentError(
                f"expected one result for {metric}, found {len(found)}; name backbone and generated too"
            )
        return found[0]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form as a dictionary; the results of classes are one list."""
        classes = [{"class": name, **plain(own)} for name, results in self.results_per_class.items() for own in results]
        return {**super().to_dict(), "results_per_class": classes}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Report":
        """See `Document.from_dict`."""
        classes: dict[str, list[Any]] = {}
        rows = document.get("results_per_class")
        if not isinstance(rows, list) or not all(
            isinstance(own, dict) and isinstance(own.get("class"), str) for own in rows
        ):
            raise ValueError("results_per_class: expected a list of results, each with its class")
        for own in rows:
            classes.setdefault(own["class"], []).append(own)
        return super().from_dict({**document, "results_per_class": classes})

    def check(self) -> None:
        """See `Document.check`."""
        recipe = self.provenance.get("recipe")
        named = isinstance(recipe, Mapping) and isinstance(recipe.get("name"), str)
        require(named, "provenance.recipe", "a recipe by its name")
        require(bool(self.results), "results", "one result or more")
        check_sets(self.sets)
        sets, backbones, metrics = (
            {getattr(own, name) for own in self.results} for name in ("generated", "backbone", "metric")
        )
        for label, results in self.results_per_class.items():
            for own in results:
                for found, known in ((own.generated, sets), (own.backbone, backbones), (own.metric, metrics)):
                    check_known([found], known, f"results_per_class {label}")
        for verdict in self.verdicts:
            check_known([verdict.backbone], backbones, "verdicts")
            check_known([verdict.metric], metrics, "verdicts")
            check_level(verdict.alpha, "verdicts")
        check_answers(self.joint)

    def rows(self) -> list[Row]:
        """See `PaperRecord.rows`."""
        return scores.tidy_rows(self)

    def paper_tables(self) -> list[PaperTable]:
        """See `PaperRecord.paper_tables`."""
        return scores.score_tables(self)

    def panels(self, metrics: Sequence[str] = ()) -> "Sequence[Panel]":
        """See `PaperRecord.panels`; of these metrics, of all by default."""
        return scores.score_panels(self, metrics)

    def plot(self, path: str | Path | None = None, *, metric: str | Sequence[str] | None = None) -> "Figure":
        """See `PaperRecord.plot`.

        A panel for each backbone and score, with 95 % intervals; of those named by `metric`, else of all, or of the
        metric that verdicts rest on where there would be more than six. Values are those without bias where known.
        """
        named = () if metric is None else (metric,) if isinstance(metric, str) else tuple(metric)
        return drawn(self.panels(named), path, self.caveats())

    def remarks(self) -> list[str]:
        """See `PaperRecord.remarks`."""
        said = [*(verdict.text for verdict in self.verdicts), *(own.text for own in self.joint)]
        return [*said, *(f"warning: {text}" for text in self.warnings)]

    def __str__(self) -> str:
        return plain_table(self)


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


def plain_table(report: Report) -> str:
    """Aligned columns without colour or box characters; the same report gives the same text."""
    lines = []
    for own in tables(report):
        rows = align([own.headings, *own.rows], own.left)
        lines += [own.title, "", *rows, "", *own.caption.split("\n"), ""]
    lines[-1:] = [f"warning: {warning}" for warning in report.warnings]
    return in_lines([*lines, *answer_lines(report)])


def answer_lines(report: Report) -> list[str]:
    """Verdicts and joint tests, under headings."""
    return [*verdict_lines(report.verdicts), *joint_lines(report.joint)]


def tables(report: Report, *, base_names: bool = False) -> Iterator[Table]:
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
        joint = [] if about or not report.joint else [_joint_table(report, short)]
        yield from [table for table in (scores, tests, *joint) if table.rows]


def _table(
    groups: Mapping[str, Sequence[Result]], short: Mapping[str, str], left_out: Sequence[int], title: str, caption: str
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


def _test_table(groups: Mapping[str, Sequence[Result]], short: Mapping[str, str], title: str) -> Table:
    rows, spec = [], None
    for label, own in groups.items():
        for result in own:
            if METRICS[result.metric].is_test:
                spec = METRICS[result.metric]
                rows.append([*([label] if label else []), *_test_row(result, short)])
    caption = "" if spec is None else f"{spec.name} = {spec.full_name}; {spec.reading.words}."
    return _in_classes(Table(title, TEST_HEADINGS, rows, _TEST_NAMES, caption), groups)


def _joint_table(report: Report, short: Mapping[str, str]) -> Table:
    rows, caption = joint_rows(report.joint, short), joint_note(report.joint)
    return Table(JOINT_TITLE, JOINT_HEADINGS, rows, JOINT_NAMES, caption)


def _in_classes(table: Table, groups: Mapping[str, Sequence[Result]]) -> Table:
    """With a column for the class where the rows have one."""
    if "" in groups:
        return table
    left = (0, *(i + 1 for i in table.left))
    return replace(table, headings=["Class", *table.headings], left=left)


def _span(result: Result) -> Span | None:
    if result.interval is None:
        return None
    low, high = result.interval
    value = result.value if result.corrected is None else result.corrected
    return Span(f"{result.metric} on {result.backbone}", low, value, high)


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


def _title(report: Report, short: Mapping[str, str]) -> str:
    references = dict.fromkeys(short.get(result.reference, result.reference) for result in report.results)
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
