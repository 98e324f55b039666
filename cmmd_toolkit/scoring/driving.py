"""The pictures that drive a squared MMD, and how the listed ones are read again."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..estimation.nearest_rows import kth_neighbours
from ..estimation.pair_distances import Points
from ..features.unit_rows import SomeRows
from ..inference.modes import find_modes
from ..inference.witness import witness
from ..metrics.mmd import Bandwidth, MmdReference
from ..pictures.load import Load
from ..pictures.sources import Again, Stream
from ..report.modes import Mode, Modes, Typical, sorted_modes
from ..report.section import Entry, Pictures, Section
from ..sets.side import Side

Rows = NDArray[np.int64]


def section_of(
    backbone: str,
    reference: SomeRows,
    generated: SomeRows,
    names: tuple[Sequence[str], Sequence[str]],
    *,
    bandwidth: Bandwidth,
    top: int,
    seed: int,
    modes: Modes | None = None,
) -> Section:
    """The lists of one backbone and one generated set; see `explain`. `names` are those of both sets, by row."""
    score = MmdReference(reference, bandwidth, "unbiased", seed).score(generated).without_rows()
    found = witness(score)
    lowest, highest = first_rows(found.generated, top), first_rows(-found.reference, top)
    x, y = np.asarray(reference), np.asarray(generated)
    near_x = kth_neighbours(Points(y), 1, Points(x))
    near_y = kth_neighbours(Points(x[highest]), 1, Points(y))
    farthest = first_rows(-near_x[1], top)
    x_names, y_names = names

    def entries(rows: Rows) -> tuple[Entry, ...]:
        nearest = near_x[0][rows], near_x[1][rows]
        return entries_of(rows, found.generated, found.generated_change, y_names, x_names, nearest)

    uncovered = entries_of(highest, found.reference, found.reference_change, x_names, y_names, near_y)
    return Section(backbone, score.estimate, entries(lowest), uncovered, entries(farthest), modes, found)


def modes_of(
    reference: SomeRows, generated: SomeRows, names: tuple[Sequence[str], Sequence[str]], count: int, seed: int
) -> Modes | str:
    """The kinds of pictures whose shares differ most, or why there are none."""
    found = find_modes(reference, generated, count, seed)
    if isinstance(found, str):
        return found
    kinds = [
        Mode(
            own.share_reference,
            own.share_generated,
            own.interval,
            tuple(Typical(names[0][row], int(row)) for row in own.typical_reference),
            tuple(Typical(names[1][row], int(row)) for row in own.typical_generated),
        )
        for own in found.modes
    ]
    (found_x, found_y), (counted_x, counted_y) = found.found, found.counted
    return Modes(sorted_modes(kinds), (len(found_x), len(found_y)), (len(counted_x), len(counted_y)))


def first_rows(values: NDArray[np.float64], top: int) -> Rows:
    """The rows with the lowest values; copies, whose sums may round differently, in their own order."""
    return np.argsort(np.round(values, 12), kind="stable")[:top]


def entries_of(
    rows: Rows,
    values: NDArray[np.float64],
    changes: NDArray[np.float64],
    names: Sequence[str],
    others: Sequence[str],
    nearest: tuple[Rows, NDArray[np.float64]],
) -> tuple[Entry, ...]:
    """The pictures of `rows`; `nearest` are the row and squared distance of each one's nearest among the others."""
    return tuple(
        Entry(
            names[row],
            int(row),
            float(values[row]),
            None if np.isnan(changes[row]) else float(changes[row]),
            others[other],
            float(np.sqrt(squared)),
            int(other),
        )
        for row, other, squared in zip(rows, *nearest, strict=True)
    )


def listed_rows(sections: Sequence[Section], is_reference: bool) -> set[int]:
    """The rows of one side that are in the lists, as themselves or as a neighbour."""
    reals = [entry for section in sections for entry in section.uncovered]
    fakes = [entry for section in sections for entry in (*section.alien, *section.strays)]
    own, others = (reals, fakes) if is_reference else (fakes, reals)
    near = {entry.nearest_row for entry in others if entry.nearest_row is not None}
    kinds = [mode for section in sections if section.modes is not None for mode in section.modes.kinds]
    typical = {own.row for mode in kinds for own in (mode.reference if is_reference else mode.generated)}
    return {entry.row for entry in own} | near | typical


def pictures_of(side: Side, rows: Sequence[int]) -> Pictures:
    """How the usable pictures of those rows are read again, or why they cannot be.

    Both lists are in the source's order, and one may lack what was skipped.
    """
    if side.source is None or side.summary is None:
        return "stored features hold no pictures; give the folder or archive to see them"
    if isinstance(side.source.items, Stream):
        return Again(side.source.items, side.summary.names, rows)
    if not isinstance(side.source.items, Sequence):
        return "a stream of pictures cannot be read twice; give a list, a folder or an archive to see them"
    return _loads(side.source.items, side.summary.names, rows)


def _loads(items: Sequence[tuple[str, Load]], names: Sequence[str], rows: Sequence[int]) -> Mapping[int, Load]:
    if len(items) == len(names):
        return {row: items[row][1] for row in rows}
    wanted = set(rows)
    return {row: load for row, load in enumerate(_usable(items, names)) if row in wanted}


def _usable(items: Sequence[tuple[str, Load]], names: Sequence[str]) -> Iterator[Load]:
    every = iter(items)
    for used in names:
        yield next(load for name, load in every if name == used)
