"""The parts of a page without drawings: warnings by what they are about, the sets, where the numbers come from."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...common.labels import short_labels
from ..tables import Table
from ..warning_kinds import warning_kinds
from .part import Part

_MOST_SIZES = 4


def warnings_part(warnings: Sequence[str], words: Iterable[str]) -> Part:
    """What one must know to trust the numbers; `words` are the names that those of one kind differ in."""
    if not warnings:
        return Part("warnings", "Warnings", "note", "None: nothing unusual was found about these sets and numbers.")
    return Part("warnings", f"Warnings ({len(warnings)})", "warnings", warning_kinds(warnings, words))


def sets_part(sets: Sequence[Mapping[str, Any]]) -> Part:
    """What is known of the pictures of each set."""
    if not sets:
        return Part("sets", "Sets", "note", "Nothing is known about the pictures: the sets are stored features.")
    short = short_labels(own["name"] for own in sets)
    rows = [
        [
            short[own["name"]],
            f"{own['n']:,}",
            _counts(own["formats"]),
            _counts(own["sizes"]),
            _counts(own["converted"]) or "-",
            f"{len(own['skipped']):,}",
        ]
        for own in sets
    ]
    headings = ("Set", "Pictures", "Formats", "Sizes", "Converted", "Skipped")
    return Part("sets", "Sets", "tables", [Table("", headings, rows, (0, 2, 3, 4), "")])


def _counts(found: Mapping[str, int]) -> str:
    common = sorted(found.items(), key=lambda item: -item[1])
    more = f" and {len(common) - _MOST_SIZES} more" if len(common) > _MOST_SIZES else ""
    return ", ".join(f"{name} ({count:,})" for name, count in common[:_MOST_SIZES]) + more


def provenance_part(provenance: Mapping[str, Any]) -> Part:
    """The command to repeat it, and everything that made the numbers."""
    rows = [(" / ".join(keys), _said(value)) for keys, value in _leaves(provenance) if keys != ("command",)]
    content = {"command": provenance.get("command"), "rows": rows}
    return Part("provenance", "How to repeat it", "provenance", content)


def _leaves(value: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping) and value:
        for key, own in value.items():
            yield from _leaves(own, (*keys, str(key)))
    elif value not in (None, {}, [], ()):
        yield keys, value


def _said(value: Any) -> str:
    return ", ".join(str(item) for item in value) if isinstance(value, (list, tuple)) else str(value)
