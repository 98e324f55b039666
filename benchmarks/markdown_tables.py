"""Tables of the benchmarks as Markdown."""

from collections.abc import Iterable, Sequence


def table(headings: Sequence[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Its lines."""
    return [f"| {' | '.join(row)} |" for row in (headings, ["---"] * len(headings), *rows)]


def percent_cells(values: Iterable[object]) -> list[str]:
    """Shares in per cent, all else as it is."""
    return [f"{100 * value:.1f} %" if isinstance(value, float) else str(value) for value in values]
