"""Warnings on a terminal: an entry of three lines at most for each kind, five entries at most, the rest counted."""

from collections.abc import Iterable, Sequence

from ..warning_kinds import warning_kinds
from .cells import in_one_line, wrapped

MOST = 5
MOST_LINES = 3
FULL = "Full warnings: `json_file=FILE`"


def warning_entries(warnings: Sequence[str], words: Iterable[str], width: int) -> tuple[list[list[str]], bool]:
    """The entries, each in lines of at most `width` cells, and whether anything is not shown in full.

    Warnings that differ in `words` (names) and numbers only are of one kind.
    """
    shown = [kind for kinds in warning_kinds(warnings, words).values() for kind in kinds][:MOST]
    entries, cut = [], False
    for own in shown:
        lines, whole = _entry(own, width)
        entries.append(lines)
        cut = cut or not whole or len(own) > 1
    left = len(warnings) - sum(map(len, shown))
    if left:
        entries.append([f"{left} more {'warning' if left == 1 else 'warnings'}"])
    return entries, cut or left > 0


def _entry(own: Sequence[str], width: int) -> tuple[list[str], bool]:
    """One kind of warning in lines, and whether the first of them is whole."""
    end = f" (and {len(own) - 1} like it)" if len(own) > 1 else ""
    lines = wrapped(own[0] + end, width)
    if len(lines) <= MOST_LINES:
        return lines, True
    first = wrapped(own[0], width)
    kept = first[: MOST_LINES - 1]
    return [*kept, in_one_line(" ".join(first[MOST_LINES - 1 :]), width, end)], False
