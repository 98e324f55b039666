"""Single numbers that callers give: checked once, refused in words."""

import re
from numbers import Integral, Real
from typing import Any

from ..errors import ArgumentError

MOST_REPEATS = 1_000_000  # permutations, projections, subsets: more is a slip, and hours
_SIZE = re.compile(r"(\d+(?:\.\d*)?)\s*([KMGT]?)B?", re.IGNORECASE)
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
MOST_SEED = 2**32 - 1  # what every generator takes: numpy's old and new one, torch's


def whole_number(value: Any, name: str, least: int, most: int | None = None) -> int:
    """The value as an int, or an ArgumentError."""
    whole = isinstance(value, Integral) or (isinstance(value, Real) and float(value).is_integer())
    too_large = whole and most is not None and int(value) > most
    if not whole or int(value) < least or too_large:
        allowed = f"most {most}" if too_large else f"least {least}"
        raise ArgumentError(f"{name}: expected a whole number of at {allowed}, got {value!r}")
    return int(value)


def real_number(value: Any, name: str, expected: str) -> float:
    """The value as a float, NaN and infinity included, or an ArgumentError that says what was expected."""
    try:
        if not isinstance(value, (str, bytes)):
            return float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        pass
    raise ArgumentError(f"{name}: expected {expected}, got {value!r}")


def text(value: Any, name: str) -> str:
    """The value if it is a name, or an ArgumentError."""
    if not isinstance(value, str):
        raise ArgumentError(f"{name}: expected a name, got {type(value).__name__} {value!r:.60}")
    return value


def check_seed(seed: Any) -> int:
    """The seed as an int, or an ArgumentError."""
    return whole_number(seed, "seed", 0, MOST_SEED)


def check_alpha(alpha: Any) -> float:
    """The level of a test as a number between 0 and 1, or an ArgumentError."""
    level = real_number(alpha, "alpha", expected := "a number between 0 and 1")
    if not 0 < level < 1:
        raise ArgumentError(f"alpha: expected {expected}, got {alpha}")
    return level


def parse_size(text: str, title: str) -> int:
    """Bytes written as 500MB, 2GB or 1000; raises ArgumentError that begins with `title`."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ArgumentError(f"{title} {text}: expected a size such as 500MB or 2GB")
    return int(float(found[1]) * _UNITS[found[2].upper()])
