"""A plan as plain text."""

from typing import TYPE_CHECKING

from ..common.text import align, interval_text, number_text

if TYPE_CHECKING:
    from ..commands.plan import Need, Plan

_MOST = 1_000_000_000
_ASSUMED = (
    "Same way: both models fail as the pilot does, one more than the other. Different ways: nothing of their faults is "
    "shared; plan for these unless you know better."
)


def plan_text(plan: "Plan") -> str:
    """A table for each pilot, what was assumed, and warnings."""
    lines: list[str] = []
    for need in plan.needs:
        lines += [_title(need), *_table(need), *([f"warning: {need.remark}"] if need.remark else []), ""]
    lines += [*(f"warning: {warning}" for warning in plan.warnings), *([""] if plan.warnings else [])]
    lines.append(
        f"Pictures in each generated set for a power of {plan.power:.0%} at level {plan.alpha:.0%} (two-sided, "
        "unpaired unless said), with the reference at hand; sets that share seeds need fewer."
    )
    if not all(need.both for need in plan.needs):
        lines.append(_ASSUMED)
    return "\n".join(lines) + "\n"


def _title(need: "Need") -> str:
    interval = "" if need.interval is None else f" (95 % {interval_text(need.interval, None)})"
    return f"{need.metric} on {need.backbone}: {need.about}, {number_text(need.value, _error(need))}{interval}"


def _error(need: "Need") -> float | None:
    return None if need.interval is None else (need.interval[1] - need.interval[0]) / 4


def _table(need: "Need") -> list[str]:
    columns = ("Pictures a set",) if need.both else ("Same way", "Different ways")
    rows: list[tuple[str, ...]] = [("Difference", "", *columns)]
    for size in need.sizes:
        counts = [_count(size.alike, size.reference_alike), _count(size.unlike, size.reference_unlike)]
        rows.append((number_text(size.difference), size.about, *counts[: len(columns)]))
    return align(rows, left=(1,))


def _count(n: int | None, reference: int) -> str:
    if n is None:
        return f"needs {_large(reference)} reference pictures"
    return _large(n)


def _large(n: int) -> str:
    return f"{n:,}" if n <= _MOST else f"over {_MOST:,}"
