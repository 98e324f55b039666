"""What a page shows besides numbers: a draw of the pictures, maps of the sets, and what drives the distances."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .section import Entry, Pictures, Section

NOT_ASKED = "only the numbers were kept; compute them again with `exhibit`"


@dataclass(frozen=True, eq=False)
class ShownSet:
    """One set of an exhibit.

    Attributes:
        label, short: its name and the short one; count: its pictures, None where a file does not say.
        rows: int64 (n,), the drawn pictures, by their place among the usable ones; names: theirs.
        pictures: by row, how to read the drawn and the listed ones again, or why they cannot be.
    """

    label: str
    short: str
    count: int | None
    rows: NDArray[np.int64]
    names: tuple[str, ...]
    pictures: Pictures


@dataclass(frozen=True, eq=False)
class Map:
    """The drawn pictures of every set on the plane of their two principal components.

    Attributes:
        backbone: whose features.
        points: float64 (n, 2) for each set, in the order of its `rows`.
        shares: of the variance of all drawn features, that of either axis.
    """

    backbone: str
    points: tuple[NDArray[np.float64], ...]
    shares: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Drivers:
    """The pictures that drive the distance of one generated set, by its place among the sets (0 is the reference).

    `note` says on how many pictures the lists rest, "" where on all.
    """

    generated: int
    section: Section
    note: str = ""


@dataclass(frozen=True, eq=False)
class Listed:
    """Pictures of the set of one place, each beside its nearest of another; the sets by their place (0: reference)."""

    title: str
    place: int
    other: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, eq=False)
class Difference:
    """The pictures behind the difference of two generated sets on one backbone; `note` says how large it is."""

    backbone: str
    note: str
    lists: tuple[Listed, ...]


@dataclass(frozen=True, eq=False)
class Exhibit:
    """What `exhibit=True` keeps of a run for `save_html`; it is not in the JSON form.

    Attributes:
        sets: the reference first.
        maps, drivers: one for each backbone, and for each backbone and generated set; or why there are none.
        left_out: generated sets that are not in it.
        differences: in place of drivers, of two generated sets, one for each backbone.
    """

    sets: tuple[ShownSet, ...]
    maps: tuple[Map, ...] | str
    drivers: tuple[Drivers, ...] | str
    left_out: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
