"""An explanation on paper: the listed pictures, and their witness values drawn."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .panel import Dots, Point
from .rows import Row
from .table import Cell, Heading, PaperTable, name_cell, number_cell

if TYPE_CHECKING:
    from ..explanation import Explanation
    from ..section import Entry, Section

COLUMNS: tuple[str, ...] = (
    *("reference", "generated", "backbone", "list", "place", "picture", "row", "witness", "change", "nearest"),
    "distance",
)
_LISTS = {"alien": "over-represented", "uncovered": "under-represented", "strays": "strays"}
_DRAWN = 8  # pictures of a list
_NOTE = (
    "Over-represented and strays: generated pictures, crowded and far from the reference, and farthest from every "
    "reference picture; under-represented: reference pictures where generated ones are rare. Witness: mean similarity "
    "to the reference minus that to the generated pictures. Change: of squared MMD without this picture. Distance: to "
    "the nearest picture of the other side."
)


def lists_of(section: "Section") -> dict[str, tuple["Entry", ...]]:
    """The lists by their names in words."""
    return {words: getattr(section, name) for name, words in _LISTS.items()}


def tidy_rows(explanation: "Explanation") -> list[Row]:
    """One row for each listed picture; `row` is its place in its set, from 0."""
    sides = {"reference": explanation.reference, "generated": explanation.generated}
    return [
        row
        for section in explanation.sections
        for row in entry_rows({**sides, "backbone": section.backbone}, lists_of(section))
    ]


def entry_rows(start: Row, lists: Mapping[str, Sequence["Entry"]]) -> list[Row]:
    """One row for each picture of the lists, `start` first."""
    return [
        {
            **start,
            "list": name,
            "place": place,
            "picture": entry.name,
            "row": entry.row,
            "witness": entry.witness,
            "change": entry.change,
            "nearest": entry.nearest,
            "distance": entry.distance,
        }
        for name, entries in lists.items()
        for place, entry in enumerate(entries, 1)
    ]


def tables(explanation: "Explanation") -> list[PaperTable]:
    """A table for each backbone."""
    return [_table(explanation, section) for section in explanation.sections]


def _table(explanation: "Explanation", section: "Section") -> PaperTable:
    caption = (
        f"Pictures that make the squared MMD of {explanation.generated} to {explanation.reference} on "
        f"{section.backbone}, {section.value_text}."
    )
    about = ("explain", section.backbone, explanation.reference, explanation.generated)
    return picture_table(caption, lists_of(section), _NOTE, about)


def picture_table(
    caption: str, lists: Mapping[str, Sequence["Entry"]], note: str, about: tuple[str, ...]
) -> PaperTable:
    """The pictures of some lists."""
    headings = [Heading(name, is_name=True) for name in ("List", "Picture")]
    headings += [Heading("Witness"), Heading("Change"), Heading("Nearest", is_name=True), Heading("Distance")]
    rows = tuple(_cells(name, entry) for name, entries in lists.items() for entry in entries)
    return PaperTable(caption, tuple(headings), rows, (note,), about)


def _cells(name: str, entry: "Entry") -> tuple[Cell, ...]:
    witness, change, distance = map(number_cell, entry.texts)
    return name_cell(name), name_cell(entry.name), witness, change, name_cell(entry.nearest), distance


def panels(explanation: "Explanation") -> list[Dots]:
    """A panel for each backbone: the first of each list, generated ones filled, reference ones open."""
    return [_panel(section) for section in explanation.sections]


def _panel(section: "Section") -> Dots:
    over = [Point(entry.name, entry.witness, series=0) for entry in section.alien[:_DRAWN]]
    named = {entry.name for entry in section.alien[:_DRAWN]}
    strays = [
        Point(entry.name, entry.witness, series=2) for entry in section.strays[:_DRAWN] if entry.name not in named
    ]
    under = [Point(entry.name, entry.witness, is_open=True, series=1) for entry in section.uncovered[:_DRAWN]]
    axis = "witness (● over-represented, ▲ strays, □ reference)"
    return Dots(section.backbone, axis, (*over, *strays, *reversed(under)))
