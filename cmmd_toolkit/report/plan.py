"""A plan, and its plain text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..common.text import align, interval_text, number_text
from .paper import sizes
from .paper.panel import Panel
from .paper.record import PaperRecord
from .paper.rows import Row
from .paper.table import PaperTable

_MOST = 1_000_000_000
_ASSUMED = (
    "Same way: if both models make the same kinds of mistakes, one more of them than the other. Different ways: if "
    "their mistakes have nothing in common. Unless you know better, plan for these."
)


@dataclass(frozen=True)
class Size:
    """Pictures in each generated set for one difference, None where no number suffices.

    Attributes:
        difference: in units of the distance; about: what it is, in words.
        alike, unlike: pictures if both models fail in the same way, and if they fail in different ways. Equal where
            both models are at hand.
        reference_alike, reference_unlike: the least reference with which any number suffices.
    """

    difference: float
    about: str
    alike: int | None
    unlike: int | None
    reference_alike: int
    reference_unlike: int


@dataclass(frozen=True)
class Need:
    """For one pilot (a set, or two sets with their relative test): pictures a set for each difference.

    Attributes:
        backbone, metric, about: what was looked at, in words.
        value: the pilot's distance, or the difference of its two sets; interval: 95 %, of that.
        sizes: one for each difference.
        both: whether both models are at hand, so that nothing is assumed about the way they fail.
        remark: what makes the numbers doubtful, or "".
    """

    backbone: str
    metric: str
    about: str
    value: float
    interval: tuple[float, float] | None
    sizes: tuple[Size, ...]
    both: bool
    remark: str = ""


@dataclass(frozen=True)
class Plan(PaperRecord):
    """What `plan` returns.

    Attributes:
        needs: one for each pilot.
        power, alpha: of the two-sided test that it is for.
        warnings, sets, provenance: as in `Report`; those of the report that the plan is made from, its warnings
            excepted.
    """

    kind: ClassVar[str] = "plan"
    schema_version: ClassVar[int] = 1
    columns: ClassVar[tuple[str, ...]] = sizes.COLUMNS

    needs: tuple[Need, ...]
    power: float
    alpha: float
    warnings: tuple[str, ...] = ()
    sets: tuple[Mapping[str, Any], ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def rows(self) -> list[Row]:
        """See `PaperRecord.rows`."""
        return sizes.tidy_rows(self)

    def paper_tables(self) -> list[PaperTable]:
        """See `PaperRecord.paper_tables`."""
        return sizes.size_tables(self)

    def panels(self) -> "Sequence[Panel]":
        """See `PaperRecord.panels`."""
        return sizes.size_panels(self)

    def remarks(self) -> list[str]:
        """See `PaperRecord.remarks`."""
        return [*(f"warning: {text}" for text in self.warnings)]

    def __str__(self) -> str:
        return plan_text(self)


def plan_text(plan: "Plan") -> str:
    """A table for each pilot, what was assumed, and warnings."""
    lines: list[str] = []
    for need in plan.needs:
        lines += [plan_title(need), *align(size_rows(need), left=(1,)), ""]
    lines += plan_notes(plan)
    remarks = [f"{need.about}: {need.remark}" for need in plan.needs if need.remark]
    lines += [f"warning: {warning}" for warning in dict.fromkeys([*remarks, *plan.warnings])]
    return "\n".join(lines) + "\n"


def plan_notes(plan: "Plan") -> list[str]:
    """What the numbers are, and what was assumed."""
    notes = [
        f"Pictures in each generated set for a power of {plan.power:.0%} at level {plan.alpha:.0%} (two-sided, "
        "unpaired unless said), with the reference pictures that were read here; sets that share seeds need fewer."
    ]
    return notes if all(need.both for need in plan.needs) else [*notes, _ASSUMED]


def plan_title(need: "Need") -> str:
    """What was looked at, its value and interval."""
    interval = "" if need.interval is None else f" (95 % {interval_text(need.interval, None)})"
    return f"{need.metric} on {need.backbone}: {need.about}, {number_text(need.value, _error(need))}{interval}"


def _error(need: "Need") -> float | None:
    return None if need.interval is None else (need.interval[1] - need.interval[0]) / 4


def size_rows(need: "Need") -> list[tuple[str, ...]]:
    """The differences as texts, the headings first."""
    columns = ("Pictures per set",) if need.both else ("Same way", "Different ways")
    rows: list[tuple[str, ...]] = [("Difference", "", *columns)]
    for size in need.sizes:
        counts = [count_text(size.alike, size.reference_alike), count_text(size.unlike, size.reference_unlike)]
        rows.append((number_text(size.difference), size.about, *counts[: len(columns)]))
    return rows


def count_text(n: int | None, reference: int) -> str:
    """Pictures, or that no number suffices and how large a reference would."""
    if n is None:
        return f"reference too small, needs {_large(reference)}"
    return _large(n)


def _large(n: int) -> str:
    return f"{n:,}" if n <= _MOST else f"over {_MOST:,}"
