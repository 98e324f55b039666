"""A table that fits the width of a terminal, by stated steps, and breaks no number.

Until it fits: what is the same in every row is said once above the table; headings take two lines; names lose their
middle; the numbers of pictures are left out; each set's name becomes a line of its own above its rows; then the columns
in `DROPPED` are left out, in that order; sentences wrap. Where even that is too wide, each row becomes lines of heading
and cell. Where there is room to spare, intervals are drawn as bars.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ...common.text import printable
from ..tables import Table
from .bars import LEAST_BAR, MOST_BAR, bars
from .cells import FACTS_GAP, folded, padded, shortened_to, width_of, wrapped

DROPPED = (
    *("Ref. n", "Gen. n", "n", "Std. error", "Nearest", "Distance", "Difference to next (95 %)", "Without bias"),
    *("Change", "95 % interval"),
)
_COUNTS = 3  # the first of them, which count pictures
_NAMES = ("Class", "Generated", "Backbone", "Picture", "Nearest")
_SENTENCES = ("", "Same way", "Different ways", "Pictures per set", "Reading")
_SAID_ONCE = ("Generated", "Backbone", "Ref. n", "Gen. n", "n")
_GAP = 2
_SENTENCE = 14  # cells of a sentence that is wrapped
_SHORT_HEAD = 12  # a name in so many cells stays in its row, where each set has one row only
_SHORTEST, _SHORT, _LONG, _LONGEST = 6, 12, 24, 200  # cells of a name


@dataclass(frozen=True)
class Fitted:
    """A table in lines; `left_out` names the columns that are not in it, `has_bars` says whether bars are."""

    title: str
    lines: tuple[str, ...]
    left_out: tuple[str, ...]
    has_bars: bool


@dataclass(frozen=True)
class _Layout:
    table: Table
    folds: bool = False  # headings take several lines
    wraps: bool = False  # sentences do, too
    longest_name: int = _LONGEST
    heads: tuple[str, ...] = ()  # for each row the set whose name stands above it, where that has a line of its own
    left_out: tuple[str, ...] = ()


def fitted(table: Table, width: int) -> Fitted:
    """The table in lines of at most `width` cells, or as near as its numbers allow."""
    layout = _Layout(replace(table, rows=[[printable(cell) for cell in row] for row in table.rows]))
    for step in _steps(table):
        if _width(layout) <= width:
            break
        layout = step(layout)
    if _width(layout) > width:
        return _cards(_without_constants(table), width)
    longest = _longest_name(layout, width)
    return _drawn(replace(layout, longest_name=longest), width)


def _steps(table: Table) -> list[Callable[[_Layout], _Layout]]:
    """What is tried, in this order, until the table fits."""
    dropped = [name for name in DROPPED if name in table.headings]
    counts, others = dropped[: _counted(dropped)], dropped[_counted(dropped) :]
    return [
        lambda layout: replace(layout, table=_without_constants(layout.table)),
        lambda layout: replace(layout, folds=True),
        lambda layout: replace(layout, longest_name=_SHORT),
        *(_without(name) for name in counts),
        _with_heads,
        *(_without(name) for name in others),
        lambda layout: replace(layout, longest_name=_SHORTEST),
        lambda layout: replace(layout, wraps=True),
    ]


def _counted(dropped: Sequence[str]) -> int:
    return sum(name in DROPPED[:_COUNTS] for name in dropped)


def _without(name: str) -> Callable[[_Layout], _Layout]:
    def step(layout: _Layout) -> _Layout:
        if name not in layout.table.headings:
            return layout
        place = list(layout.table.headings).index(name)
        return replace(layout, table=_taken(layout.table, {place}), left_out=(*layout.left_out, name))

    return step


def _with_heads(layout: _Layout) -> _Layout:
    """The names of sets as lines above their rows."""
    if "Generated" not in layout.table.headings:
        return layout
    place = list(layout.table.headings).index("Generated")
    heads = tuple(row[place] for row in layout.table.rows)
    if len(set(heads)) == len(heads) and max(map(width_of, heads)) <= _SHORT_HEAD:
        return layout
    return replace(layout, table=_taken(layout.table, {place}), heads=heads)


def _without_constants(table: Table) -> Table:
    """With what is the same in every row said once, above the table."""
    same = {
        i
        for i, heading in enumerate(table.headings)
        if heading in _SAID_ONCE and len({row[i] for row in table.rows}) == 1
    }
    facts = [f"{table.headings[i]}: {table.rows[0][i]}" for i in sorted(same)]
    return replace(_taken(table, same), title=FACTS_GAP.join(filter(None, (table.title, *facts))))


def _taken(table: Table, out: set[int]) -> Table:
    kept = [i for i in range(len(table.headings)) if i not in out]
    left = [place for place, i in enumerate(kept) if i in table.left]
    rows = [[row[i] for i in kept] for row in table.rows]
    return replace(table, headings=[table.headings[i] for i in kept], rows=rows, left=left)


# ---- widths -----------------------------------------------------------------------------------------


def _columns(layout: _Layout) -> list[list[str]]:
    """The cells of each column, names shortened."""
    columns = [[row[i] for row in layout.table.rows] for i in range(len(layout.table.headings))]
    return [
        shortened_to(cells, layout.longest_name) if heading in _NAMES else cells
        for heading, cells in zip(layout.table.headings, columns, strict=True)
    ]


def _widths(layout: _Layout) -> list[int]:
    found = []
    for heading, cells in zip(layout.table.headings, _columns(layout), strict=True):
        words = heading.split() if layout.folds else [heading]
        inner = max(map(width_of, cells), default=0)
        if heading in _NAMES:
            inner = min(inner, layout.longest_name)
        elif layout.wraps and heading in _SENTENCES:
            inner = min(inner, max(_SENTENCE, *(width_of(word) for cell in cells for word in cell.split())))
        found.append(max(inner, *map(width_of, words or [""])))
    return found


def _width(layout: _Layout) -> int:
    own = _widths(layout)
    return sum(own) + _GAP * (len(own) - 1)


def _longest_name(layout: _Layout, width: int) -> int:
    """Names as long as there is room for, once all else is settled; long ones leave room for bars."""
    longest, room = layout.longest_name, width - LEAST_BAR - _GAP if any(layout.table.spans) else width
    while longest < _LONGEST and _width(replace(layout, longest_name=longest + 1)) <= (
        width if longest < _LONG else room
    ):
        longest += 1
    return longest


# ---- lines ------------------------------------------------------------------------------------------


def _drawn(layout: _Layout, width: int) -> Fitted:
    table, widths = layout.table, _widths(layout)
    headings = [_heading_lines(h, w, layout.folds) for h, w in zip(table.headings, widths, strict=True)]
    cells = _cell_lines(layout, widths)
    left = set(table.left)
    spare = width - sum(widths) - _GAP * len(widths)
    if has_bars := any(table.spans) and spare >= LEAST_BAR:
        left.add(len(widths))
        widths.append(min(spare, MOST_BAR))
        headings.append(["Interval"])
        for row, bar in zip(cells, bars(table.spans, widths[-1]), strict=True):
            row.append([bar])
    height = max(map(len, headings))
    lines = _lines([[""] * (height - len(own)) + own for own in headings], widths, left)
    lines.append((" " * _GAP).join("─" * own for own in widths))
    heads = ("", *layout.heads)
    for i, row in enumerate(cells):
        if layout.heads and heads[i + 1] != heads[i]:
            lines += wrapped(heads[i + 1], width)
        lines += _lines(row, widths, left)
    return Fitted(table.title, tuple(lines), layout.left_out, has_bars)


def _cards(table: Table, width: int) -> Fitted:
    """Each row as lines of heading and cell, all of them."""
    lines: list[str] = []
    for row in table.rows:
        facts = [f"{heading}: {cell}" if heading else cell for heading, cell in zip(table.headings, row, strict=True)]
        lines += [*([""] if lines else []), *(line for fact in facts if fact for line in wrapped(fact, width))]
    return Fitted(table.title, tuple(lines), (), False)


def _cell_lines(layout: _Layout, widths: Sequence[int]) -> list[list[list[str]]]:
    """By row and column, the lines of each cell."""
    columns = zip(layout.table.headings, _columns(layout), widths, strict=True)
    ways = [(wrapped if heading in _SENTENCES else folded, cells, width) for heading, cells, width in columns]
    return [[way(cells[i], width) for way, cells, width in ways] for i in range(len(layout.table.rows))]


def _heading_lines(heading: str, width: int, folds: bool) -> list[str]:
    return wrapped(heading, width) if folds and width_of(heading) > width else [heading]


def _lines(cells: Sequence[Sequence[str]], widths: Sequence[int], left: set[int]) -> list[str]:
    """One row, whose cells may have several lines."""
    height = max(map(len, cells))
    full = [[*own, *[""] * (height - len(own))] for own in cells]
    return [
        (" " * _GAP)
        .join(padded(own[k], width, left=i in left) for i, (own, width) in enumerate(zip(full, widths, strict=True)))
        .rstrip()
        for k in range(height)
    ]
