"""A report on paper: a table of value ± error, the closest set in bold where the test says so, and a figure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from ...common.labels import short_labels
from ...common.text import p_text
from ...errors import ArgumentError
from ...sets.metric_names import METRICS
from ..joint import joint_table, joint_tidy_rows
from ..verdict import joined
from .panel import Dots, Point
from .rows import Row
from .table import MOST_COLUMNS, Cell, Heading, PaperTable, name_cell, number_cell

if TYPE_CHECKING:
    from ..report import Report, Result

COLUMNS: tuple[str, ...] = (
    *("class", "reference", "generated", "backbone", "metric", "value", "standard_error", "low", "high", "corrected"),
    *("n_reference", "n_generated", "higher_is_better", "no_error_reason"),
)
_MOST_PANELS = 6
_MOST_CLASSES = 12
_UNBIASED = "without bias"
_BIAS = (
    f"Values are as other tools print them; {_UNBIASED}: value minus the bias from a limited number of pictures. "
    "Intervals and tests belong to it."
)
Key = tuple[str, str, bool]  # backbone, metric, whether without bias


class SetOf(NamedTuple):
    """A row of numbers: the class, "" for whole sets, and the set's name, which several may have."""

    label: str
    name: str
    place: int  # among those of one name, from 1

    def shown(self, short: Mapping[str, str]) -> str:
        """The short name, with its place where it is not the first of that name."""
        return short[self.name] if self.place == 1 else f"{short[self.name]} ({self.place})"


Cells = dict[tuple[SetOf, Key], Cell]
Rows = tuple[tuple[Heading, ...], tuple[tuple[Cell, ...], ...]]


def tidy_rows(report: "Report") -> list[Row]:
    """One row for each set, backbone and metric; of classes too, which `class` names."""
    groups = [(None, report.results), *report.results_per_class.items()]
    rows = [_row(label, result) for label, own in groups for result in own]
    return [*rows, *joint_tidy_rows(report.joint, COLUMNS)]


def _row(label: str | None, result: "Result") -> Row:
    low, high = result.interval or (None, None)
    own = {name: getattr(result, name) for name in COLUMNS if hasattr(result, name)}
    return {**own, "class": label, "low": low, "high": high}


# ---- the table ------------------------------------------------------------------------------------


def tables(report: "Report") -> list[PaperTable]:
    """The scores of the whole sets, then those of the classes."""
    short = _labels(report)
    references = joined([short[name] for name in dict.fromkeys(result.reference for result in report.results)])
    recipe = report.provenance["recipe"]["name"]
    caption = f"Generated sets against {references}" + ("" if recipe == "default" else f", recipe {recipe}") + "."
    best = best_sets(report)
    found = [_table(caption, {"": report.results}, short, best, _notes(report, short, best))]
    if report.results_per_class:
        about = "Class by class: each is scored as if its folders alone had been compared."
        found.append(_table(about, report.results_per_class, short, set(), _notes(report, short, None)))
    backbones, metrics, sets = (
        list(dict.fromkeys(getattr(result, name) for result in report.results))
        for name in ("backbone", "metric", "generated")
    )
    subject = (*backbones, *metrics, references, *(short[name] for name in sets))
    kinds = ("compare", "classes")
    named = [replace(table, about=(kind, *subject)) for kind, table in zip(kinds, found, strict=False)]
    return [*named, *([joint_table(report.joint, short)] if report.joint else [])]


def best_sets(report: "Report") -> set[tuple[str, str, str]]:
    """Backbone, metric and short name of each set that the corrected tests show to be closer than every other."""
    best = set()
    for verdict in report.verdicts:
        tested = verdict.backbone, verdict.metric
        every = [result.generated for result in report.results if (result.backbone, result.metric) == tested]
        names = {pair.better for pair in verdict.pairs} if len(set(every)) == len(every) else ()
        for name in names:
            beaten = {pair.worse for pair in verdict.pairs if pair.better == name and pair.p_adjusted < verdict.alpha}
            if len(beaten) == len(every) - 1:
                best.add((*tested, name))
    return best


def _table(
    caption: str,
    groups: Mapping[str, Sequence["Result"]],
    short: Mapping[str, str],
    best: set[tuple[str, str, str]],
    notes: tuple[str, ...],
) -> PaperTable:
    """Sets in rows where their numbers fit side by side, else whichever are fewer in columns."""
    keys = _keys(result for own in groups.values() for result in own)
    cells: Cells = {}
    for label, own in groups.items():
        for result in own:
            for key in _keys([result], keys):
                place = next(k for k in count(1) if (SetOf(label, result.generated, k), key) not in cells)
                is_best = (*key[:2], short[result.generated]) in best
                cells[SetOf(label, result.generated, place), key] = _cell(result, key[2], is_best)
    sets = list(dict.fromkeys(own for own, _ in cells))
    if len(keys) <= MOST_COLUMNS or len(keys) <= len(sets) or "" not in groups:
        rows = _sets_in_rows(sets, keys, cells, short, _sizes(groups))
    else:
        rows = _metrics_in_rows(sets, keys, cells, short)
    return PaperTable(caption, *rows, notes)


