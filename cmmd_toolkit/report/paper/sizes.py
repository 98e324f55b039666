"""A plan on paper: pictures for each difference, and curves of them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ...common.text import number_text
from ...errors import ArgumentError
from .panel import Curve, Curves
from .rows import Row
from .table import Cell, Heading, PaperTable, name_cell, number_cell

if TYPE_CHECKING:
    from ..plan import Need, Plan

COLUMNS = (
    *("backbone", "metric", "about", "value", "low", "high", "difference", "difference_about", "pictures_same_way"),
    *("pictures_different_ways", "reference_same_way", "reference_different_ways", "as_many_same_way"),
    *("as_many_different_ways", "power", "alpha", "remark"),
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


def size_tables(plan: "Plan") -> list[PaperTable]:
    """One table of all pilots."""
    columns = ("Same way", "Different ways")
    headings = [Heading(name, is_name=True) for name in ("Backbone", "Pilot")]
    headings += [
        Heading("Difference"),
        Heading("", is_name=True),
        *(Heading(name, "Pictures per set") for name in columns),
    ]
    rows = [row for need in plan.needs for row in _rows(need)]
    caption = (
        f"Pictures in each generated set that show a difference with a power of {plan.power:.0%} at level "
        f"{plan.alpha:.0%} (two-sided)."
    )
    notes = [
        "Same way: both models make the same kinds of mistakes, one more of them; different ways: their mistakes have "
        "nothing in common. One number where both models are known. None: no number suffices with this reference."
    ]
    notes += [f"{need.about}: {need.remark.partition('; ')[0]}." for need in plan.needs if need.remark]
    return [PaperTable(caption, tuple(headings), tuple(rows), tuple(notes))]


def _rows(need: "Need") -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for size in need.sizes:
        names = (name_cell(need.backbone), name_cell(f"{need.about} ({need.metric})"))
        counts = [number_cell("none" if n is None else f"{n:,}") for n in (size.alike, size.unlike)]
        difference = number_cell(number_text(size.difference)), name_cell(size.about)
        rows.append((*names, *difference, counts[0], number_cell("") if need.both else counts[1]))
    return rows


def size_panels(plan: "Plan") -> list[Curves]:
    """Pictures against difference, a panel for each pilot that has a number."""
    if not any(size.alike or size.unlike for need in plan.needs for size in need.sizes):
        raise ArgumentError("nothing to draw: no number of pictures suffices with this reference; enlarge it")
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
    points = tuple(sorted((difference, n) for difference, n in sizes if n and difference > 0))
    missing = sum(n is None for _, n in sizes)
    if missing == len(sizes):
        label += ": reference too small"
    elif missing:
        label += f" (for {missing} of {len(sizes)} too small a reference)"
    return Curve(label, points)
