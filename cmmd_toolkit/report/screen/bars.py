"""Intervals as small bars, on one axis for all that are of one kind."""

from collections.abc import Sequence

from ..tables import Span

LEAST_BAR, MOST_BAR = 12, 28  # cells


def bars(spans: Sequence[Span | None], width: int) -> list[str]:
    """A bar for each interval, "" for none; those of one kind share an axis, from their lowest end to their highest.

    That of a single interval begins or ends at zero, so that the bar shows whether it is far from it.
    """
    return ["" if span is None else _bar(span, *_axis(span, spans), width) for span in spans]


def _axis(span: Span, spans: Sequence[Span | None]) -> tuple[float, float]:
    own = [other for other in spans if other is not None and other.kind == span.kind]
    low, high = min(other.low for other in own), max(other.high for other in own)
    return (low, high) if len(own) > 1 else (min(low, 0.0), max(high, 0.0))


def _bar(span: Span, low: float, high: float, width: int) -> str:
    scale = (width - 1) / (high - low) if high > low else 0.0
    start, place, end = (round((value - low) * scale) for value in (span.low, span.value, span.high))
    signs = [" "] * start + ["─"] * (end - start + 1)
    signs[start], signs[end] = "├", "┤"
    signs[min(max(place, start), end)] = "●"
    return "".join(signs)
