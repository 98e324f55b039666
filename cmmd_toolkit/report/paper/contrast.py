"""The difference of two generated sets on paper: the listed pictures, and the difference drawn with its interval."""

from typing import TYPE_CHECKING

from .panel import Dots, Point
from .pictures import entry_rows, picture_cells
from .rows import Row
from .table import Heading, PaperTable

if TYPE_CHECKING:
    from ..contrast import Contrast, ContrastSection
    from ..section import Entry

COLUMNS = (
    *("reference", "first", "second", "backbone", "list", "place", "picture", "row", "witness", "change", "nearest"),
    "distance",
)
_LISTS = {
    "first_worst": "keeps {first} away",
    "second_worst": "keeps {second} away",
    "nearer_to_first": "nearer to {first}",
    "nearer_to_second": "nearer to {second}",
}
_NOTE = (
    "Keeps away: pictures of that generated set without which it would be closer to the reference. Nearer: reference "
    "pictures where that set is denser than the other. Change: of the difference of squared MMD without this picture."
)


def lists_of(section: "ContrastSection", first: str, second: str) -> dict[str, tuple["Entry", ...]]:
    """The lists by their names in words; `first` and `second` say which set is meant."""
    return {words.format(first=first, second=second): getattr(section, name) for name, words in _LISTS.items()}


def tidy_rows(contrast: "Contrast") -> list[Row]:
    """One row for each listed picture; `row` is its place in its set, from 0."""
    sides = {"reference": contrast.reference, "first": contrast.first, "second": contrast.second}
    return [
        row
        for section in contrast.sections
        for row in entry_rows({**sides, "backbone": section.backbone}, lists_of(section, "the first", "the second"))
    ]


def tables_of(contrast: "Contrast", section: "ContrastSection") -> list[PaperTable]:
    """The table of one backbone."""
    from ..contrast import section_title

    title = section_title(section).removeprefix("Backbone: ").replace("   ", ", ")
    caption = (
        f"Pictures behind the difference of {contrast.first} and {contrast.second} to {contrast.reference}: {title}."
    )
    headings = [Heading(name, is_name=True) for name in ("List", "Picture")]
    headings += [Heading("Witness"), Heading("Change"), Heading("Nearest", is_name=True), Heading("Distance")]
    _, first, second = contrast.short_names
    lists = lists_of(section, *((first, second) if first != second else ("the first", "the second")))
    rows = [picture_cells(name, own) for name, entries in lists.items() for own in entries]
    about = ("explain", section.backbone, contrast.reference, contrast.first, contrast.second)
    return [PaperTable(caption, tuple(headings), tuple(rows), (_NOTE,), about)]


def panels_of(contrast: "Contrast") -> list[Dots]:
    """The distances of both sets under each backbone, with their intervals."""
    return [
        Dots(
            section.backbone,
            "squared MMD ↓, 95 % intervals",
            (
                Point(contrast.first, section.first.value, section.first.interval, series=0),
                Point(contrast.second, section.second.value, section.second.interval, series=1),
            ),
        )
        for section in contrast.sections
    ]
