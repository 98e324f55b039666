"""What `exhibit=True` keeps of embedded sets for a page: drawn pictures, maps and the pictures that drive distances."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import CmmdError
from ..estimation.principal import plane_of
from ..features.features import rows_needed
from ..metrics.mmd import Bandwidth
from ..pictures.sources import subset_rows
from ..report.exhibit import NOT_ASKED, Difference, Drivers, Exhibit, Map, ShownSet
from ..report.section import Section
from ..sets.embed_sets import EmbeddedSets
from ..sets.side import Side
from .driving import listed_rows, pictures_of, section_of

MOST_DRAWN = 2400  # pictures of all sets together, on the map and in the sheets
MOST_SETS = 6  # generated ones
MOST_DRIVING = 4000  # pictures a set among which those are looked for that drive a distance
LISTED, LISTED_OF_MANY, MANY = 6, 3, 6  # pictures a list; fewer where backbones times sets are many


def exhibit_of(
    sets: EmbeddedSets,
    wanted: bool,
    bandwidth: Bandwidth | None,
    sections: Sequence[Section] | None = None,
    differences: tuple[Difference, ...] = (),
) -> Exhibit | str:
    """The exhibit, where it is wanted; `sections` are those of an explanation, `differences` of a contrast.

    Every process of several makes it: they share the blocks of its kernels.
    """
    if not wanted:
        return NOT_ASKED
    sides = sets.sides[: MOST_SETS + 1]
    drawn = [_drawn(side, max(2, MOST_DRAWN // len(sides)), sets.run.seed) for side in sides]
    without = [side.label for side in sides if not side.has_rows]
    maps: tuple[Map, ...] | str = rows_needed(without[0], "a map") if without else _maps(sets, drawn)
    drivers: tuple[Drivers, ...] | str
    if without:
        drivers = rows_needed(without[0], "an explanation")
    elif differences:
        drivers = ()
    elif sections is not None:
        drivers = tuple(Drivers(1, section) for section in sections)
    else:
        drivers = _drivers(sets, len(sides), bandwidth)
    listed = [[*_driving(drivers, i), *_listed(differences, i)] for i in range(len(sides))]
    shown = tuple(_shown(*own) for own in zip(sides, drawn, listed, strict=True))
    left_out = tuple(side.label for side in sets.sides[len(sides) :])
    return Exhibit(shown, maps, drivers, left_out, differences)


def _drawn(side: Side, most: int, seed: int) -> NDArray[np.int64]:
    known = side.summary is not None or side.has_rows
    return subset_rows(len(side.picture_names()), most, seed) if known else np.arange(0)


def _maps(sets: EmbeddedSets, drawn: Sequence[NDArray[np.int64]]) -> tuple[Map, ...]:
    """One for each backbone, of rows as the MMD of the recipe takes them."""
    found = []
    ends = np.cumsum([len(rows) for rows in drawn])
    for k, backbone in enumerate(sets.backbones):
        every = [sets.recipe.mmd_rows(own)[rows] for own, rows in zip(sets.features_on(k), drawn, strict=False)]
        points, shares = plane_of(np.concatenate(every), sets.run.seed)
        found.append(Map(backbone, tuple(np.split(points, ends[:-1])), shares))
    return tuple(found)


def _drivers(sets: EmbeddedSets, count: int, bandwidth: Bandwidth | None) -> tuple[Drivers, ...] | str:
    """Lists for every shown generated set under every backbone, by the unbiased squared MMD, or why there is none.

    What was computed before is never lost over them.
    """
    top = LISTED if (count - 1) * len(sets.backbones) <= MANY else LISTED_OF_MANY
    try:
        return tuple(
            _driver(sets, i, k, sets.recipe.bandwidth_or(bandwidth), top)
            for i in range(1, count)
            for k in range(len(sets.backbones))
        )
    except CmmdError as error:
        return str(error)


def _driver(sets: EmbeddedSets, generated: int, backbone: int, bandwidth: Bandwidth, top: int) -> Drivers:
    features, sides = sets.features_on(backbone), (sets.sides[0], sets.sides[generated])
    rows, names, few = [], [], []
    for side, own in zip(sides, (features[0], features[generated]), strict=True):
        every, known = sets.recipe.mmd_rows(own), side.picture_names()
        index = subset_rows(len(every), MOST_DRIVING, sets.run.seed)
        rows.append(every if len(index) == len(every) else every[index])
        names.append([known[row] for row in index])
        few.append(index)
    reference, other = rows
    section = section_of(
        sets.backbones[backbone],
        reference,
        other,
        (names[0], names[1]),
        bandwidth=bandwidth,
        top=top,
        seed=sets.run.seed,
    )
    return Drivers(generated, section.at_rows(few[0], few[1]), _note(sides, few))


def _note(sides: Sequence[Side], few: Sequence[NDArray[np.int64]]) -> str:
    cut = [
        f"{len(own):,} of {side.size:,} {side.short}"
        for side, own in zip(sides, few, strict=True)
        if side.size and len(own) < side.size
    ]
    return f"From a random draw: {', '.join(cut)}." if cut else ""


def _driving(drivers: tuple[Drivers, ...] | str, place: int) -> set[int]:
    """Rows of one set that the lists need."""
    sections = [] if isinstance(drivers, str) else [d.section for d in drivers if place in (0, d.generated)]
    return listed_rows(sections, is_reference=place == 0)


def _listed(differences: Sequence[Difference], place: int) -> set[int]:
    lists = [own for difference in differences for own in difference.lists]
    near = {e.nearest_row for own in lists if own.other == place for e in own.entries if e.nearest_row is not None}
    return near | {entry.row for own in lists if own.place == place for entry in own.entries}


def _shown(side: Side, rows: NDArray[np.int64], listed: Sequence[int]) -> ShownSet:
    names = side.picture_names() if len(rows) else ()
    pictures = pictures_of(side, sorted({*rows.tolist(), *listed}))
    return ShownSet(side.label, side.short, side.size, rows, tuple(names[row] for row in rows), pictures)
