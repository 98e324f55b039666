"""A ranking on paper: a table for each backbone, the first in bold where it is closer than all others, and a figure."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...common.labels import short_labels
from ...common.text import interval_text, p_text
from ...sets.metric_names import METRICS
from .panel import Dots, Point
from .rows import Row
from .table import Cell, Heading, PaperTable, estimate_cell, name_cell, number_cell

if TYPE_CHECKING:
    from ...inference.ordering import PairTest
    from ..ranking import Order, Place, Ranking

COLUMNS = (
    *("reference", "backbone", "metric", "place", "generated", "value", "corrected", "standard_error", "low", "high"),
    *("n_reference", "n_generated", "groups", "difference_to_next", "difference_error", "difference_low"),
    *("difference_high", "p_adjusted", "no_error_reason"),
)


def tidy_rows(ranking: "Ranking") -> list[Row]:
    """One row for each set and backbone, in order; `groups`, the difference to the next one, and its test."""
    return [
        _row(ranking, order, place, number) for order in ranking.orders for number, place in enumerate(order.places, 1)
    ]


def _row(ranking: "Ranking", order: "Order", place: "Place", number: int) -> Row:
    low, high = place.interval or (None, None)
    pair = pair_with_next(order, number - 1)
    difference_low, difference_high = (None, None) if pair is None else pair.interval
    return {
        "reference": ranking.reference,
        "backbone": order.backbone,
        "metric": order.metric,
        "place": number,
        "generated": place.generated,
        "value": place.value,
        "corrected": place.score,
        "standard_error": place.standard_error,
        "low": low,
        "high": high,
        "n_reference": ranking.n_reference,
        "n_generated": place.n_generated,
        "groups": place.groups,
        "difference_to_next": None if pair is None else pair.difference,
        "difference_error": None if pair is None else pair.standard_error,
        "difference_low": difference_low,
        "difference_high": difference_high,
        "p_adjusted": None if pair is None else pair.p_adjusted,
        "no_error_reason": place.no_error_reason,
    }


def pair_with_next(order: "Order", place: int) -> "PairTest | None":
    """The test of a set and the one below it; None for the last."""
    names = [own.generated for own in order.places[place : place + 2]]
    return next((pair for pair in order.pairs if [pair.better, pair.worse] == names), None)


def order_tables(ranking: "Ranking") -> list[PaperTable]:
    """A table for each backbone."""
    return [_table(ranking, order) for order in ranking.orders]


def _table(ranking: "Ranking", order: "Order") -> PaperTable:
    score = "fd without bias" if order.metric == "fd" else order.metric
    numbers = [f"{score} ↓", "n", "Group", "Difference to next (95 %)", "p"]
    headings = (Heading("Generated", is_name=True), *(Heading(text) for text in numbers))
    first = order.places[0].generated
    is_best = all(pair.p_adjusted < ranking.alpha for pair in order.pairs if first in (pair.better, pair.worse))
    rows = tuple(_cells(order, place, is_best and place == 0) for place in range(len(order.places)))
    caption = f"Generated sets in order of their distance to {ranking.reference} on {order.backbone}."
    paired = " Sets are paired by picture." if ranking.paired else ""
    note = (
        f"{order.metric}: {METRICS[order.metric].full_name}. {score} ± standard error; lower is closer to the "
        f"reference ({ranking.n_reference:,} pictures). Sets that share a letter cannot be told apart at "
        f"{100 * ranking.alpha:.3g} %. Bold: closer than every other set; where none is bold, none is shown to be. "
        "Difference to next: this set's distance minus that of the set below it, 95 % interval, not corrected; below "
        "zero this set is closer. p: relative test with the next set, two-sided, after Holm's correction for all "
        f"pairs.{paired}"
    )
    about = ("rank", order.backbone, order.metric, ranking.reference, *_given(ranking))
    return PaperTable(caption, headings, rows, (note,), about)


def _cells(order: "Order", number: int, is_best: bool) -> tuple[Cell, ...]:
    place, pair = order.places[number], pair_with_next(order, number)
    return (
        name_cell(place.generated),
        estimate_cell(place.score, place.standard_error, is_best=is_best),
        number_cell(f"{place.n_generated:,}"),
        Cell(place.groups),
        number_cell("" if pair is None else interval_text(pair.interval, pair.standard_error)),
        number_cell("" if pair is None else p_text(pair.p_adjusted)),
    )


def order_panels(ranking: "Ranking") -> list[Dots]:
    """A panel for each backbone, best on top, with the letters of sets that cannot be told apart."""
    return [_panel(order, _given(ranking)) for order in ranking.orders]


def _given(ranking: "Ranking") -> list[str]:
    """The sets as they were given, where the ranking knows: each has one colour and mark, as in a report's figure."""
    names = [place.generated for place in ranking.orders[0].places]
    short = short_labels(str(own.get("name")) for own in ranking.sets)
    known = [name for name in short.values() if name in names]
    return known if set(known) == set(names) else names


def _panel(order: "Order", given: Sequence[str]) -> Dots:
    unbiased = " without bias" if order.metric == "fd" else ""
    points = tuple(
        Point(own.generated, own.score, own.interval, series=given.index(own.generated), after=f"  {own.groups}")
        for own in order.places
    )
    axis = f"{order.metric}{unbiased} ↓, 95 % intervals; same letter: not told apart"
    return Dots(order.backbone, axis, points)
