"""The looks at a run on a terminal, drawn anew at each; a line each where nobody is watching."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...common.text import printable
from ..watching import HEADINGS, LEFT, WORSE, Look, Watching, sentence

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_SPARE = 10  # lines beside the table: its frame, the verdicts, the prompt


class Shown:
    """Where looks are shown; `update` after each. Only the last that fit a terminal are in its table."""

    def __init__(self, console: "Console") -> None:
        self.console = console

    def update(self, watching: Watching | None, new: Look | str) -> None:
        """A line for what is new."""
        text = new if isinstance(new, str) else sentence(new)
        self.console.file.write(f"{'warning: ' if isinstance(new, str) else ''}{printable(text)}\n")
        self.console.file.flush()


class _Live(Shown):
    def __init__(self, console: "Console", live: object) -> None:
        super().__init__(console)
        self._live = live

    def update(self, watching: Watching | None, new: Look | str) -> None:
        if isinstance(new, str):
            self.console.print(f"warning: {printable(new)}", markup=False, highlight=False, style="yellow")
        if watching is not None:
            self._live.update(looks_table(watching, self.console.height - _SPARE), refresh=True)  # type: ignore[attr-defined]


@contextmanager
def shown_looks(console: "Console", watching: Watching | None) -> Iterator[Shown]:
    """A live table on a terminal, lines elsewhere."""
    if not console.is_terminal:
        yield Shown(console)
        return
    from rich.live import Live

    with Live(console=console, auto_refresh=False) as live:
        if watching is not None and watching.looks:
            live.update(looks_table(watching, console.height - _SPARE), refresh=True)
        yield _Live(console, live)


def looks_table(watching: Watching, most: int) -> "Table":
    """The last looks, as many rows as there is room for, and below what they show."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    rows = watching.table_rows()[-max(most, 3) :]
    table = Table(box=SIMPLE_HEAD, caption=Text("\n".join(map(printable, watching.verdicts()))), caption_justify="left")
    for place, heading in enumerate(HEADINGS):
        table.add_column(Text(heading), justify="left" if place in LEFT else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row), style="bold" if row[-1] == WORSE else None)
    return table
