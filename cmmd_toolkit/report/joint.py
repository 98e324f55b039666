"""The joint test of a generated set in words: whether it differs, which backbones show it, and at what width."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..common.text import number_text, p_phrase, p_text
from ..inference.joint import JointFinding, JointTest
from .paper.rows import Row, Value
from .paper.table import Heading, PaperTable, name_cell, number_cell
from .sound import require
from .verdict import joined

ALPHA = 0.05
EVERY = "all together"
HEADINGS = ("Generated", "Backbone", "p-value", "Clearest at", "Generated pictures there", "Ref. n", "Gen. n")
NAMES = (0, 1, 3, 4)  # columns that hold words
TITLE = "Joint test: do the sets differ at all?"
_WIDTHS = {2.0: "twice the median", 1.0: "the median", 0.5: "half the median", 0.25: "a quarter of the median"}
_NO_ERROR = "it is the result of a test"


@dataclass(frozen=True)
class JointAnswer:
    """What the joint test says of one generated set.

    Attributes:
        reference, generated: the sets.
        p_adjusted: the p-value, corrected for the number of generated sets (Holm).
        text: the answer in sentences.
        test: its p-values of backbones and findings are also corrected for that number (Bonferroni); its own p-value
            is not.
    """

    reference: str
    generated: str
    p_adjusted: float
    text: str
    test: JointTest


def check_answers(answers: Sequence[JointAnswer]) -> None:
    """Raise ValueError unless every backbone of every answer has findings, from which its rows are made."""
    for own in answers:
        backbones = own.test.p_by_backbone
        require(bool(backbones), "joint.test.p_by_backbone", "one backbone or more")
        found = {finding.backbone for finding in own.test.findings}
        require(found == set(backbones), "joint.test.findings", f"some of each of {', '.join(backbones)} and no other")


def answer_text(reference: str, generated: str, test: JointTest, p_adjusted: float) -> str:
    """The answer in sentences; names are as they are printed."""
    if p_adjusted >= ALPHA:
        where = joined(list(test.p_by_backbone))
        return f"No difference between {generated} and {reference} is shown on {where} ({p_phrase(p_adjusted)})."
    sentences = [f"{generated} differs from {reference} ({p_phrase(p_adjusted)})."]
    blind = []
    for backbone, p_value in test.p_by_backbone.items():
        if p_value < ALPHA:
            sentences.append(_seen(test, backbone, p_value))
        else:
            blind.append(f"{backbone} ({p_phrase(p_value)})")
    return " ".join([*sentences, *([f"Not shown on {joined(blind)}."] if blind else [])])


def _seen(test: JointTest, backbone: str, p_value: float) -> str:
    """Where a backbone sees it, and what is not seen at wide kernels."""
    strongest = test.strongest(backbone)
    lead = f"Seen on {backbone} ({p_phrase(p_value)}), most clearly at {width_text(strongest)} distance"
    side = _side(strongest)
    there = f", where generated pictures lie {side} than those of the reference" if side else ""
    wide = [own for own in test.findings if own.backbone == backbone and own.width >= 1]
    only_near = (
        "; nothing is shown at the median distance and wider" if min(own.p_value for own in wide) >= ALPHA else ""
    )
    return f"{lead}{there}{only_near}."


def width_text(finding: JointFinding) -> str:
    """The width of a kernel in words."""
    return _WIDTHS.get(finding.width, f"{number_text(finding.width, significant=2)} of the median")


def _side(finding: JointFinding) -> str:
    """How generated pictures lie at this width, "" where that is not shown."""
    if finding.p_contrast >= ALPHA:
        return ""
    return "closer together" if finding.contrast > 0 else "farther apart"


def joint_lines(answers: Sequence[JointAnswer]) -> list[str]:
    """The answers under a heading that says what they rest on."""
    if not answers:
        return []
    several = ", p corrected for the number of sets" if len(answers) > 1 else ""
    return ["", f"Joint test at {ALPHA:g}{several}:", *(own.text for own in answers)]


def joint_rows(answers: Sequence[JointAnswer], short: Mapping[str, str]) -> list[tuple[str, ...]]:
    """A row for each set and backbone, and one for all backbones where they are several; see HEADINGS."""
    rows: list[tuple[str, ...]] = []
    for own in answers:
        counts = f"{own.test.n_reference:,}", f"{own.test.n_generated:,}"
        name = short.get(own.generated, own.generated)
        if len(own.test.p_by_backbone) > 1:
            rows.append((name, EVERY, p_text(own.p_adjusted), "-", "-", *counts))
        for backbone, p_value in own.test.p_by_backbone.items():
            shown = p_value if len(own.test.p_by_backbone) > 1 else own.p_adjusted
            strongest = own.test.strongest(backbone)
            where = (width_text(strongest), _side(strongest) or "-") if shown < ALPHA else ("-", "-")
            rows.append((name, backbone, p_text(shown), *where, *counts))
    return rows


def joint_note(answers: Sequence[JointAnswer]) -> str:
    """How the table is read."""
    count = f"{answers[0].test.permutations:,} random permutations of the pictures"
    sentences = [f"p-value: exact, by {count}; small says that the sets differ, large that no difference was shown."]
    sets = " and for the number of sets" if len(answers) > 1 else ""
    sentences += [f"The p-value of a backbone is corrected for all backbones and widths of kernel{sets}."]
    return " ".join([*sentences, "Median: the median distance between two pictures."])


def joint_table(answers: Sequence[JointAnswer], short: Mapping[str, str]) -> PaperTable:
    """The same for a paper."""
    headings = tuple(Heading(text, is_name=i in NAMES) for i, text in enumerate(HEADINGS))
    rows = tuple(
        tuple(name_cell(cell) if i in NAMES else number_cell(cell) for i, cell in enumerate(row))
        for row in joint_rows(answers, short)
    )
    about = ("joint", *(own.generated for own in answers), *answers[0].test.p_by_backbone)
    return PaperTable(TITLE, headings, rows, (joint_note(answers),), about)


def joint_tidy_rows(answers: Sequence[JointAnswer], columns: Sequence[str]) -> list[Row]:
    """One row a set and backbone, and one for all backbones, by the columns of scores."""
    rows: list[Row] = []
    for own in answers:
        p_values = {EVERY: own.p_adjusted, **own.test.p_by_backbone}
        for backbone, p_value in p_values.items():
            known: dict[str, Value] = {
                "reference": own.reference,
                "generated": own.generated,
                "backbone": backbone,
                "metric": "joint",
                "value": p_value,
                "n_reference": own.test.n_reference,
                "n_generated": own.test.n_generated,
                "no_error_reason": _NO_ERROR,
            }
            rows.append({name: known.get(name) for name in columns})
    return rows
