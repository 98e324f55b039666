"""An explanation, and its plain text."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from ..common.files import path_of
from ..common.labels import short_labels
from ..common.text import align, in_lines, number_text
from .document import NOT_SAVED
from .exhibit import NOT_ASKED, Exhibit
from .modes import MODES_LEGEND, mode_rows, modes_title
from .paper import pictures as listed
from .paper.record import Paper, PaperRecord
from .section import Entry, Pictures, Section
from .sound import check_sets, require

LEGEND = (
    "Witness: mean similarity (kernel) to the reference minus that to the generated pictures, the picture itself left "
    "out.\nChange: of squared MMD, if this one picture were removed. Nearest: on the other side, with its distance."
)
IN_A_FILE = "a saved explanation holds no pictures; explain the sets again to see them"


@dataclass(frozen=True)
class Explanation(PaperRecord):
    """What `explain` returns.

    Attributes:
        reference, generated: the names of the sets.
        sections: one for each backbone.
        warnings, sets, provenance: as in `Report`.
        pictures: how the listed pictures of either set are read again, or why they cannot be; not in the JSON form.
        exhibit: what `save_html` shows besides, or why it has nothing; not in the JSON form.
    """

    kind: ClassVar[str] = "explanation"
    schema_version: ClassVar[int] = 1
    paper: ClassVar[Paper] = listed

    reference: str
    generated: str
    sections: tuple[Section, ...]
    warnings: tuple[str, ...]
    sets: tuple[Mapping[str, Any], ...]
    provenance: Mapping[str, Any] = field(compare=False)
    pictures: tuple[Pictures, Pictures] = field(
        default=(IN_A_FILE, IN_A_FILE), repr=False, compare=False, metadata=NOT_SAVED
    )
    exhibit: Exhibit | str = field(default=NOT_ASKED, repr=False, compare=False, metadata=NOT_SAVED)

    @property
    def short_names(self) -> tuple[str, str]:
        """Of the reference and the generated set, as `short_labels` makes them."""
        short = short_labels((self.reference, self.generated))
        return short[self.reference], short[self.generated]

    def save_sheet(self, path: str | Path) -> None:
        """Write the listed pictures as a contact sheet, a PNG, atomically; each is read again from its set.

        A set that holds no pictures leaves its title and the reason on the sheet.

        Raises:
            ArgumentError: the name does not end in .png.
            InputError: neither set holds pictures, or one has changed meanwhile.
        """
        from .sheet import explanation_blocks, save_blocks

        save_blocks(self.pictures, lambda: explanation_blocks(self), path_of(path))

    def check(self) -> None:
        """See `Document.check`."""
        check_sets(self.sets)
        for section in self.sections:
            estimate = section.squared_mmd
            width = estimate.parameters.get("bandwidth")
            is_width = isinstance(width, float) and math.isfinite(width)
            require(is_width, "squared_mmd.parameters.bandwidth", "a finite number")
            require(None not in (estimate.n_reference, estimate.n_generated), "squared_mmd", "both numbers of pictures")

    def __str__(self) -> str:
        lines = [f"Reference: {self.reference}   Generated: {self.generated}"]
        for section in self.sections:
            lines += ["", *_section_lines(section)]
        return in_lines([*lines, "", *legend(self).split("\n"), *self.remarks()])


def legend(explanation: "Explanation") -> str:
    """How the lists are read, and the modes where there are any."""
    return f"{LEGEND}\n{MODES_LEGEND}" if any(own.modes is not None for own in explanation.sections) else LEGEND


def _section_lines(section: "Section") -> list[str]:
    bandwidth = number_text(section.squared_mmd.parameters["bandwidth"])
    lines = [f"Backbone: {section.backbone}   squared MMD {section.value_text}, bandwidth {bandwidth}"]
    for entries, title in section_lists(section):
        lines += ["", title, *align(entry_rows(entries), left=(1, 4))]
    if section.modes is not None:
        lines += ["", modes_title(section.modes), *align(mode_rows(section.modes), left=(1, 5))]
    return lines


def section_lists(section: "Section") -> list[tuple[Sequence[Entry], str]]:
    """The three lists and what each is."""
    estimate = section.squared_mmd
    over = f"Over-represented among {estimate.n_generated:,} generated pictures: crowded, and far from the reference"
    under = f"Under-represented among {estimate.n_reference:,} reference pictures: where generated ones are rare"
    strays = "Strays: generated pictures farthest from every reference picture; a few of them hardly move squared MMD"
    return [(section.alien, over), (section.uncovered, under), (section.strays, strays)]


def entry_rows(entries: "Sequence[Entry]") -> list[tuple[str, ...]]:
    """The pictures of a list as texts, the headings first."""
    rows: list[tuple[str, ...]] = [("", "Picture", "Witness", "Change", "Nearest", "Distance")]
    for place, entry in enumerate(entries, 1):
        witness, change, distance = entry.texts
        rows.append((str(place), entry.name, witness, change, entry.nearest, distance))
    return rows
