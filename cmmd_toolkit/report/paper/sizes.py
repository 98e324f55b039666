"""A plan on paper: pictures for each difference, and curves of them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ...common.text import difference_text, large_text
from ...errors import ArgumentError
from .panel import Curve, Curves
from .rows import Row
from .table import Cell, Heading, PaperTable, name_cell, number_cell

if TYPE_CHECKING:
    from ..plan import Need, Plan, Size

COLUMNS: tuple[str, ...] = (
    *("backbone", "metric", "about", "value", "low", "high", "difference", "difference_about", "pictures_same_way"),
    *("pictures_different_ways", "reference_same_way", "reference_different_ways", "as_many_same_way"),
    *("as_many_different_ways", "power", "alpha", "remark"),
)

_BOTH = "Both models are known: nothing is assumed about the way they fail."
_ASSUMED = (
    "Same way: both models make the same kinds of mistakes, one more of them; different ways: their mistakes have "
    "nothing in common. Unless you know better, plan for these."
)
_TOO_SMALL = (
    "None: the reference is too small for any number of generated pictures; in brackets how many it needs at least."
)


def tidy_rows(plan: "Plan") -> list[Row]:
    """One row for each pilot and difference."""
    rows: list[Row] = []
    for need in plan.needs:
        low, high = need.interval or (None, None)
        shared: Row = {"backbone": need.backbone, "metric": need.metric, "about": need.about, "value": need.value}
        for size in need.sizes:
            rows.append(
                {
                    **shared,
                    "low": low,
                    "high": high,
                    "difference": size.difference,
                    "difference_about": size.about,
                    "pictures_same_way": size.alike,
                    "pictures_different_ways": size.unlike,
                    "reference_same_way": size.reference_alike,
                    "reference_different_ways": size.reference_unlike,
                    "as_many_same_way": size.as_many_alike,
                    "as_many_different_ways": size.as_many_unlike,
                    "power": plan.power,
                    "alpha": plan.alpha,
                    "remark": need.remark or None,
                }
            )
    return rows


def tables(plan: "Plan") -> list[PaperTable]:
    """A table for each pilot."""
    return [_table(plan, need) for need in plan.needs]


def _table(plan: "Plan", need: "Need") -> PaperTable:
    headings = (Heading("Difference"), Heading("", is_name=True), *map(Heading, need.columns))
    caption = (
        f"Pictures in each generated set that show a difference in {need.metric} on {need.backbone} with a power of "
        f"{plan.power:.0%} at level {plan.alpha:.0%} (two-sided): {need.about}."
    )
    notes = [_BOTH if need.both else _ASSUMED]
    if any(size.alike is None or size.unlike is None for size in need.sizes):
        notes.append(_TOO_SMALL)
    if need.remark:
        notes.append(f"{need.remark.partition('; ')[0]}.")
    about = ("plan", need.backbone, need.metric, need.about)
    return PaperTable(caption, headings, tuple(_cells(need, size) for size in need.sizes), tuple(notes), about)


def _cells(need: "Need", size: "Size") -> tuple[Cell, ...]:
    counts = [_count(size.alike, size.reference_alike), _count(size.unlike, size.reference_unlike)]
    return number_cell(difference_text(size.difference)), name_cell(size.about), *counts[: len(need.columns)]


def _count(n: int | None, reference: int) -> Cell:
    return number_cell(f"none ({large_text(reference)})" if n is None else large_text(n))


def panels(plan: "Plan") -> list[Curves]:
    """Pictures against difference, a panel for each pilot that has a number."""
    sizes = [size for need in plan.needs for size in need.sizes]
    if not sizes:
        raise ArgumentError("nothing to draw: no difference to plan for; give one as a number")
    if not any(size.alike or size.unlike for size in sizes):
        raise ArgumentError("nothing to draw: no number of pictures is enough with this reference; use a larger one")
    panels = [_panel(need) for need in plan.needs]
    return [panel for panel in panels if any(curve.points for curve in panel.curves)]


def _panel(need: "Need") -> Curves:
    """Where both models are known, one curve; else both cases, also the one for which there is no number."""
    alike = _curve("same way", [(size.difference, size.alike) for size in need.sizes])
    unlike = _curve("different ways", [(size.difference, size.unlike) for size in need.sizes])
    curves = (replace(alike, label=""),) if need.both else (alike, unlike)
    return Curves(f"{need.backbone}: {need.about}", f"difference in {need.metric}", "pictures per set", curves)


def _curve(label: str, sizes: Sequence[tuple[float, int | None]]) -> Curve:
    """The numbers that there are; the label says for how many differences the reference is too small."""
    points = tuple(sorted((difference, float(n)) for difference, n in sizes if n and difference > 0))
    missing = sum(n is None for _, n in sizes)
    if missing == len(sizes):
        label += ": reference too small"
    elif missing:
        label += f" (for {missing} of {len(sizes)} too small a reference)"
    return Curve(label, points)
