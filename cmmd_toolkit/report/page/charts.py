"""Charts of values with their intervals: where every mark lies, in units of the drawing; the template draws them."""

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from ...common.text import fixed_text

WIDTH, LEFT, RIGHT = 340, 20, 20
ROW, LABEL, MARK, BELOW = 10, 17, 15, 24  # heights: gap between rows, name, a mark, axis
_GAP = 10  # between a name and the value on its line
_LETTER, _CAPITAL, _WIDEST, _DIGIT = 7.4, 9.5, 12.0, 6.8  # widths of a name's letters, and of a value's, in any font
_TICKS = 4
_LEAST = 1e-15  # what is smaller is rounding
_ZERO = 0.3  # zero is on the axis where the marks reach over more than this share of the way to it


@dataclass(frozen=True)
class Mark:
    """One value: of which set, as text, with its interval; `printed` is the value with its bias, if that is another."""

    place: int
    name: str
    value: float
    text: str
    interval: tuple[float, float] | None = None
    printed: float | None = None


@dataclass(frozen=True)
class Row:
    """Marks under one name; "" where each mark has its own."""

    name: str
    marks: Sequence[Mark]


@dataclass(frozen=True)
class Drawn:
    """A mark in place: x of value, ends and the value with bias, and y."""

    mark: Mark
    y: float
    x: float
    low: float
    high: float
    printed: float | None


@dataclass(frozen=True)
class Label:
    """A name at its y, as it is and as much of its end as there is room for."""

    y: float
    name: str

    @property
    def shown(self) -> str:
        """What fits the drawing."""
        shown = self.name
        while name_width(shown) > WIDTH:
            shown = "…" + shown.removeprefix("…")[1:]
        return shown


@dataclass(frozen=True)
class Chart:
    """A panel: `drawn` are the marks, `labels` the names, `ticks` x and text; `start` is where bars begin.

    Lines of the axis are drawn beside the marks only, in `bands` (from y to y): names and values stand free of them.
    """

    title: str
    reading: str
    height: float
    drawn: Sequence[Drawn]
    labels: Sequence[Label]
    bands: Sequence[tuple[float, float]]
    ticks: Sequence[tuple[float, str]]
    start: float | None
    zero: float | None

    @property
    def has_printed(self) -> bool:
        """Whether a value has its bias shown beside it."""
        return any(own.printed is not None for own in self.drawn)

    @property
    def tick_texts(self) -> list[tuple[float, str]]:
        """Where the texts of the ticks stand: below their ticks, or where a long one is still within the drawing."""
        halves = [_DIGIT * len(text) / 2 for _, text in self.ticks]
        return [(min(max(x, half), WIDTH - half), text) for (x, text), half in zip(self.ticks, halves, strict=True)]

    @property
    def description(self) -> str:
        """Every value in words, for who does not see the drawing."""
        return "; ".join(f"{own.mark.name} {own.mark.text}" for own in self.drawn)


def chart(title: str, reading: str, rows: Sequence[Row], *, bars: bool = False, decades: bool = False) -> Chart:
    """Lay out rows of marks below each other over one axis; `bars` are drawn from zero.

    With `decades` the values are logarithms to base 10, and the axis is labelled by the numbers themselves.
    """
    marks = [mark for row in rows for mark in row.marks]
    low, high = _decades(marks) if decades else _reach(marks, bars)
    scale = (WIDTH - LEFT - RIGHT) / (high - low)

    def x(value: float) -> float:
        return round(LEFT + (min(max(value, low), high) - low) * scale, 2)

    drawn, labels, bands, y = [], [], [], 0.0
    for row in rows:
        y += ROW
        if row.name:
            labels.append(Label(y + LABEL - 5, row.name))
            y += LABEL
        for mark in row.marks:
            if not row.name:
                labels.append(Label(y + LABEL - 5, mark.name))
                y += LABEL if bars or _fits(mark) else 2 * LABEL - 2  # the value on a line of its own
            first, last = mark.interval or (mark.value, mark.value)
            printed = None if mark.printed is None else x(mark.printed)
            drawn.append(Drawn(mark, y + MARK / 2, x(mark.value), x(first), x(last), printed))
            bands.append((y, y + MARK))
            y += MARK
    bands.append((y + 1, y + BELOW - 18))
    ticks = [(x(value), text) for value, text in (_powers(low, high) if decades else ticks_of(low, high))]
    zero = x(0) if low <= 0 <= high and not decades else None
    return Chart(title, reading, y + BELOW, drawn, labels, bands, ticks, x(0) if bars else None, zero)


def name_width(name: str) -> float:
    """About how wide a name is drawn, rather too wide than too narrow."""
    wide = {c: unicodedata.east_asian_width(c) in "WF" or c in "mwMW@%…" for c in set(name)}
    return sum(_WIDEST if wide[c] else _CAPITAL if c.isupper() else _LETTER for c in name)


def _fits(mark: Mark) -> bool:
    """Whether name and value fit one line."""
    return name_width(mark.name) + _GAP + _DIGIT * len(mark.text) <= WIDTH


def _decades(marks: Sequence[Mark]) -> tuple[float, float]:
    low, high = (math.floor(min(mark.value for mark in marks)), math.ceil(max(mark.value for mark in marks)))
    return low, max(high, low + 1)


def _powers(low: float, high: float) -> list[tuple[float, str]]:
    """Every power of ten, as its logarithm and as text."""
    return [(power, f"{10**power:,}") for power in range(round(low), round(high) + 1)]


def _reach(marks: Sequence[Mark], bars: bool) -> tuple[float, float]:
    """The ends of the axis: all marks and intervals, and zero unless several lie close together and far from it."""
    ends = [value for m in marks for value in (m.value, m.printed, *(m.interval or ())) if value is not None]
    ends = [value for value in ends if math.isfinite(value)] or [0.0]
    low, high = min(ends), max(ends)
    if bars or low == high or high - low > _ZERO * max(abs(low), abs(high)):
        low, high = min(low, 0.0), max(high, 0.0)
    room = 0.04 * (high - low) if high - low > _LEAST else 1.0
    return (low if low == 0 else low - room), (high if high == 0 and low < 0 else high + room)


def ticks_of(low: float, high: float) -> list[tuple[float, str]]:
    """About four round values between two ends, as numbers and as texts of equally many decimals."""
    raw = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9) + (1 if round(step / power, 6) == 2.5 else 0))
    first = math.ceil(low / step - 1e-9)
    values = [place * step for place in range(first, math.floor(high / step + 1e-9) + 1)]
    return [(value, fixed_text(value, decimals)) for value in values]
