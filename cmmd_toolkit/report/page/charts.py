"""Charts of values with their intervals: where every mark lies, in units of the drawing; the template draws them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...common.text import fixed_text

WIDTH, LEFT, RIGHT = 340, 8, 8
ROW, LABEL, MARK, BELOW = 10, 17, 15, 24  # heights: gap between rows, name, a mark, axis
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
class Chart:
    """A panel: `drawn` are the marks, `labels` names with their y, `ticks` x and text; `start` is where bars begin."""

    title: str
    reading: str
    height: float
    drawn: Sequence[Drawn]
    labels: Sequence[tuple[float, str]]
    ticks: Sequence[tuple[float, str]]
    start: float | None
    zero: float | None

    @property
    def has_printed(self) -> bool:
        """Whether a value has its bias shown beside it."""
        return any(own.printed is not None for own in self.drawn)

    @property
    def description(self) -> str:
        """Every value in words, for who does not see the drawing."""
        return "; ".join(f"{own.mark.name} {own.mark.text}" for own in self.drawn)


def chart(title: str, reading: str, rows: Sequence[Row], *, bars: bool = False) -> Chart:
    """Lay out rows of marks below each other over one axis; `bars` are drawn from zero."""
    marks = [mark for row in rows for mark in row.marks]
    low, high = _reach(marks, bars)
    scale = (WIDTH - LEFT - RIGHT) / (high - low)

    def x(value: float) -> float:
        return round(LEFT + (min(max(value, low), high) - low) * scale, 2)

    drawn, labels, y = [], [], 0.0
    for row in rows:
        y += ROW
        if row.name:
            labels.append((y + LABEL - 5, row.name))
            y += LABEL
        for mark in row.marks:
            if not row.name:
                labels.append((y + LABEL - 5, mark.name))
                y += LABEL
            first, last = mark.interval or (mark.value, mark.value)
            printed = None if mark.printed is None else x(mark.printed)
            drawn.append(Drawn(mark, y + MARK / 2, x(mark.value), x(first), x(last), printed))
            y += MARK
    ticks = [(x(value), text) for value, text in ticks_of(low, high)]
    has_zero = low <= 0 <= high
    return Chart(title, reading, y + BELOW, drawn, labels, ticks, x(0) if bars else None, x(0) if has_zero else None)


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
