"""A record drawn on a terminal, or its plain text where nobody is watching."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from .paper.record import PaperRecord
from .screen.cells import in_ascii, wrapped, wrapped_facts
from .screen.fit import Fitted, fitted
from .screen.screens import Screen, screen_of
from .screen.warning_lines import FULL, warning_entries

if TYPE_CHECKING:
    from rich.console import Console

_LEAST_WIDTH = 30
_TITLE, _WARNING = "bold", "yellow"
_WARN = "warning: "
_BARS = "Interval: drawn on one scale for all sets of a metric and backbone; two metrics have two scales."
Line = tuple[str, str]  # a text and its style, "" for none


def print_report(record: PaperRecord, console: "Console", typed: Callable[[str], str] = str) -> None:
    """Print tables, warnings and verdicts to `console`, fitted to its width; plain when it is no terminal.

    `typed` turns the library's words for arguments into those that the user types.
    """
    if not console.is_terminal:  # COLUMNS says nothing there: readline exports it to whatever a program starts
        console.file.write(typed(str(record)))
        return
    width = max(console.width, _LEAST_WIDTH)
    for text, style in screen_lines(screen_of(record), width, typed):
        _print_line(text if _knows_signs(console) else in_ascii(text), "" if console.no_color else style, console)


def screen_lines(screen: Screen, width: int, typed: Callable[[str], str] = str) -> list[Line]:
    """Every line of a screen, with its style."""
    lines: list[Line] = []
    every = [fitted(table, width) for table in screen.tables]
    for table, found in zip(screen.tables, every, strict=True):
        lines += _table_lines(found, table.caption, width)
    notes = [*(typed(note) for note in screen.notes if not _is_of(note, every)), *_remarks(every)]
    if notes:
        lines += _plain(line for note in notes for part in note.split("\n") for line in wrapped(part, width))
        lines.append(("", ""))
    lines += _warnings(screen, width, typed)
    verdicts = screen.verdicts if lines and lines[-1][0] else screen.verdicts[1:]  # one empty line, not two
    return lines + _plain(line for own in verdicts for line in wrapped(own, width))


def _is_of(note: str, tables: Sequence[Fitted]) -> bool:
    """Whether a sentence explains a column that every table leaves out."""
    column, colon, _ = note.partition(": ")
    return bool(colon and tables) and all(
        any(name.split(" (")[0] == column for name in table.left_out) for table in tables
    )


def _warnings(screen: Screen, width: int, typed: Callable[[str], str]) -> list[Line]:
    """Every entry, its further lines below the first."""
    entries, shortened = warning_entries([typed(own) for own in screen.warnings], screen.words, width - len(_WARN))
    lines: list[Line] = []
    for first, *others in entries:
        lines += [(_WARN + first, _WARNING), *_plain(" " * len(_WARN) + line for line in others)]
    return [*lines, (typed(FULL), "")] if shortened else lines


def _remarks(tables: Sequence[Fitted]) -> list[str]:
    """What is drawn besides numbers, and what the width leaves no room for."""
    left_out = dict.fromkeys(name for table in tables for name in table.left_out)
    remarks = [_BARS] if any(table.has_bars for table in tables) else []
    if left_out:
        remarks.append(f"Left out at this width: {', '.join(left_out)}; the JSON form has everything.")
    return remarks


def _table_lines(table: Fitted, caption: str, width: int) -> list[Line]:
    title = [line for part in table.title.split("\n") for line in wrapped_facts(part, width)]
    below = [line for part in caption.split("\n") for line in wrapped(part, width)] if caption else []
    spaced = [*_plain(below), ("", "")] if below else []
    return [*((line, _TITLE) for line in title), ("", ""), *_plain(table.lines), ("", ""), *spaced]


def _plain(lines: Iterable[str]) -> list[Line]:
    return [(line, "") for line in lines]


def _print_line(text: str, style: str, console: "Console") -> None:
    """Of a warning only the first word is coloured."""
    from rich.text import Text

    if style == _WARNING:
        shown = Text.assemble((text[: len(_WARN)], style), text[len(_WARN) :])
    else:
        shown = Text(text, style=style)
    console.print(shown, soft_wrap=True)


def _knows_signs(console: "Console") -> bool:
    try:
        "├─●┤…".encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
