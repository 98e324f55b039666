"""A record that can be printed: the forms in which it goes into a paper, a spreadsheet or a notebook."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ...backbones.remarks import REMARKS
from ...common.files import path_of
from ..document import Document
from . import html, latex, markdown, rows
from .rows import Row
from .table import PaperTable

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

    from .panel import Panel


class Paper(Protocol):
    """The module with the rows, tables and panels of one kind of record."""

    COLUMNS: tuple[str, ...]

    def tidy_rows(self, record: Any, /) -> list[Row]: ...

    def tables(self, record: Any, /) -> list[PaperTable]: ...

    def panels(self, record: Any, /) -> "Sequence[Panel]": ...


class PaperRecord(Document):
    """A document with tidy rows, tables and panels, each of which has its forms."""

    paper: ClassVar[Paper]
    warnings: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the tidy rows' values, in order."""
        return self.paper.COLUMNS

    def rows(self) -> list[Row]:
        """One row an observation, by the names in `columns`, with every digit; None for what is not known."""
        return self.paper.tidy_rows(self)

    def paper_tables(self) -> list[PaperTable]:
        """The tables for a paper, before they are Markdown or LaTeX."""
        return self.paper.tables(self)

    def panels(self) -> "Sequence[Panel]":
        """What `plot` draws, a panel each. Raises ArgumentError where there is nothing to draw."""
        return self.paper.panels(self)

    def remarks(self) -> list[str]:
        """Verdicts and warnings, a sentence each."""
        return [f"warning: {text}" for text in self.warnings]

    def caveats(self) -> list[str]:
        """What must be said of a backbone's numbers wherever they appear."""
        return [text for text in dict.fromkeys(self.warnings) if text in REMARKS.values()]

    def _noted_tables(self) -> list[PaperTable]:
        """The tables, each with the caveats among its notes: it may be taken alone."""
        caveats = tuple(f"{text}." for text in self.caveats())
        return [replace(table, notes=(*table.notes, *caveats)) for table in self.paper_tables()]

    def to_csv(self) -> str:
        """The rows as comma-separated text, every digit kept."""
        return rows.to_csv(self.columns, self.rows())

    def to_dataframe(self) -> "pandas.DataFrame":
        """The rows as a pandas.DataFrame. Raises ArgumentError where pandas is not installed."""
        return rows.to_dataframe(self.columns, self.rows())

    def to_markdown(self) -> str:
        """The tables in Markdown: value ± standard error, notes below."""
        return markdown.to_markdown(self._noted_tables())

    def to_latex(self) -> str:
        r"""The tables in LaTeX (booktabs), to be taken in by \input: value ± standard error, notes below."""
        return latex.to_latex(self._noted_tables())

    def plot(self, path: str | Path | None = None) -> "Figure":
        """A matplotlib figure, 3.3 inches wide; also written to `path` (.png, .svg or .pdf) where one is given.

        Raises ArgumentError for another ending, or where there is nothing to draw; InputError where it cannot be
        written.
        """
        return drawn(self.panels(), path, self.caveats())

    def to_svg(self) -> str:
        """What `plot` draws, as the text of an SVG."""
        from .figure import draw, svg_text

        return svg_text(draw(self.panels(), self.caveats()))

    def _repr_html_(self) -> str:
        """What a notebook shows: tables, verdicts, warnings."""
        return html.to_html(self.paper_tables(), self.remarks())


def drawn(panels: "Sequence[Panel]", path: str | Path | None, notes: Sequence[str] = ()) -> "Figure":
    """The figure of panels with notes below, also written to `path` where one is given."""
    from .figure import draw, save_figure

    figure = draw(panels, notes)
    if path is not None:
        save_figure(figure, path_of(path))
    return figure