def _sizes(groups: Mapping[str, Sequence["Result"]]) -> dict[SetOf, str]:
    """Pictures of the reference and of each set, the largest numbers that a metric looked at."""
    largest: dict[SetOf, tuple[int, int]] = {}
    for label, own in groups.items():
        for result in own:
            reference, generated = largest.get(key := SetOf(label, result.generated, 1), (0, 0))
            largest[key] = max(reference, result.n_reference or 0), max(generated, result.n_generated or 0)
    return {key: ", ".join(f"{n:,}" if n else "-" for n in pair) for key, pair in largest.items()}


def _sets_in_rows(
    sets: Sequence[SetOf], keys: Sequence[Key], cells: Cells, short: Mapping[str, str], counts: Mapping[SetOf, str]
) -> Rows:
    by_class = any(own.label for own in sets)
    names = [*(["Class"] if by_class else []), "Generated"]
    headings = [Heading(name, is_name=True) for name in names]
    headings += [Heading("n ref., gen.", is_name=True)] if by_class else []
    headings += [Heading(_metric_text(key), key[0]) for key in keys]
    rows = []
    for own in sets:
        classes = [name_cell(own.label)] if by_class else []
        found = (cells.get((own, key), number_cell("-")) for key in keys)
        sizes = [Cell(counts.get(own._replace(place=1), "-"))] if by_class else []
        rows.append((*classes, name_cell(own.shown(short)), *sizes, *found))
    return tuple(headings), tuple(rows)


def _metrics_in_rows(sets: Sequence[SetOf], keys: Sequence[Key], cells: Cells, short: Mapping[str, str]) -> Rows:
    headings = [Heading("Backbone", is_name=True), Heading("Metric", is_name=True)]
    headings += [Heading(name_cell(own.shown(short)).text) for own in sets]
    rows = []
    for key in keys:
        found = (cells.get((own, key), number_cell("-")) for own in sets)
        rows.append((name_cell(key[0]), Cell(_metric_text(key)), *found))
    return tuple(headings), tuple(rows)


def _keys(results: Iterable["Result"], among: Sequence[Key] | None = None) -> list[Key]:
    """The columns of results, backbone by backbone: a biased metric has one without bias too."""
    every = list(results)
    if among is not None:
        return [key for key in among for result in every if key[:2] == (result.backbone, result.metric)]
    biased = {(result.backbone, result.metric) for result in every if result.is_biased}
    pairs = dict.fromkeys((result.backbone, result.metric) for result in every)
    backbones = dict.fromkeys(backbone for backbone, _ in pairs)
    ordered = [pair for backbone in backbones for pair in pairs if pair[0] == backbone]
    return [(*pair, unbiased) for pair in ordered for unbiased in ((False, True) if pair in biased else (False,))]


def _cell(result: "Result", unbiased: bool, is_best: bool) -> Cell:
    if METRICS[result.metric].is_test:
        return number_cell(p_text(result.value))
    text, other, error, _ = result.estimate_texts
    tested = unbiased or not result.is_biased
    return Cell(other if unbiased else text, "" if error == "-" else error, True, is_best and tested)


def _metric_text(key: Key) -> str:
    higher = METRICS[key[1]].higher_is_better
    arrow = "" if higher is None else " ↑" if higher else " ↓"
    return f"{key[1]} {_UNBIASED}{arrow}" if key[2] else f"{key[1]}{arrow}"


def _notes(report: "Report", short: Mapping[str, str], best: set[tuple[str, str, str]] | None) -> tuple[str, ...]:
    """How the numbers are read; `best` is None where no test stands behind any."""
    metrics = [METRICS[name] for name in dict.fromkeys(result.metric for result in report.results)]
    notes = ["Value ± standard error (none where there is no ±). ↓ lower, ↑ higher is better."]
    if best is not None:
        notes.append("; ".join(f"{spec.name}: {spec.full_name}" for spec in metrics) + ".")
    if any(result.is_biased for result in report.results):
        notes.append(_BIAS)
    if best is None:
        return tuple(notes)
    tested = [verdict for verdict in report.verdicts if verdict.pairs]
    if tested:
        names = joined(list(dict.fromkeys(verdict.metric for verdict in tested)))
        none = "" if best else "; here none is"
        notes.append(
            f"Bold: closer than every other set by the relative test of {names} (p < {tested[0].alpha:g} after Holm's "
            f"correction for all pairs){none}. Other numbers have no such test."
        )
    return (*notes, _counts(report, short))


def _counts(report: "Report", short: Mapping[str, str]) -> str:
    """How many pictures each set has, the largest number that a metric looked at."""
    counts: dict[str, int] = {}
    for result in report.results:
        for name, n in ((result.reference, result.n_reference), (result.generated, result.n_generated)):
            counts[name] = max(counts.get(name, 0), n or 0)
    if len(set(counts.values())) == 1 and all(counts.values()):
        return f"Every set has {max(counts.values()):,} pictures."
    texts = (f"{short[name]} {n:,}" if n else f"{short[name]} unknown" for name, n in counts.items())
    return f"Pictures: {', '.join(texts)}."


