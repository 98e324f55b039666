"""The listed pictures of one backbone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..common.text import fixed_text, interval_text, number_text
from ..estimation.estimate import Estimate
from ..inference.witness import Witness
from ..pictures.load import Load
from .document import IF_KNOWN, NOT_SAVED
from .modes import Modes

Pictures = Mapping[int, Load] | str  # by row, how to read a picture again, or why it cannot be


@dataclass(frozen=True)
class Entry:
    """One listed picture.

    Attributes:
        name: in its folder, archive or batch; "row 7" where stored features have no names.
        row: its place among the usable pictures of its set, from 0.
        witness: f, see `inference.witness`.
        change: of squared MMD without this one picture; below zero, the sets would be closer. None in a set of two.
        nearest: the name of the picture on the other side with the closest features.
        distance: to that one, in feature units.
        nearest_row: its row; not in the JSON form, so None in a loaded explanation.
    """

    name: str
    row: int
    witness: float
    change: float | None
    nearest: str
    distance: float
    nearest_row: int | None = field(default=None, compare=False, metadata=NOT_SAVED)

    @property
    def texts(self) -> tuple[str, str, str]:
        """Witness, change and distance as they are printed; "-" for an unknown change."""
        change = "-" if self.change is None else number_text(self.change, significant=2, sign="+")
        return fixed_text(self.witness, 4, "+"), change, number_text(self.distance, significant=3)


@dataclass(frozen=True)
class Section:
    """What one backbone sees.

    Attributes:
        squared_mmd: the unbiased estimate, with its interval and bandwidth.
        alien: generated pictures, lowest witness first: far from the reference, crowded by generated ones.
        uncovered: reference pictures, highest witness first: where generated pictures are rare.
        strays: generated pictures, those first whose nearest reference picture is farthest; a few of them hardly move
            a squared MMD, so they may be missing from `alien`.
        modes: kinds of pictures whose shares differ; None where there are none, or none were asked for.
        witness: of every picture of both sets, in their order; not in the JSON form, so None in a loaded explanation.
    """

    backbone: str
    squared_mmd: Estimate
    alien: tuple[Entry, ...]
    uncovered: tuple[Entry, ...]
    strays: tuple[Entry, ...]
    modes: Modes | None = field(default=None, metadata=IF_KNOWN)
    witness: Witness | None = field(default=None, repr=False, compare=False, metadata=NOT_SAVED)

    @property
    def value_text(self) -> str:
        """The squared MMD, and its interval where it has one, as they are printed."""
        estimate = self.squared_mmd
        value = number_text(estimate.value, estimate.standard_error)
        interval = interval_text(estimate.interval, estimate.standard_error)
        return value if interval == "-" else f"{value} (95 % interval {interval})"

    def at_rows(self, reference: NDArray[np.int64], generated: NDArray[np.int64]) -> "Section":
        """The section of a draw of both sets, with the rows that the pictures have in the whole sets."""
        alien, strays = (_moved(own, generated, reference) for own in (self.alien, self.strays))
        return replace(self, alien=alien, uncovered=_moved(self.uncovered, reference, generated), strays=strays)


def _moved(entries: Sequence[Entry], own: NDArray[np.int64], other: NDArray[np.int64]) -> tuple[Entry, ...]:
    moved = [(int(own[e.row]), None if e.nearest_row is None else int(other[e.nearest_row])) for e in entries]
    return tuple(replace(e, row=row, nearest_row=near) for e, (row, near) in zip(entries, moved, strict=True))
