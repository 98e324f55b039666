r"""Tables in LaTeX: booktabs, no vertical lines, every name escaped.

Names may hold anything a file name can: each character with a meaning in TeX is replaced, ligatures are taken apart,
and what cannot be printed is written as its escape.
"""

import hashlib
import re
from collections.abc import Sequence
from itertools import groupby

from ...common.text import printable
from .latex_width import within_text
from .table import Cell, Heading, PaperTable

_COMMANDS = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': r"\char34{}",  # a shorthand in some languages of babel
    "[": "{[}",  # after \\ or \midrule it would begin an option
    "]": "{]}",
    "*": "{*}",
    "±": r"$\pm$",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
}
_LIGATURES = re.compile(r"([-,'!?])(?=[-,'`])")
_LONGEST_LABEL = 48
_HEAD = r"% needs \usepackage[T1]{fontenc} and \usepackage{booktabs}"
_UNICODE = "; shows letters beyond Latin by LuaLaTeX or XeLaTeX, in a font that has them, and pdfLaTeX their codes"
_LATIN = {chr(code) for code in range(0x180)} - set("ĦħĸĿŀŉŦŧſ") | set(
    "\u2013\u2014\u2018\u2019\u201c\u201d\u2026"
)  # in T1


def to_latex(tables: Sequence[PaperTable]) -> str:
    """A `table` environment each, to be taken in by \\input."""
    parts = [part for table in tables for part in within_text(table)]
    labels = _labels([part for _, part in parts])
    body = "\n".join(
        line for (size, part), label in zip(parts, labels, strict=True) for line in _lines(part, size, label)
    )
    beyond = sorted(set(body) - _LATIN)
    return "\n".join([_HEAD + (_UNICODE if beyond else ""), *map(_definition, beyond), body])


def _definition(letter: str) -> str:
    """What pdfLaTeX shows for a letter that it does not know, at which it would stop; other engines read over it."""
    name = rf"u8:\detokenize{{{letter}}}\endcsname"
    known = rf"\ifcsname UTFviii@two@octets\endcsname\ifcsname {name}"
    return rf"{known}\else\expandafter\gdef\csname {name}{{\texttt{{U+{ord(letter):04X}}}}}\fi\fi"


def escaped(text: str) -> str:
    """The text as LaTeX prints it letter for letter."""
    apart = _LIGATURES.sub("\\1\0", printable(text))
    return "".join(_COMMANDS.get(letter, letter) for letter in apart).replace("\0", "{}")


def _labels(tables: Sequence[PaperTable]) -> list[str]:
    """What tables are about, in letters that a label may have; short, and apart by a digest where that takes any."""
    used: dict[str, int] = {}
    labels = []
    for table in tables:
        words = [re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-") for word in table.about]
        name = "-".join(filter(None, words))
        if len(name) > _LONGEST_LABEL or words != list(table.about):
            digest = hashlib.sha256("\0".join(table.about).encode("utf-8", "surrogatepass")).hexdigest()[:6]
            name = f"{name[:_LONGEST_LABEL].rstrip('-')}-{digest}"
        used[name] = used.get(name, 0) + 1
        labels.append(f"tab:cmmd-{name}" + (f"-{used[name]}" if used[name] > 1 else ""))
    return labels


def _lines(table: PaperTable, size: str, label: str) -> list[str]:
    columns = "".join("l" if heading.is_name else "r" for heading in table.headings)
    return [
        r"\begin{table}",
        size,
        rf"\caption{_listed(table.caption)}{{{_with_minus(table.caption)}}}",
        rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        r"\toprule",
        *_group_lines(table.headings),
        _row([escaped(heading.text) for heading in table.headings]),
        r"\midrule",
        *(_row([_cell(cell) for cell in row]) for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        *_notes(table.notes),
        r"\end{table}",
        "",
    ]


def _listed(caption: str) -> str:
    """For a list of tables, which is set before the letters of a table are defined."""
    codes = "".join(letter if letter in _LATIN else f"U+{ord(letter):04X}" for letter in caption)
    return "" if codes == caption else f"[{{{escaped(codes)}}}]"


def _group_lines(headings: Sequence[Heading]) -> list[str]:
    """A line of groups over the headings, each with its rule, where there are groups."""
    if not any(heading.group for heading in headings):
        return []
    cells, rules, place = [], [], 1
    for group, own in groupby(headings, key=lambda heading: heading.group):
        width = len(list(own))
        cells.append(rf"\multicolumn{{{width}}}{{c}}{{{escaped(group)}}}" if group else " & " * (width - 1))
        if group:
            rules.append(rf"\cmidrule(lr){{{place}-{place + width - 1}}}")
        place += width
    return [_row(cells), " ".join(rules)]


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(cell: Cell) -> str:
    if not cell.is_number:
        text = escaped(cell.text)
    else:
        text = _with_minus(cell.text) + (rf" $\pm$ {cell.error}" if cell.error else "")
    return rf"\textbf{{{text}}}" if cell.is_best else text


def _with_minus(text: str) -> str:
    """Escaped, a hyphen that begins a number as a true minus."""
    return re.sub(r"(?<![\w.}/-])-(?=\d)", "$-$", escaped(text))


def _notes(notes: Sequence[str]) -> list[str]:
    if not notes:
        return []
    text = " ".join(_with_minus(note) for note in notes)
    return [r"\par\smallskip", rf"\begin{{minipage}}{{\linewidth}}\footnotesize {text}\end{{minipage}}"]
