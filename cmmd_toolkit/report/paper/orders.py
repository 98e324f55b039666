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
    from ..order import Order, Place
    from ..ranking import Ranking

COLUMNS: tuple[str, ...] = (
    *("reference", "backbone", "metric", "place", "generated", "value", "corrected", "standard_error", "low", "high"),
    *("n_reference", "n_generated", "groups", "difference_to_next", "difference_error", "difference_low"),
    *("difference_high", "p_adjusted", "no_error_reason", "p_every_backbone"),
)


def tidy_rows(ranking: "Ranking") -> list[Row]:
    """One row for each set and backbone, in order; `groups`, the difference to the next one, and its test."""
    return [
        _row(ranking, order, place, number)
        for order in ranking.every_order
        for number, place in enumerate(order.places, 1)
    ]


def _row(ranking: "Ranking", order: "Order", place: "Place", number: int) -> Row:
    low, high = place.interval or (None, None)
    pair = pair_with_next(order, number - 1)
    every = ranking.every_test(order, pair)
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
        "p_every_backbone": None if every is None else every.p_adjusted,
    }


def pair_with_next(order: "Order", place: int) -> "PairTest | None":
    """The test of a set and the one below it; None for the last."""
    names = [own.generated for own in order.places[place : place + 2]]
    return next((pair for pair in order.pairs if [pair.better, pair.worse] == names), None)


def tables(ranking: "Ranking") -> list[PaperTable]:
    """A table for each backbone."""
    return [_table(ranking, order) for order in ranking.every_order]


def _table(ranking: "Ranking", order: "Order") -> PaperTable:
    score, average = ranking.score_name(order), ranking.is_average(order)
    numbers = [f"{score} ↓", "n", "Group", "Difference to next (95 %)", "p", *(["p, every"] if average else [])]
    headings = (Heading("Generated", is_name=True), *(Heading(text) for text in numbers))
    first = order.places[0].generated
    is_best = all(pair.p_adjusted < ranking.alpha for pair in order.pairs if first in (pair.better, pair.worse))
    rows = tuple(_cells(ranking, order, place, is_best and place == 0) for place in range(len(order.places)))
    where = ranking.order_title(order) if average else f"on {order.backbone}"
    caption = f"Generated sets in order of their distance to {ranking.reference} {where[:1].lower()}{where[1:]}."
    paired = " Sets are paired by picture." if ranking.paired else ""
    corrected = (
        "corrected for all pairs by the largest of their statistics"
        if average
        else ("after Holm's correction for all pairs")
    )
    note = (
        f"{order.metric}: {METRICS[order.metric].full_name}. {score} ± standard error; lower is closer to the "
        f"reference ({ranking.n_reference:,} pictures). Sets that share a letter cannot be told apart at "
        f"{100 * ranking.alpha:.3g} %. Bold: closer than every other set; where none is bold, none is shown to be. "
        "Difference to next: this set's distance minus that of the set below it, 95 % interval, not corrected; below "
        f"zero this set is closer. p: relative test with the next set, two-sided, {corrected}.{paired}"
    )
    notes = (note, *ranking.joint_notes()) if average else (note,)
    about = ("rank", order.backbone, order.metric, ranking.reference, *_given(ranking))
    return PaperTable(caption, headings, rows, notes, about)


def _cells(ranking: "Ranking", order: "Order", number: int, is_best: bool) -> tuple[Cell, ...]:
    place, pair = order.places[number], pair_with_next(order, number)
    test = ranking.every_test(order, pair)
    every = (number_cell("" if test is None else p_text(test.p_adjusted)),) if ranking.is_average(order) else ()
    return (
        name_cell(place.generated),
        estimate_cell(place.score, place.standard_error, is_best=is_best),
        number_cell(f"{place.n_generated:,}"),
        Cell(place.groups),
        number_cell("" if pair is None else interval_text(pair.interval, pair.standard_error)),
        number_cell("" if pair is None else p_text(pair.p_adjusted)),
        *every,
    )


def panels(ranking: "Ranking") -> list[Dots]:
    """A panel for each backbone, best on top, with the letters of sets that cannot be told apart."""
    return [_panel(ranking, order, _given(ranking)) for order in ranking.every_order]


def _given(ranking: "Ranking") -> list[str]:
    """The sets as they were given, where the ranking knows: each has one colour and mark, as in a report's figure."""
    names = [place.generated for place in ranking.orders[0].places]
    short = short_labels(str(own.get("name")) for own in ranking.sets)
    known = [name for name in short.values() if name in names]
    return known if set(known) == set(names) else names


def _panel(ranking: "Ranking", order: "Order", given: Sequence[str]) -> Dots:
    points = tuple(
        Point(own.generated, own.score, own.interval, series=given.index(own.generated), after=f"  {own.groups}")
        for own in order.places
    )
    axis = f"{ranking.score_name(order)} ↓, 95 % intervals; same letter: not told apart"
    return Dots(order.backbone, axis, points)
