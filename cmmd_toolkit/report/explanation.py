"""An explanation as plain text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..common.text import align, fixed_text, interval_text, number_text
from .sheet import printable

if TYPE_CHECKING:
    from ..commands.explain import Entry, Explanation, Section

_LEGEND = (
    "Witness: mean similarity (kernel) to the reference less that to the generated pictures, the picture itself left "
    "out.\nChange: of squared MMD, if this one picture were removed. Nearest: on the other side, with its distance."
)


def explanation_text(explanation: "Explanation") -> str:
    """The lists of every backbone, a legend and the warnings."""
    lines = [f"Reference: {explanation.reference}   Generated: {explanation.generated}"]
    for section in explanation.sections:
        lines += ["", *_section_lines(section)]
    lines += ["", _LEGEND, *(f"warning: {warning}" for warning in explanation.warnings)]
    return "\n".join(lines) + "\n"


def _section_lines(section: "Section") -> list[str]:
    estimate = section.squared_mmd
    interval = interval_text(estimate.interval, estimate.standard_error)
    value = number_text(estimate.value, estimate.standard_error)
    known = "" if interval == "-" else f" (95 % interval {interval})"
    return [
        f"Backbone: {section.backbone}   squared MMD {value}{known}, "
        f"bandwidth {number_text(estimate.parameters['bandwidth'])}",
        "",
        f"Most alien of {estimate.n_generated:,} generated pictures: far from the reference, crowded by generated ones",
        *_entry_lines(section.alien),
        "",
        f"Least covered of {estimate.n_reference:,} reference pictures: where generated ones are rare",
        *_entry_lines(section.uncovered),
        "",
        "Strays: generated pictures farthest from every reference picture; a few of them hardly move squared MMD",
        *_entry_lines(section.strays),
    ]


def _entry_lines(entries: "Sequence[Entry]") -> list[str]:
    rows = [("", "Picture", "Witness", "Change", "Nearest", "Distance")]
    for place, entry in enumerate(entries, 1):
        change = "-" if entry.change is None else number_text(entry.change, significant=2, sign="+")
        nearest, distance = printable(entry.nearest), number_text(entry.distance, significant=3)
        rows.append((str(place), printable(entry.name), fixed_text(entry.witness, 4, "+"), change, nearest, distance))
    return align(rows, left=(1, 4))
