"""Names of several files in one: `train-{000000..000099}.tar`, `{a,b}.tar`, as shells write them."""

import re
from collections.abc import Iterator

from ...errors import InputError

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_MOST = 1_000_000


def expand(pattern: str) -> list[str]:
    """Every name that a pattern stands for, in order; the name itself where it has no braces. Raises InputError."""
    names = [""]
    at = 0
    for found in _BRACES.finditer(pattern):
        choices = list(_choices(found[1], pattern))
        if len(names) * len(choices) > _MOST:
            raise InputError(f"{pattern}: stands for more than {_MOST:,} names; write fewer")
        names = [name + pattern[at : found.start()] + choice for name in names for choice in choices]
        at = found.end()
    return [name + pattern[at:] for name in names]


def _choices(inside: str, pattern: str) -> Iterator[str]:
    """A range keeps the leading zeros of its ends."""
    if found := _RANGE.fullmatch(inside):
        first, last = int(found[1]), int(found[2])
        if not first <= last < first + _MOST:
            raise InputError(f"{pattern}: the range {inside} is empty or too long; write it as {{000..099}}")
        width = len(found[1]) if found[1].startswith("0") else 0
        yield from (f"{number:0{width}d}" for number in range(first, last + 1))
    elif "," in inside:
        yield from inside.split(",")
    else:
        yield f"{{{inside}}}"
