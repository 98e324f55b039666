"""A table for a paper, before it is Markdown, LaTeX or HTML."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...common.text import number_text, printable

MOST_COLUMNS = 6  # of numbers side by side; more become a table of their own


@dataclass(frozen=True)
class Cell:
    """One entry: a name, or a number with its error.

    Attributes:
        text: as it is read; error: what stands behind the plus-minus sign, "" for nothing.
        is_number: aligned to the right, its minus a true one.
        is_best: in bold.
    """

    text: str
    error: str = ""
    is_number: bool = False
    is_best: bool = False


@dataclass(frozen=True)
class Heading:
    """The head of a column: what it holds, under which `group` of columns, and whether it holds names."""

    text: str
    group: str = ""
    is_name: bool = False

    @property
    def whole(self) -> str:
        """With its group, where tables have one line of headings."""
        return f"{self.group} {self.text}".strip()


@dataclass(frozen=True)
class PaperTable:
    """Rows of cells under headings; the notes stand below and say how the numbers are read.

    `about` tells this table from others, in words: the command, backbones, metrics, sets.
    """

    caption: str
    headings: tuple[Heading, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    about: tuple[str, ...] = ()


def name_cell(text: str) -> Cell:
    """A name, with what cannot be shown escaped."""
    return Cell(printable(text))


def number_cell(text: str) -> Cell:
    """A number that has its text already."""
    return Cell(text, is_number=True)


def estimate_cell(value: float, error: float, *, is_best: bool = False) -> Cell:
    """Value and standard error to the same decimals."""
    return Cell(number_text(value, error), number_text(error, error), True, is_best)


def in_parts(table: PaperTable, most: int = MOST_COLUMNS) -> list[PaperTable]:
    """The table, or several with at most so many columns of numbers each; names are repeated, notes come last."""
    names = [i for i, heading in enumerate(table.headings) if heading.is_name]
    numbers = [i for i, heading in enumerate(table.headings) if not heading.is_name]
    if len(numbers) <= most:
        return [table]
    blocks = [numbers[start : start + most] for start in range(0, len(numbers), most)]
    parts = [_columns(table, [*names, *block]) for block in blocks]
    return [*(replace(part, notes=()) for part in parts[:-1]), parts[-1]]


def _columns(table: PaperTable, kept: Sequence[int]) -> PaperTable:
    headings = tuple(table.headings[i] for i in kept)
    return replace(table, headings=headings, rows=tuple(tuple(row[i] for i in kept) for row in table.rows))
