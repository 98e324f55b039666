"""What each record shows on a terminal, before it is fitted to a width."""

from dataclasses import dataclass
from functools import singledispatch

from ..contrast import LEGEND as CONTRAST_LEGEND, Contrast, contrast_lists, section_title
from ..explanation import Explanation, entry_rows, legend, section_lists
from ..modes import mode_rows, modes_title
from ..order import Order
from ..paper.record import PaperRecord
from ..plan import Plan, plan_notes, plan_title, size_rows
from ..ranking import Ranking, joint_lines, order_rows, ranking_notes
from ..report import Report
from ..tables import Span, Table, answer_lines, tables
from ..verdict import verdict_lines
from ..warning_kinds import words_of


@dataclass(frozen=True)
class Screen:
    """Tables with their captions, sentences, warnings, verdicts; `words` are the names that warnings may differ in."""

    tables: tuple[Table, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    verdicts: tuple[str, ...]
    words: frozenset[str]


@singledispatch
def screen_of(record: PaperRecord) -> Screen:
    """The screen of a record."""
    raise NotImplementedError(type(record).__name__)


@screen_of.register
def _(report: Report) -> Screen:
    verdicts = tuple(answer_lines(report))
    return Screen(tuple(tables(report, base_names=True)), (), report.warnings, verdicts, words_of(report))


@screen_of.register
def _(ranking: Ranking) -> Screen:
    found = tuple(_order_table(ranking, order) for order in ranking.every_order)
    verdicts = (*verdict_lines(ranking.verdicts), *joint_lines(ranking))
    return Screen(found, tuple(ranking_notes(ranking)), ranking.warnings, verdicts, words_of(ranking))


def _order_table(ranking: Ranking, order: Order) -> Table:
    headings, *rows = order_rows(ranking, order)
    title = f"Reference: {ranking.reference} ({ranking.n_reference:,} pictures)   {ranking.order_title(order)}"
    spans = [
        None if place.interval is None else Span(order.backbone, place.interval[0], place.score, place.interval[1])
        for place in order.places
    ]
    return Table(title, headings, rows, (1, 5), "", spans)


@screen_of.register
def _(plan: Plan) -> Screen:
    found = []
    for need in plan.needs:
        headings, *rows = size_rows(need)
        found.append(Table(plan_title(need), headings, rows, (1,), ""))
    return Screen(tuple(found), tuple(plan_notes(plan)), plan.doubts, (), words_of(plan))


@screen_of.register
def _(contrast: Contrast) -> Screen:
    names = contrast.short_names
    sides = f"Reference: {names[0]}   First: {names[1]}   Second: {names[2]}"
    found: list[Table] = []
    for section in contrast.sections:
        lead = f"{sides}\n{section_title(section)}"
        for entries, title in contrast_lists(section, names):
            headings, *rows = entry_rows(entries)
            found.append(Table("\n\n".join(filter(None, (lead, title))), headings, rows, (1, 4), ""))
            lead = ""
    return Screen(tuple(found), (CONTRAST_LEGEND,), contrast.warnings, (), words_of(contrast))


@screen_of.register
def _(explanation: Explanation) -> Screen:
    names = explanation.short_names
    sides = f"Reference: {names[0]}   Generated: {names[1]}"
    found: list[Table] = []
    for section in explanation.sections:
        lead = f"{sides}   Backbone: {section.backbone}   squared MMD {section.value_text}"
        for entries, title in section_lists(section):
            headings, *rows = entry_rows(entries)
            found.append(Table("\n\n".join(filter(None, (lead, title))), headings, rows, (1, 4), ""))
            lead = ""
        if section.modes is not None:
            headings, *rows = mode_rows(section.modes)
            found.append(Table(modes_title(section.modes), headings, rows, (1, 5), ""))
    return Screen(tuple(found), (legend(explanation),), explanation.warnings, (), words_of(explanation))
