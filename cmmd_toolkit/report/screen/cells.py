"""Texts in the cells of a terminal: how wide they are, shortened, wrapped, and in ASCII where nothing else is known."""

from collections.abc import Sequence

from ...common.text import printable

FACTS_GAP = "   "
_ASCII = str.maketrans({"…": "~", "├": "|", "┤": "|", "─": "-", "●": "o", "•": "*", "±": "+-", "↓": "v", "↑": "^"})


def width_of(text: str) -> int:
    """How many cells a text takes: letters of East Asia take two."""
    from rich.cells import cell_len

    return cell_len(text)


def in_ascii(line: str) -> str:
    """The signs that are drawn with, for a terminal that knows no others."""
    return line.translate(_ASCII)


def padded(text: str, width: int, *, left: bool) -> str:
    """The text with blanks on the other side."""
    blanks = " " * max(0, width - width_of(text))
    return text + blanks if left else blanks + text


def shortened_to(names: Sequence[str], most: int) -> list[str]:
    """The names in so many cells at most, without their middle; whole where two of them would become one."""
    short = [_without_middle(name, most) for name in names]
    return short if len(set(short)) == len(set(names)) else list(names)


def folded(text: str, width: int) -> list[str]:
    """The text over several lines of so many cells, broken anywhere."""
    lines, line = [], ""
    for letter in text:
        if width_of(line + letter) > width:
            lines.append(line)
            line = ""
        line += letter
    return [*lines, line]


def wrapped(text: str, width: int) -> list[str]:
    """A sentence in lines, broken at blanks; what is longer than a line, such as a path, anywhere."""
    lines: list[str] = []
    for word in printable(text).split():
        if lines and width_of(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines += folded(word, width)
    return lines or [""]


def wrapped_facts(text: str, width: int) -> list[str]:
    """Facts that stand three blanks apart, as many in a line as fit."""
    lines: list[str] = []
    for fact in text.split(FACTS_GAP):
        if lines and width_of(lines[-1] + FACTS_GAP + fact) <= width:
            lines[-1] += FACTS_GAP + fact
        else:
            lines += wrapped(fact, width)
    return lines


def in_one_line(text: str, width: int, end: str = "") -> str:
    """The text in one line, cut where a clause ends, else where a word does; `end` follows in any case."""
    text, room = printable(text), max(width - width_of(end), 4)
    if width_of(text) <= room:
        return text + end
    while width_of(text) > room - 2:
        text = text[:-1] if len(folded(text, room)) < 2 else folded(text, max(room - 2, 1))[0]
    clause = max(text.rfind(sign) for sign in (": ", "; ", ", "))
    word = text.rfind(" ")
    cut = clause if clause > 0.6 * room else word if word > 0.3 * room else len(text)
    return f"{text[:cut]} …{end}"


def _without_middle(text: str, most: int) -> str:
    if width_of(text) <= most:
        return text
    tail, start = "", ""
    for letter in reversed(text):
        if width_of(letter + tail) > (most - 1) * 2 // 3:
            break
        tail = letter + tail
    for letter in text:
        if width_of(start + letter + tail) > most - 1:
            break
        start += letter
    return f"{start}…{tail}"
