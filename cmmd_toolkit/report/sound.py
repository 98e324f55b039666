"""What must hold of a record that is read from a file besides the types of its parts: without it a form would fail."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

_COUNTED = ("formats", "sizes", "converted")


def require(holds: bool, place: str, expected: str) -> None:
    """Raise ValueError where something does not hold."""
    if not holds:
        raise ValueError(f"{place}: expected {expected}")


def check_sets(sets: Sequence[Mapping[str, Any]]) -> None:
    """Raise ValueError unless every set is described as `sets.warnings.describe` does it."""
    for i, own in enumerate(sets):
        require(is_description(own), f"sets[{i}]", "the description of a set")


def is_description(own: Any) -> bool:
    """Whether this is what a record says of a set of pictures."""
    return (
        isinstance(own, Mapping)
        and isinstance(own.get("name"), str)
        and is_count(own.get("n"))
        and all(isinstance(own.get(name), Mapping) for name in _COUNTED)
        and all(is_count(n) for name in _COUNTED for n in own[name].values())
        and isinstance(own.get("skipped"), list)
    )


def is_count(value: Any) -> bool:
    """Whether this is a whole number of zero or more."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def check_known(names: Collection[str], known: Collection[str], place: str) -> None:
    """Raise ValueError unless all names are among those that the record speaks of."""
    for name in names:
        require(name in known, place, f"one of {', '.join(known)}, got {name!r:.60}")


def check_level(alpha: float, place: str) -> None:
    """Raise ValueError for what is no level of a test."""
    require(0 < alpha < 1, place, "a number between 0 and 1")
