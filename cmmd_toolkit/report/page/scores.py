"""The charts of results: one panel for each backbone and metric."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...common.text import interval_text, number_text
from ...sets.metric_names import METRICS
from ..order import Order, Place
from ..ranking import Ranking
from ..report import Report, Result
from ..tables import Table
from ..watching import WORSE, Watching
from .charts import Chart, Mark, Row, chart
from .part import Part

MOST_CLASSES = 60  # of a chart
MOST_ROWS = 4000  # of the table of all classes


def score_charts(results: Sequence[Result], short: Mapping[str, str]) -> list[Chart]:
    """A panel for each backbone and metric, a row for each generated set; tests are no scores."""
    places = places_of(results)
    panels: dict[tuple[str, str], list[Row]] = {}
    for result in results:
        if not METRICS[result.metric].is_test:
            mark = _mark(result, places, short)
            panels.setdefault((result.metric, result.backbone), []).append(Row("", [mark]))
    return [chart(_title(*key), _reading(key[0]), rows) for key, rows in panels.items()]


def class_parts(report: Report, short: Mapping[str, str], class_tables: Sequence[Table]) -> list[Part]:
    """Bars for each class, the worst class first."""
    panels: dict[tuple[str, str], dict[str, list[Result]]] = {}
    for label, results in report.results_per_class.items():
        for result in results:
            if not METRICS[result.metric].is_test:
                panels.setdefault((result.metric, result.backbone), {}).setdefault(label, []).append(result)
    if not panels:
        return []
    places = places_of(report.results)
    charts = [_class_chart(key, own, places, short) for key, own in panels.items()]
    sets = [(places[name], short[name]) for name in places]
    cut = len(report.results_per_class) - MOST_CLASSES
    note = f"The {MOST_CLASSES} worst classes; {cut} more are in the table." if cut > 0 else ""
    content = {"charts": charts, "sets": sets, "note": note, "tables": [_cut(table) for table in class_tables]}
    return [Part("classes", "Class by class", "classes", content)]


def _cut(table: Table) -> Table:
    """A page is no data base."""
    if len(table.rows) <= MOST_ROWS:
        return table
    said = f"The first {MOST_ROWS:,} of {len(table.rows):,} rows; all are in the JSON form."
    return replace(table, rows=table.rows[:MOST_ROWS], caption=f"{said}\n{table.caption}")


def places_of(results: Sequence[Result]) -> dict[str, int]:
    """The generated sets, from 1: their colours on the whole page."""
    return {name: place for place, name in enumerate(dict.fromkeys(result.generated for result in results), 1)}


def order_chart(ranking: Ranking, order: Order, places: Mapping[str, int]) -> Chart:
    """The sets of one backbone or of the average, best first; `places` are those of their colours."""
    rows = [Row("", [_place_mark(place, places[place.generated])]) for place in order.places]
    name, average = ranking.score_name(order), ranking.is_average(order)
    title = f"{name}, {order.backbone}" if average else _title(name, order.backbone)
    return chart(title, _reading(order.metric), rows)


def _place_mark(own: Place, place: int) -> Mark:
    interval = interval_text(own.interval, own.standard_error)
    known = "" if interval == "-" else f" ({interval})"
    text = f"{number_text(own.score, own.standard_error)}{known}"
    return Mark(place, own.generated, own.score, text, own.interval)


def look_chart(watching: Watching, backbone: int) -> Chart:
    """The last looks under one backbone, in the order in which they came; the worse ones in a colour of their own."""
    rows = []
    for look in watching.looks[-MOST_CLASSES:]:
        own = look.scores[backbone]
        interval = interval_text(own.interval, own.standard_error)
        known = "" if interval == "-" else f" ({interval})"
        text = f"{number_text(own.value, own.standard_error)}{known}"
        rows.append(Row("", [Mark(2 if look.verdict == WORSE else 1, look.name, own.value, text, own.interval)]))
    return chart(_title("mmd", watching.backbones[backbone]), _reading("mmd"), rows)


def _class_chart(
    key: tuple[str, str], classes: Mapping[str, Sequence[Result]], places: Mapping[str, int], short: Mapping[str, str]
) -> Chart:
    higher = METRICS[key[0]].higher_is_better

    def badness(label: str) -> float:
        values = [result.value for result in classes[label]]
        return min(values) if higher else -max(values)

    rows = [
        Row(label, [_mark(result, places, short, label) for result in classes[label]])
        for label in sorted(classes, key=badness)[:MOST_CLASSES]
    ]
    return chart(_title(*key), _reading(key[0]), rows, bars=True)


def _mark(result: Result, places: Mapping[str, int], short: Mapping[str, str], label: str = "") -> Mark:
    """At the value without bias where the interval belongs to that."""
    value, without_bias, _, interval = result.estimate_texts
    name = f"{label} {short[result.generated]}".strip()
    known = "" if interval == "-" else f" ({interval})"
    if result.corrected is not None and result.is_biased:
        text = f"{without_bias}{known}"
        return Mark(places[result.generated], name, result.corrected, text, result.interval, result.value)
    return Mark(places[result.generated], name, result.value, f"{value}{known}", result.interval)


def _title(metric: str, backbone: str) -> str:
    return f"{metric} on {backbone}"


def _reading(metric: str) -> str:
    return METRICS[metric].reading.words
