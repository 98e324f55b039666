"""The difference of two generated sets on paper: the listed pictures, and the difference drawn with its interval."""

from typing import TYPE_CHECKING

from .panel import Dots, Point
from .pictures import entry_rows, picture_table
from .rows import Row
from .table import PaperTable

if TYPE_CHECKING:
    from ..contrast import Contrast, ContrastSection
    from ..section import Entry

COLUMNS: tuple[str, ...] = (
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


def tables(contrast: "Contrast") -> list[PaperTable]:
    """A table for each backbone."""
    return [_table(contrast, section) for section in contrast.sections]


def _table(contrast: "Contrast", section: "ContrastSection") -> PaperTable:
    caption = (
        f"Pictures behind the difference of {contrast.first} and {contrast.second} to {contrast.reference}: "
        f"{section.backbone}, {section.values_text}."
    )
    _, first, second = contrast.short_names
    lists = lists_of(section, *((first, second) if first != second else ("the first", "the second")))
    about = ("explain", section.backbone, contrast.reference, contrast.first, contrast.second)
    return picture_table(caption, lists, _NOTE, about)


def panels(contrast: "Contrast") -> list[Dots]:
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
