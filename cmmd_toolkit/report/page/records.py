"""What the page of each record says, in order."""

from collections.abc import Sequence
from functools import singledispatch

from ...common.labels import short_labels
from ...common.progress import ShowProgress
from ...common.text import interval_text, p_text
from ..contrast import Contrast, answer as closer_of, differences_of
from ..document import Document
from ..exhibit import Exhibit
from ..explanation import Explanation
from ..modes import MODES_LEGEND, mode_rows, modes_title
from ..order import Order
from ..paper.pictures import lists_of
from ..plan import Need, Plan, answer, plan_notes, plan_title, size_rows
from ..ranking import Ranking, order_rows
from ..report import Report
from ..section import Entry
from ..tables import Table, tables
from ..verdict import Verdict, joined
from ..warning_kinds import words_of
from ..watching import HEADINGS, LEFT, Watching, notes
from .facts import provenance_part, sets_part, warnings_part
from .part import Page, Part
from .pictures import picture_parts
from .scores import class_parts, look_chart, order_chart, score_charts
from .sizes import need_chart

MOST_NAMED = 3  # sets in a title


@singledispatch
def page_of(document: Document, progress: ShowProgress | None) -> Page:
    """The page of a record; pictures are read meanwhile."""
    raise NotImplementedError(type(document).__name__)


@page_of.register
def _(report: Report, progress: ShowProgress | None) -> Page:
    names = [name for result in report.results for name in (result.reference, result.generated)]
    short = short_labels(names)
    generated = dict.fromkeys(short[result.generated] for result in report.results)
    every = list(tables(report))
    whole, classes = ([own for own in every if ("Class" in own.headings) == wanted] for wanted in (False, True))
    parts = [
        Part("scores", "Scores", "tables", whole),
        Part("chart", "Values and 95 % intervals", "charts", score_charts(report.results, short)),
        *picture_parts(report.exhibit, progress),
        *class_parts(report, short, classes),
    ]
    named = joined(list(generated)) if len(generated) <= MOST_NAMED else f"{len(generated)} sets"
    title = f"{named} against {short[report.results[0].reference]}"
    lead, how = _lead(report.verdicts)
    lead = [*(lead if report.verdicts or not report.joint else ()), *(own.text for own in report.joint)]
    return Page(title, lead, how, [*parts, *_facts(report)])


@page_of.register
def _(ranking: Ranking, progress: ShowProgress | None) -> Page:
    places = _places(ranking)
    charts = [order_chart(ranking, order, places) for order in ranking.every_order]
    parts = [
        Part("order", "Order", "tables", [_order_table(ranking, order) for order in ranking.every_order]),
        Part("chart", "Values and 95 % intervals", "charts", charts),
        Part("tests", "Tests of all pairs", "tables", [_pair_table(ranking, order) for order in ranking.every_order]),
        *_agreement_parts(ranking),
        *picture_parts(ranking.exhibit, progress),
    ]
    count = len(ranking.orders[0].places)
    title = f"{count} sets in order of their distance to {ranking.reference}"
    lead, how = _lead(ranking.verdicts)
    joint = () if ranking.joint is None else ranking.joint.texts
    return Page(title, [*lead, *joint], how, [*parts, *_facts(ranking)])


@page_of.register
def _(explanation: Explanation, progress: ShowProgress | None) -> Page:
    reference, generated = explanation.short_names
    lead = [
        f"On {section.backbone} the squared MMD of {generated} to {reference} is {section.value_text}."
        for section in explanation.sections
    ]
    lists = [
        (f"{section.backbone}: {name}", entries)
        for section in explanation.sections
        for name, entries in lists_of(section).items()
    ]
    parts = [*_shown(explanation.exhibit, lists, progress), *_mode_parts(explanation)]
    title = f"How {generated} differs from {reference}"
    return Page(title, lead, "Zero means no difference; larger means farther.", [*parts, *_facts(explanation)])


@page_of.register
def _(contrast: Contrast, progress: ShowProgress | None) -> Page:
    names = contrast.short_names
    found = differences_of(contrast.sections, names)
    lists = [(f"{own.backbone}: {listed.title}", listed.entries) for own in found for listed in own.lists]
    parts = _shown(contrast.exhibit, lists, progress)
    lead = [
        f"{closer_of(section, names)} {own.note[0].upper()}{own.note[1:]}"
        for section, own in zip(contrast.sections, found, strict=True)
    ]
    note = f"Difference: {names[1]} minus {names[2]}; below zero {names[1]} is closer."
    title = f"How {names[1]} and {names[2]} differ"
    return Page(title, lead, note, [*parts, *_facts(contrast)])


@page_of.register
def _(plan: Plan, progress: ShowProgress | None) -> Page:
    parts = [Part("sizes", "Sizes", "tables", [_need_table(need) for need in plan.needs])]
    if charts := [own for need in plan.needs if (own := need_chart(need)) is not None]:
        parts.append(Part("chart", "Pictures for each difference", "sizes", charts))
    lead = [answer(need) for need in plan.needs]
    return Page("Pictures needed", lead, " ".join(plan_notes(plan)), [*parts, *_facts(plan)])


@page_of.register
def _(watching: Watching, progress: ShowProgress | None) -> Page:
    rows = [list(row) for row in watching.table_rows()]
    table = Table("", HEADINGS, rows, LEFT, "\n".join(notes(watching)))
    charts = [look_chart(watching, k) for k in range(len(watching.backbones))]
    parts = [
        Part("looks", "Looks", "tables", [table]),
        Part("chart", "Values and 95 % intervals", "charts", charts),
        warnings_part(watching.warnings, words_of(watching)),
        provenance_part(watching.provenance),
    ]
    looks = "1 look" if len(watching.looks) == 1 else f"{len(watching.looks)} looks"
    return Page(f"{looks} at a run against {watching.reference}", watching.verdicts(), "", parts)


