"""What each record shows on a terminal, before it is fitted to a width."""

from dataclasses import dataclass

from ...common.text import interval_text, number_text
from ..contrast import LEGEND as CONTRAST_LEGEND, Contrast, contrast_lists, section_title
from ..explanation import Explanation, entry_rows, legend, section_lists
from ..modes import mode_rows, modes_title
from ..order import Order
from ..paper.record import PaperRecord
from ..plan import Need, Plan, plan_notes, plan_title, size_rows
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


def screen_of(record: PaperRecord) -> Screen:
    """The screen of a record of any kind."""
    if isinstance(record, Report):
        return _of_report(record)
    if isinstance(record, Ranking):
        return _of_ranking(record)
    if isinstance(record, Plan):
        return _of_plan(record)
    if isinstance(record, Contrast):
        return _of_contrast(record)
    assert isinstance(record, Explanation)
    return _of_explanation(record)


def _of_report(report: Report) -> Screen:
    verdicts = tuple(answer_lines(report))
    return Screen(tuple(tables(report, base_names=True)), (), report.warnings, verdicts, words_of(report))


def _of_ranking(ranking: Ranking) -> Screen:
    found = tuple(_order_table(ranking, order) for order in ranking.every_order)
    agreement = (f"{one} and {two}: rank correlation {tau:.2f} (Kendall)" for one, two, tau in ranking.agreement)
    verdicts = (*verdict_lines(ranking.verdicts), *joint_lines(ranking))
    return Screen(found, (*ranking_notes(ranking), *agreement), ranking.warnings, verdicts, words_of(ranking))


def _order_table(ranking: Ranking, order: Order) -> Table:
    headings, *rows = order_rows(ranking, order)
    title = f"Reference: {ranking.reference} ({ranking.n_reference:,} pictures)   {ranking.order_title(order)}"
    spans = [
        None if place.interval is None else Span(order.backbone, place.interval[0], place.score, place.interval[1])
        for place in order.places
    ]
    return Table(title, headings, rows, (1, 5), "", spans)


def _of_plan(plan: Plan) -> Screen:
    found = tuple(_need_table(need) for need in plan.needs)
    remarks = [f"{need.about}: {need.remark}" for need in plan.needs if need.remark]
    return Screen(found, tuple(plan_notes(plan)), tuple(dict.fromkeys([*remarks, *plan.warnings])), (), words_of(plan))


def _need_table(need: Need) -> Table:
    headings, *rows = size_rows(need)
    return Table(plan_title(need), headings, rows, (1,), "")


def _of_contrast(contrast: Contrast) -> Screen:
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


def _of_explanation(explanation: Explanation) -> Screen:
    names = explanation.short_names
    sides = f"Reference: {names[0]}   Generated: {names[1]}"
    found: list[Table] = []
    for section in explanation.sections:
        estimate = section.squared_mmd
        interval = interval_text(estimate.interval, estimate.standard_error)
        known = "" if interval == "-" else f" (95 % interval {interval})"
        value = number_text(estimate.value, estimate.standard_error)
        lead = f"{sides}   Backbone: {section.backbone}   squared MMD {value}{known}"
        for entries, title in section_lists(section):
            headings, *rows = entry_rows(entries)
            found.append(Table("\n\n".join(filter(None, (lead, title))), headings, rows, (1, 4), ""))
            lead = ""
        if section.modes is not None:
            headings, *rows = mode_rows(section.modes)
            found.append(Table(modes_title(section.modes), headings, rows, (1, 5), ""))
    return Screen(tuple(found), (legend(explanation),), explanation.warnings, (), words_of(explanation))
