"""Many pairwise tests at once: Holm's correction, and groups that cannot be told apart."""

from collections.abc import Hashable, Iterable, Mapping
from string import ascii_lowercase
from typing import TypeVar

Pair = tuple[int, int]
Test = TypeVar("Test", bound=Hashable)


def holm(p_values: Mapping[Test, float]) -> dict[Test, float]:
    """Adjusted p-values: rejecting those below alpha errs anywhere with a chance of at most alpha.

    Source: Holm 1979, Scandinavian Journal of Statistics 6.
    """
    ordered = sorted(p_values, key=lambda test: p_values[test])
    adjusted: dict[Test, float] = {}
    largest = 0.0
    for rank, test in enumerate(ordered):
        largest = max(largest, min(1.0, (len(ordered) - rank) * p_values[test]))
        adjusted[test] = largest
    return adjusted


def letters(count: int, different: Iterable[Pair]) -> list[str]:
    """Letters for each of `count` items: two items share a letter exactly when they are not in `different`."""
    groups = alike(count, different)
    return ["".join(_letter(k) for k, group in enumerate(groups) if item in group) for item in range(count)]


def alike(count: int, different: Iterable[Pair]) -> list[tuple[int, ...]]:
    """The largest groups of items that hold no pair of `different`, in order.

    Insert and absorb (Piepho 2004, J. Comput. Graph. Stat. 13): every group that holds a different pair is split.
    """
    groups = [frozenset(range(count))]
    for i, j in different:
        split = [part for group in groups for part in ((group - {i}, group - {j}) if {i, j} <= group else (group,))]
        groups = [group for group in dict.fromkeys(split) if not any(group < other for other in split)]
    return sorted(tuple(sorted(group)) for group in groups)


def _letter(number: int) -> str:
    return ascii_lowercase[number] if number < len(ascii_lowercase) else f"({number + 1})"
