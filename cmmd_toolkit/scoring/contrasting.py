"""The pictures behind the difference of two squared MMDs to one reference."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..estimation.nearest_rows import kth_neighbours
from ..estimation.pair_distances import Points
from ..features.unit_rows import SomeRows
from ..inference.relative import compare_mmd, kept_for_tests
from ..inference.witness import Witness, witness
from ..metrics.mmd import MmdReference
from ..report.contrast import ContrastSection
from ..report.section import Entry
from .driving import entries_of, first_rows

Vector = NDArray[np.float64]
Names = tuple[Sequence[str], Sequence[str], Sequence[str]]


def contrast_section(
    backbone: str, ruler: MmdReference, generated: tuple[SomeRows, SomeRows], names: Names, top: int
) -> ContrastSection:
    """The lists of one backbone; see `contrast`. `names` are those of the reference and both sets, by row.

    D = MMD^2(x, y) - MMD^2(x, z). Without a row y it changes as MMD^2(x, y) does, without z by the negative of
    MMD^2(x, z)'s change, without x by the difference of both.
    """
    scores = [kept_for_tests(ruler.score(rows), paired=False) for rows in generated]
    found = [witness(score) for score in scores]
    known = all(score.estimate.standard_error is not None for score in scores)
    test = compare_mmd(*scores, paired=False) if known else None
    x, y, z = (Points(np.asarray(rows)) for rows in (ruler.rows, *generated))
    worst = [
        _worst(own, points, x, names, side, top) for side, (own, points) in enumerate(zip(found, (y, z), strict=True))
    ]
    nearer = found[1].reference - found[0].reference  # similarity to the first set less that to the second
    change = found[0].reference_change - found[1].reference_change
    return ContrastSection(
        backbone,
        scores[0].estimate,
        scores[1].estimate,
        scores[0].estimate.value - scores[1].estimate.value,
        None if test is None else test.standard_error,
        None if test is None else test.interval,
        None if test is None else test.p_value,
        worst[0],
        worst[1],
        _covered(nearer, change, -nearer, x, y, (names[0], names[1]), top),
        _covered(nearer, change, nearer, x, z, (names[0], names[2]), top),
    )


def _worst(found: Witness, own: Points, x: Points, names: Names, side: int, top: int) -> tuple[Entry, ...]:
    """Generated pictures without which their set would come closest; their change is that of D."""
    changes = found.generated_change
    rows = first_rows(found.generated if np.isnan(changes).any() else changes, top)
    nearest, squared = kth_neighbours(Points(own.rows[rows]), 1, x)
    signed = changes if side == 0 else -changes
    return entries_of(rows, found.generated, signed, names[side + 1], names[0], (nearest, squared))


def _covered(
    values: Vector,
    changes: Vector,
    order: Vector,
    x: Points,
    other: Points,
    names: tuple[Sequence[str], Sequence[str]],
    top: int,
) -> tuple[Entry, ...]:
    """Reference pictures, lowest `order` first, with the nearest one of the set that is denser there."""
    rows = first_rows(order, top)
    near = kth_neighbours(Points(x.rows[rows]), 1, other)
    return entries_of(rows, values, changes, *names, near)
