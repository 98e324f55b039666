"""Plain tables and numbers: how many digits are printed, everywhere the same."""

import math
import re
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal

_MOST_DECIMALS = 15  # what is smaller is rounding; JSON keeps every digit
_SIGNIFICANT = 4  # of a number without an error
_MOST_COUNT = 1_000_000_000
_LEAST_P = 1e-4
_LEAST_EXPONENT = -20  # no approximation is known that far out


def align(rows: Sequence[Sequence[str]], left: Collection[int]) -> list[str]:
    """Rows as lines of aligned columns, those numbered in `left` to the left, the others to the right."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def number_text(value: float, error: float | None = None, *, significant: int = _SIGNIFICANT, sign: str = "") -> str:
    """A number in plain decimals: two digits of its error decide how many, without an error four of its own.

    `sign` is "+" for differences. No exponent, and no minus before a zero.
    """
    return fixed_text(value, decimals_of(error, 2) if error else decimals_of(value, significant), sign)


def difference_text(value: float) -> str:
    """A difference that was asked for: as `number_text`, with an exponent where that would show one digit or none."""
    return number_text(value) if abs(value) >= 10.0 ** (1 - _MOST_DECIMALS) else f"{value:.{_SIGNIFICANT}g}"


def large_text(count: int) -> str:
    """A number of pictures; from some size on that it is larger."""
    return f"{count:,}" if count <= _MOST_COUNT else f"over {_MOST_COUNT:,}"


def interval_text(interval: tuple[float, float] | None, error: float | None) -> str:
    """Both ends to the decimals of the value, "-" without an interval."""
    if interval is None:
        return "-"
    low, high = interval
    decimals = decimals_of(_scale(interval, error), 2)
    return f"{fixed_text(low, decimals)} to {fixed_text(high, decimals)}"


def estimate_texts(
    value: float, corrected: float | None, error: float | None, interval: tuple[float, float] | None
) -> tuple[str, str, str, str]:
    """Value, value without bias, standard error and interval, all to the same decimals; "-" for what is not known."""
    scale = _scale(interval, error) if interval is not None else error
    shown = "-" if error is None else number_text(error, scale)
    other = "-" if corrected is None else number_text(corrected, scale)
    return number_text(value, scale), other, shown, interval_text(interval, error)


def _scale(interval: tuple[float, float], error: float | None) -> float:
    """The error; a share of 0 or 1 has none, but an interval all the same, whose half width stands in."""
    return error or (interval[1] - interval[0]) / 2


def decimals_of(number: float, significant: int) -> int:
    """How many decimals show that many digits of the number."""
    if number == 0 or not math.isfinite(number):
        return 0
    rounded = abs(float(f"{number:.{significant - 1}e}"))  # 0.00996 becomes 0.010, which has two digits at three
    return min(max(significant - 1 - math.floor(math.log10(rounded)), 0), _MOST_DECIMALS)


def fixed_text(value: float, decimals: int, sign: str = "") -> str:
    """The value to so many decimals, zero without a sign."""
    text = f"{value:{sign}.{decimals}f}"
    return text if float(text) else text.lstrip("+-")


def beyond_text(value: float, limit: float, error: float | None) -> str:
    """As `number_text`, with as many decimals more as show on which side of the limit the value lies."""
    decimals = decimals_of(error, 2) if error else decimals_of(value, _SIGNIFICANT)
    texts = (fixed_text(value, places) for places in range(decimals, 2 * _MOST_DECIMALS))
    return next((text for text in texts if (float(text) - limit) * (value - limit) > 0), plain(value))


def plain(number: float) -> str:
    """A number as it was typed, without an exponent."""
    return f"{Decimal(repr(float(number))).normalize():f}"


def p_text(p_value: float) -> str:
    """A p-value in a table; of a tiny one the order of magnitude."""
    return f"{p_value:.2g}" if p_value >= _LEAST_P else f"< {p_bound(p_value)}"


def p_phrase(p_value: float) -> str:
    """A p-value in a sentence, in the form of tables."""
    return f"p = {p_text(p_value)}" if p_value >= _LEAST_P else f"p {p_text(p_value)}"


def p_bound(p_value: float) -> str:
    """The next power of ten above a tiny p-value."""
    if p_value > _LEAST_P / 10:
        return plain(_LEAST_P)
    exponent = math.floor(math.log10(p_value)) + 1 if p_value > 0 else _LEAST_EXPONENT
    return f"1e{max(exponent, _LEAST_EXPONENT)}"


def first_names(names: Iterable[object], most: int = 6) -> str:
    """The first names, and how many more there are."""
    first = [str(name) for name in names]
    more = f" and {len(first) - most} more" if len(first) > most else ""
    return ", ".join(first[:most]) + more or "nothing"


def in_lines(lines: Iterable[str]) -> str:
    """The lines as one text; no name in them breaks a line or moves a cursor."""
    return "".join(f"{printable(line).rstrip()}\n" for line in lines)


def printable(text: str) -> str:
    """The text with everything that cannot be shown escaped: file names may hold anything."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def first_line(error: BaseException) -> str:
    """What another library's error says, in one line; its name where it says nothing or cannot."""
    try:
        said = str(error)
    except (Exception, SystemExit):
        said = ""
    return next(filter(str.strip, said.splitlines()), type(error).__name__)


def without_middle(text: str, most: int) -> str:
    """A long name with its middle left out. The end tells more: it is where numbers stand."""
    if len(text) <= most:
        return text
    tail = (most - 1) * 2 // 3
    return f"{text[: most - 1 - tail]}…{text[len(text) - tail :]}"


def any_word(words: Iterable[str]) -> re.Pattern[str]:
    """What finds any of these words, the longest first, where no letter or digit stands beside it."""
    ordered = sorted(filter(None, set(words)), key=len, reverse=True)
    return re.compile("|".join(rf"(?<!\w){re.escape(word)}(?!\w)" for word in ordered) or "(?!)")
