"""Long names in little room: the middle goes, as much as must, and two names never become one."""

import re
from collections.abc import Callable, Sequence

_GAP = "…"
_HEADS = (1 / 3, 1 / 2, 2 / 3, 4 / 5)  # of the letters that stay: how many stand before the gap
Width = Callable[[str], float]


def fitted(names: Sequence[str], most: float, width: Width = len) -> list[str]:
    """The names, each at most so wide, long ones with the middle left out.

    The end tells more, it is where numbers stand; where it does not tell the names apart, more of the beginning stays,
    or what all have in common goes. Names that still cannot be told apart get their place among them as a number.
    """
    every = list(dict.fromkeys(names))
    for common in (0, _common(every)):
        for head in (*_HEADS, *((0.0, 1.0) if common else ())):
            short = [_cut(name, common, head, most, width) for name in every]
            if len(set(short)) == len(every):
                found = dict(zip(every, short, strict=True))
                return [found[name] for name in names]
    numbers = {name: f"#{place} " for place, name in enumerate(every, 1)}
    return [numbers[name] + _cut(name, 0, _HEADS[0], most - width(numbers[name]), width) for name in names]


def _common(names: Sequence[str]) -> int:
    """How many letters all names begin with, whole words."""
    least, most = min(names), max(names)
    same = next((i for i, pair in enumerate(zip(least, most, strict=False)) if pair[0] != pair[1]), len(least))
    words = re.match(r".*[\W_]", least[:same])
    return words.end() if words and len(names) > 1 else 0


def wrapped(text: str, most: float, width: Width) -> list[str]:
    """The words in lines at most so wide; a word that is wider loses its middle."""
    lines = [""]
    for word in text.split(" "):
        (short,) = fitted([word], most, width)
        longer = f"{lines[-1]} {short}".strip()
        if width(longer) <= most:
            lines[-1] = longer
        else:
            lines.append(short)
    return [line for line in lines if line] or [""]


def _cut(text: str, start: int, head: float, most: float, width: Width) -> str:
    """The text without its first letters and its middle, the longest that fits."""
    if width(text) <= most:
        return text
    rest = text[start:]
    least, enough = 0, len(rest) + 1
    while least < enough - 1:  # letters that stay
        letters = (least + enough) // 2
        if width(_kept(rest, start, letters, head)) <= most:
            least = letters
        else:
            enough = letters
    return _kept(rest, start, least, head)


def _kept(rest: str, start: int, letters: int, head: float) -> str:
    before = _GAP if start else ""
    if letters >= len(rest):
        return before + rest
    first = round(letters * head)
    return f"{before if first else ''}{rest[:first]}{_GAP}{rest[len(rest) - (letters - first) :]}"
