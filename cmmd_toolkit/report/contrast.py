"""The difference of two generated sets, and its plain text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..common.files import path_of
from ..common.labels import short_labels
from ..common.text import align, in_lines, interval_text, number_text, p_phrase
from ..estimation.estimate import Estimate
from .document import NOT_SAVED
from .exhibit import NOT_ASKED, Difference, Exhibit, Listed
from .explanation import IN_A_FILE, entry_rows
from .paper import contrast as listed
from .paper.record import Paper, PaperRecord
from .section import Entry, Pictures
from .sound import check_sets

if TYPE_CHECKING:
    pass

LEGEND = (
    "Witness of a generated picture: mean similarity (kernel) to the reference minus that to its own set; of a "
    "reference picture: to the first set minus to the second.\nChange: of the difference, if this one picture were "
    "removed. Nearest: a generated picture's in the reference, a reference picture's in the set that is denser there."
)
_PLACES = ((1, 0), (2, 0), (0, 1), (0, 2))  # of the lists: whose pictures, and whose stand beside them


@dataclass(frozen=True)
class ContrastSection:
    """What one backbone sees.

    Attributes:
        first, second: the squared MMD of each generated set to the reference, unbiased, by one kernel.
        difference: the first minus the second; below zero the first is closer.
        standard_error, interval, p_value: of the difference (relative test), None where there is none.
        first_worst, second_worst: pictures of each generated set whose removal would bring it closest to the reference.
        nearer_to_first, nearer_to_second: reference pictures where that set is denser than the other.
    """

    backbone: str
    first: Estimate
    second: Estimate
    difference: float
    standard_error: float | None
    interval: tuple[float, float] | None
    p_value: float | None
    first_worst: tuple[Entry, ...]
    second_worst: tuple[Entry, ...]
    nearer_to_first: tuple[Entry, ...]
    nearer_to_second: tuple[Entry, ...]

    @property
    def values_text(self) -> str:
        """Both distances and their difference, as they are printed."""
        values = (number_text(own.value, own.standard_error) for own in (self.first, self.second))
        known = ""
        if self.interval is not None and self.p_value is not None:
            ends = interval_text(self.interval, self.standard_error)
            known = f" (95 % interval {ends}; {p_phrase(self.p_value)})"
        difference = number_text(self.difference, self.standard_error, sign="+")
        return f"squared MMD {' and '.join(values)}, difference {difference}{known}"


@dataclass(frozen=True)
class Contrast(PaperRecord):
    """What `contrast` returns.

    Attributes:
        reference, first, second: the names of the sets.
        sections: one for each backbone.
        warnings, sets, provenance: as in `Report`.
        pictures: how the listed pictures of each set are read again, or why they cannot be; not in the JSON form.
        exhibit: as in `Explanation`.
    """

    kind: ClassVar[str] = "contrast"
    schema_version: ClassVar[int] = 1
    paper: ClassVar[Paper] = listed

    reference: str
    first: str
    second: str
    sections: tuple[ContrastSection, ...]
    warnings: tuple[str, ...]
    sets: tuple[Mapping[str, Any], ...]
    provenance: Mapping[str, Any] = field(compare=False)
    pictures: tuple[Pictures, Pictures, Pictures] = field(
        default=(IN_A_FILE, IN_A_FILE, IN_A_FILE), repr=False, compare=False, metadata=NOT_SAVED
    )
    exhibit: Exhibit | str = field(default=NOT_ASKED, repr=False, compare=False, metadata=NOT_SAVED)

    @property
    def short_names(self) -> tuple[str, str, str]:
        """Of the reference, the first and the second set, as `short_labels` makes them."""
        short = short_labels((self.reference, self.first, self.second))
        return short[self.reference], short[self.first], short[self.second]

    def save_sheet(self, path: str | Path) -> None:
        """Write the listed pictures as a contact sheet, a PNG; as `Explanation.save_sheet`."""
        from .sheet import contrast_blocks, save_blocks

        save_blocks(self.pictures, lambda: contrast_blocks(self), path_of(path))

    def check(self) -> None:
        """See `Document.check`."""
        check_sets(self.sets)

    def __str__(self) -> str:
        lines = [f"Reference: {self.reference}   First: {self.first}   Second: {self.second}"]
        for section in self.sections:
            lines += ["", section_title(section)]
            for entries, title in contrast_lists(section, self.short_names):
                lines += ["", title, *align(entry_rows(entries), left=(1, 4))]
        return in_lines([*lines, "", *LEGEND.split("\n"), *self.remarks()])


def differences_of(sections: Sequence[ContrastSection], names: tuple[str, str, str]) -> tuple[Difference, ...]:
    """What a page shows: the lists of each backbone beside their nearest pictures."""
    return tuple(
        Difference(
            own.backbone,
            f"{own.values_text}.",
            tuple(
                Listed(title, *places, tuple(entries))
                for places, (entries, title) in zip(_PLACES, contrast_lists(own, names), strict=True)
            ),
        )
        for own in sections
    )


def answer(section: ContrastSection, names: tuple[str, str, str]) -> str:
    """Which of the two is closer on a backbone, in a sentence; `names` are of the reference and both generated sets."""
    reference, first, second = names
    if section.interval is None:
        return f"{first} and {second} against {reference} on {section.backbone}."
    if section.interval[0] <= 0 <= section.interval[1]:
        return f"{first} and {second} cannot be told apart by their distance to {reference} on {section.backbone}."
    closer, farther = (first, second) if section.difference < 0 else (second, first)
    return f"{closer} is closer to {reference} than {farther} on {section.backbone}."


def section_title(section: ContrastSection) -> str:
    """The backbone, both distances and their difference."""
    return f"Backbone: {section.backbone}   {section.values_text}"


def contrast_lists(section: ContrastSection, names: tuple[str, str, str]) -> list[tuple[Sequence[Entry], str]]:
    """The four lists and what each is; `names` are of the reference and both generated sets."""
    reference, first, second = names
    return [
        (section.first_worst, f"Pictures that keep {first} away from {reference}: without them it would be closer"),
        (section.second_worst, f"Pictures that keep {second} away from {reference}: without them it would be closer"),
        (section.nearer_to_first, f"Pictures of {reference} that {first} covers more than {second}"),
        (section.nearer_to_second, f"Pictures of {reference} that {second} covers more than {first}"),
    ]