def _labels(report: "Report") -> dict[str, str]:
    every = [*report.results, *(result for own in report.results_per_class.values() for result in own)]
    return short_labels(name for result in every for name in (result.reference, result.generated))


# ---- the figure -----------------------------------------------------------------------------------


def panels(report: "Report", metrics: Sequence[str] = ()) -> list[Dots]:
    """A panel for each backbone and score; where those are many, of the metric that verdicts rest on alone."""
    short = _labels(report)
    pairs = list(dict.fromkeys((result.backbone, result.metric) for result in report.results))
    pairs = [pair for pair in pairs if not METRICS[pair[1]].is_test and (not metrics or pair[1] in metrics)]
    backbones = list(dict.fromkeys(backbone for backbone, _ in pairs))
    if unknown := set(metrics) - {metric for _, metric in pairs}:
        there = ", ".join(dict.fromkeys(result.metric for result in report.results))
        raise ArgumentError(f"metric: no score {', '.join(sorted(unknown))} in this report; choose from {there}")
    if len(pairs) > _MOST_PANELS and not metrics:
        decisive = {verdict.backbone: verdict.metric for verdict in report.verdicts}
        first = {backbone: next(metric for own, metric in pairs if own == backbone) for backbone in backbones}
        pairs = [(backbone, decisive.get(backbone, first[backbone])) for backbone in backbones]
    ordered = [pair for backbone in backbones for pair in pairs if pair[0] == backbone]
    series = {name: place for place, name in enumerate(dict.fromkeys(result.generated for result in report.results))}
    wholes = [_panel(pair, report.results, short, series) for pair in ordered]
    by_class = (_panels_by_class(report, pair, short, series) for pair in _of_classes(report, ordered, metrics))
    return [*wholes, *(panel for panels in by_class for panel in panels)]


def _of_classes(
    report: "Report", pairs: Sequence[tuple[str, str]], metrics: Sequence[str]
) -> Sequence[tuple[str, str]]:
    """Classes are drawn by the metrics that were chosen, else by the one that the verdict rests on, else the first."""
    if metrics:
        return pairs
    decisive = [(verdict.backbone, verdict.metric) for verdict in report.verdicts]
    first = {backbone: (backbone, metric) for backbone, metric in reversed(pairs)}
    return [next((pair for pair in decisive if pair in pairs and pair[0] == name), first[name]) for name in first]


def _panels_by_class(
    report: "Report", pair: tuple[str, str], short: Mapping[str, str], series: Mapping[str, int]
) -> list[Dots]:
    """The classes below each other for one set, a panel each for several; of many classes the farthest."""
    classes = {
        label: [result for result in own if (result.backbone, result.metric) == pair]
        for label, own in report.results_per_class.items()
    }
    classes = {label: own for label, own in classes.items() if own}
    drawn = _farthest(classes, pair[1])
    shown = "" if len(drawn) == len(classes) else f", {len(drawn)} worst of {len(classes):,}"
    if len(series) == 1:
        own = [result for label in drawn for result in classes[label]]
        names = [label for label in drawn for _ in classes[label]]
        return [_dots(f"{pair[0]}, by class{shown}", pair[1], own, names, series)] if own else []
    return [
        _dots(f"{pair[0]}, class {label}{shown}", pair[1], own, [short[result.generated] for result in own], series)
        for label, own in classes.items()
        if label in drawn
    ]


def _farthest(classes: Mapping[str, Sequence["Result"]], metric: str) -> list[str]:
    """The classes in their order; where they are many, those whose worst set scores worst."""
    sign = -1 if METRICS[metric].higher_is_better else 1
    worst = {label: max(sign * _estimate(result) for result in own) for label, own in classes.items()}
    kept = sorted(worst, key=lambda label: worst[label], reverse=True)[:_MOST_CLASSES]
    return [label for label in classes if label in kept]


def _estimate(result: "Result") -> float:
    """The number to which the interval belongs."""
    return result.value if result.corrected is None else result.corrected


def _panel(
    pair: tuple[str, str], results: Sequence["Result"], short: Mapping[str, str], series: Mapping[str, int]
) -> Dots:
    own = [result for result in results if (result.backbone, result.metric) == pair]
    return _dots(pair[0], pair[1], own, [short[result.generated] for result in own], series)


def _dots(title: str, metric: str, own: Sequence["Result"], labels: Sequence[str], series: Mapping[str, int]) -> Dots:
    biased = any(result.is_biased for result in own)
    points = tuple(
        Point(
            label,
            _estimate(result),
            result.interval,
            is_open=biased and result.corrected is None,
            series=series[result.generated],
        )
        for result, label in zip(own, labels, strict=True)
    )
    spec = METRICS[metric]
    unbiased = f" {_UNBIASED}" if biased else ""
    opened = " (open: with bias)" if any(point.is_open for point in points) else ""
    bars = ", 95 % intervals" if any(point.interval for point in points) else ""
    way = "↑" if spec.higher_is_better else "↓"
    return Dots(title, f"{spec.name}{unbiased} {way}{opened}{bars}", points)
