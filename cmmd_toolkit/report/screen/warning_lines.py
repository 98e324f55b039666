"""Warnings on a terminal: those of one kind together, a line each, five at most, the rest counted."""

import re
from collections.abc import Iterable, Sequence

from .cells import in_one_line

MOST = 5
_NUMBER = re.compile(r"\d[\d.,]*")


def warning_lines(warnings: Sequence[str], words: Iterable[str], width: int) -> list[str]:
    """Lines of at most `width` cells. Warnings that differ in `words` (names) and numbers only are of one kind."""
    kinds: dict[str, list[str]] = {}
    named = _pattern(words)
    for warning in warnings:
        kinds.setdefault(_NUMBER.sub("#", named.sub("#", warning)), []).append(warning)
    shown = list(kinds.values())[:MOST]
    lines = [_line(own, width) for own in shown]
    left = len(warnings) - sum(map(len, shown))
    if left:
        lines.append(in_one_line(f"{left} more {'warning' if left == 1 else 'warnings'}", width))
    if left or any(len(own) > 1 or line != own[0] for own, line in zip(shown, lines, strict=False)):
        lines.append(in_one_line("all of them in full in the JSON form, and into a pipe", width))
    return lines


def _line(own: Sequence[str], width: int) -> str:
    return in_one_line(own[0], width, f" (and {len(own) - 1} like it)" if len(own) > 1 else "")


def _pattern(words: Iterable[str]) -> re.Pattern[str]:
    ordered = sorted(filter(None, set(words)), key=len, reverse=True)
    return re.compile("|".join(rf"(?<!\w){re.escape(word)}(?!\w)" for word in ordered) or "(?!)")