def _facts(document: Report | Ranking | Explanation | Contrast | Plan) -> list[Part]:
    warnings = warnings_part(document.warnings, words_of(document))
    return [warnings, sets_part(document.sets), provenance_part(document.provenance)]


def _lead(verdicts: Sequence[Verdict]) -> tuple[list[str], str]:
    """The sentences, and what they rest on."""
    if not verdicts:
        return ["No verdict: neither a squared MMD nor a Frechet distance was computed."], ""
    metrics = joined(list(dict.fromkeys(own.metric for own in verdicts)))
    tested = any(own.pairs for own in verdicts)
    how = f" and tests of all pairs at {verdicts[0].alpha:.3g}, p corrected for their number (Holm)" if tested else ""
    return [own.text for own in verdicts], f"By {metrics}{how}."


def _places(ranking: Ranking) -> dict[str, int]:
    """The sets from 1, in the order given where that is known: their colours on the whole page."""
    names = [place.generated for place in ranking.orders[0].places]
    given = [] if isinstance(ranking.exhibit, str) else [own.short for own in ranking.exhibit.sets[1:]]
    return {name: place for place, name in enumerate(dict.fromkeys([*given, *names]), 1)}


def _order_table(ranking: Ranking, order: Order) -> Table:
    rows = [row[:6] for row in order_rows(ranking, order)[1:]]
    caption = (
        "Lower is closer to the reference. Sets that share a letter cannot be told apart at "
        f"{100 * ranking.alpha:.3g} %."
    )
    if ranking.is_average(order):
        caption = f"{caption} {ranking.joint_notes()[0]}"
    headings = ("Place", "Generated", ranking.score_name(order), "95 % interval", "Gen. n", "Group")
    return Table(_order_name(ranking, order), headings, rows, (1, 5), caption)


def _order_name(ranking: Ranking, order: Order) -> str:
    return ranking.order_title(order) if ranking.is_average(order) else order.backbone


def _pair_table(ranking: Ranking, order: Order) -> Table:
    average, rows = ranking.is_average(order), []
    for pair in order.pairs:
        test = ranking.every_test(order, pair)
        every = [] if test is None else [p_text(test.p_adjusted)]
        reading = f"{pair.better} is closer" if pair.p_adjusted < ranking.alpha else "cannot be told apart"
        interval = interval_text(pair.interval, pair.standard_error)
        rows.append([pair.better, pair.worse, interval, p_text(pair.p_adjusted), *every, reading])
    by = "by the largest of their statistics" if average else "(Holm)"
    paired = " The sets are paired by picture." if ranking.paired else ""
    caption = (
        "Difference: distance of the first minus that of the second, 95 % interval; the first is the one that scored "
        f"lower here. p is two-sided, corrected for all pairs {by}; the intervals are not corrected. Reading: at "
        f"{100 * ranking.alpha:.3g} %.{paired}"
    )
    if average:
        caption = f"{caption} p, every: that the first is closer on every backbone, the largest of their p-values."
    headings = ("First", "Second", "Difference (95 %)", "p", *(("p, every",) if average else ()), "Reading")
    return Table(_order_name(ranking, order), headings, rows, (0, 1, len(headings) - 1), caption)


def _agreement_parts(ranking: Ranking) -> list[Part]:
    if not ranking.agreement:
        return []
    rows = [[one, two, f"{tau:.2f}"] for one, two, tau in ranking.agreement]
    table = Table(
        "", ("Backbone", "and", "Rank correlation"), rows, (0, 1), "Kendall's, -1 to 1: whether they order alike."
    )
    return [Part("agreement", "Do the backbones agree?", "tables", [table])]


def _mode_parts(explanation: Explanation) -> list[Part]:
    """The shares of the kinds of every backbone."""
    found = []
    for section in explanation.sections:
        if section.modes is not None:
            headings, *rows = mode_rows(section.modes)
            caption = f"{modes_title(section.modes)}. {MODES_LEGEND}"
            found.append(Table(section.backbone, headings, rows, (1, 5), caption))
    return [Part("shares", "Shares of the kinds", "tables", found)] if found else []


def _shown(
    exhibit: Exhibit | str, lists: Sequence[tuple[str, Sequence[Entry]]], progress: ShowProgress | None
) -> list[Part]:
    """The pictures of an exhibit, or the lists in words and why there is none."""
    parts = [] if isinstance(exhibit, str) else picture_parts(exhibit, progress)
    return parts or [Part("lists", "Pictures", "tables", _entry_tables(lists)), *picture_parts(exhibit, None)]


def _entry_tables(lists: Sequence[tuple[str, Sequence[Entry]]]) -> list[Table]:
    """The lists as names, where no pictures are at hand."""
    headings = ("Picture", "Witness", "Nearest", "Distance")
    return [
        Table(title, headings, [[own.name, own.texts[0], own.nearest, own.texts[2]] for own in entries], (0, 2), "")
        for title, entries in lists
    ]


def _need_table(need: Need) -> Table:
    (_, _, *columns), *rows = size_rows(need)
    headings = ("Difference", "What it is", *columns)
    return Table(plan_title(need), headings, rows, tuple(range(1, len(headings))), need.remark)
