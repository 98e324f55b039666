"""Plain tables and numbers."""

import math
from collections.abc import Collection, Sequence


def align(rows: Sequence[Sequence[str]], left: Collection[int]) -> list[str]:
    """Rows as lines of aligned columns, those numbered in `left` to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def interval_text(interval: tuple[float, float] | None, standard_error: float | None) -> str:
    """Both ends to the digit that the standard error reaches, "-" without one."""
    if interval is None or standard_error is None:
        return "-"
    if standard_error == 0:  # a share of 0 or 1 has an interval all the same
        return f"{interval[0]:.3g} to {interval[1]:.3g}"
    digits = max(0, 1 - math.floor(math.log10(standard_error)))
    low, high = (f"{end:.{digits}f}" if digits < 10 else f"{end:.3g}" for end in interval)
    return f"{low} to {high}"
