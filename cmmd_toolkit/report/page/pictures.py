"""The parts of a page that show pictures: sheets of the sets, what drives the distance, maps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...common.progress import ShowProgress, show_no_progress
from ..contrast import LEGEND as CONTRAST_LEGEND
from ..exhibit import Drivers, Exhibit, ShownSet
from ..modes import mode_sentence
from ..section import Entry
from .maps import drawn_map
from .part import Part
from .thumbnails import Thumbnail, Thumbnails, Unreadable, read_set

SHEET = 30  # pictures of a set
LISTED = 24  # of a list
_OVER = "Over-represented: generated pictures that are crowded, and far from the reference (lowest witness)"
_UNDER = "Under-represented: reference pictures where generated ones are rare (highest witness)"
_DRIVING = (
    "Left: the listed picture; right: its nearest on the other side. Witness: mean similarity to the reference minus "
    "that to the generated pictures. Change: of squared MMD, if this one picture were removed. Distance: to the "
    "nearest."
)
_STRAYS = "Strays: generated pictures farthest from every reference picture; a few of them hardly move squared MMD"


@dataclass(frozen=True)
class Card:
    """A picture and its name, of the set with that place."""

    place: int
    name: str
    picture: Thumbnail | Unreadable


@dataclass(frozen=True)
class Sheet:
    """Some pictures of one set; `note` says how many, or why there are none."""

    place: int
    name: str
    note: str
    cards: Sequence[Card]


@dataclass(frozen=True)
class Pair:
    """A listed picture, its nearest on the other side, and what is known of it."""

    own: Card
    nearest: Card
    facts: Sequence[str]


@dataclass(frozen=True)
class Listing:
    """One of the lists; `cut` is how many pictures it leaves out."""

    title: str
    pairs: Sequence[Pair]
    cut: int


@dataclass(frozen=True)
class Group:
    """The lists of one generated set under one backbone."""

    title: str
    note: str
    listings: Sequence[Listing]


def picture_parts(exhibit: Exhibit | str, progress: ShowProgress | None) -> list[Part]:
    """Every part that the exhibit allows; for what it lacks, a sentence that says why."""
    if isinstance(exhibit, str):
        return [Part("pictures", "Pictures", "note", f"Not shown: {exhibit}.")]
    chosen = [_chosen(own) for own in exhibit.sets]
    single = [_single(exhibit, place, rows) for place, rows in enumerate(chosen)]
    tiled = [[] if isinstance(exhibit.maps, str) else own.rows.tolist() for own in exhibit.sets]
    total = sum(
        len({*one, *many})
        for own, one, many in zip(exhibit.sets, single, tiled, strict=True)
        if not isinstance(own.pictures, str)
    )
    show = progress if progress and total else show_no_progress
    with show("pictures of the page", total) as advance:
        read = [
            read_set(own.pictures, one, many, advance)
            for own, one, many in zip(exhibit.sets, single, tiled, strict=True)
        ]
    thumbnails = [own for own, _ in read]
    sheets = [_sheet(own, i, chosen[i], thumbnails[i]) for i, own in enumerate(exhibit.sets)]
    left_out = f"Not shown: {', '.join(exhibit.left_out)}." if exhibit.left_out else ""
    return [
        Part("pictures", "Pictures side by side", "sheets", {"sheets": sheets, "left_out": left_out}),
        _differences_part(exhibit, thumbnails) if exhibit.differences else _drivers_part(exhibit, thumbnails),
        *_modes_parts(exhibit, thumbnails),
        _maps_part(exhibit, [address for _, address in read]),
    ]


def _chosen(own: ShownSet) -> list[int]:
    """Rows of the sheet: evenly spread over the draw."""
    if not len(own.rows):
        return []
    return [int(own.rows[i]) for i in np.linspace(0, len(own.rows) - 1, min(SHEET, len(own.rows))).round().astype(int)]


def _single(exhibit: Exhibit, place: int, sheet: Sequence[int]) -> set[int]:
    """The rows that need a thumbnail of their own."""
    rows = set(sheet)
    for listed in (listed for own in exhibit.differences for listed in own.lists):
        shown = listed.entries[:LISTED]
        rows |= {entry.row for entry in shown} if listed.place == place else set()
        near = [entry.nearest_row for entry in shown] if listed.other == place else []
        rows |= {row for row in near if row is not None}
    for own in () if isinstance(exhibit.drivers, str) else exhibit.drivers:
        if place not in (0, own.generated):
            continue
        real = own.section.uncovered[:LISTED]
        fake = (*own.section.alien[:LISTED], *own.section.strays[:LISTED])
        mine, others = (real, fake) if place == 0 else (fake, real)
        rows |= {entry.row for entry in mine}
        rows |= {entry.nearest_row for entry in others if entry.nearest_row is not None}
        kinds = () if own.section.modes is None else own.section.modes.kinds
        rows |= {typical.row for mode in kinds if mode.shows_generated == (place > 0) for typical in mode.typical}
    return rows


def _sheet(own: ShownSet, place: int, rows: Sequence[int], thumbnails: Thumbnails) -> Sheet:
    names = dict(zip(own.rows.tolist(), own.names, strict=True))
    size = "" if own.count is None else f"{own.count:,} pictures"
    if isinstance(own.pictures, str):
        return Sheet(
            place, own.short, f"{size}; not shown: {own.pictures}." if size else f"Not shown: {own.pictures}.", ()
        )
    shown = size if len(rows) == own.count else f"{len(rows)} of {size}, spread over the set"
    return Sheet(place, own.short, shown, [Card(place, names[row], thumbnails[row]) for row in rows])


def _drivers_part(exhibit: Exhibit, thumbnails: Sequence[Thumbnails]) -> Part:
    title = "The pictures that drive the distance"
    if isinstance(exhibit.drivers, str):
        return Part("drivers", title, "note", f"Not shown: {exhibit.drivers}.")
    sets = [(place, own.short) for place, own in enumerate(exhibit.sets)]
    groups = [_group(exhibit, own, thumbnails) for own in exhibit.drivers]
    return Part("drivers", title, "drivers", {"sets": sets, "groups": groups, "legend": _DRIVING})


def _differences_part(exhibit: Exhibit, thumbnails: Sequence[Thumbnails]) -> Part:
    sets = [(place, own.short) for place, own in enumerate(exhibit.sets)]
    groups = [
        Group(
            own.backbone,
            own.note,
            [_listing(listed.title, listed.entries, (listed.place, listed.other), thumbnails) for listed in own.lists],
        )
        for own in exhibit.differences
    ]
    legend = "Left: the listed picture; right: its nearest. " + CONTRAST_LEGEND.replace("\n", " ")
    content = {"sets": sets, "groups": groups, "legend": legend}
    return Part("drivers", "The pictures behind the difference", "drivers", content)


def _modes_parts(exhibit: Exhibit, thumbnails: Sequence[Thumbnails]) -> list[Part]:
    """A row of pictures for each kind of each backbone."""
    sheets = []
    for own in () if isinstance(exhibit.drivers, str) else exhibit.drivers:
        for number, mode in enumerate(() if own.section.modes is None else own.section.modes.kinds, 1):
            place = own.generated if mode.shows_generated else 0
            cards = [Card(place, typical.name, thumbnails[place][typical.row]) for typical in mode.typical]
            sheets.append(Sheet(place, f"{own.section.backbone}: {mode_sentence(mode, number)}", "", cards))
    content = {"sheets": sheets, "left_out": ""}
    return [Part("modes", "Kinds of pictures whose shares differ", "sheets", content)] if sheets else []


def _group(exhibit: Exhibit, own: Drivers, thumbnails: Sequence[Thumbnails]) -> Group:
    section, short = own.section, exhibit.sets[own.generated].short
    note = f"Squared MMD of these pictures {section.value_text}. {own.note}".strip()
    fake = own.generated
    listings = [
        _listing(_OVER, section.alien, (fake, 0), thumbnails),
        _listing(_UNDER, section.uncovered, (0, fake), thumbnails),
        _listing(_STRAYS, section.strays, (fake, 0), thumbnails),
    ]
    return Group(f"{short} on {section.backbone}", note, listings)


def _listing(
    title: str, entries: Sequence[Entry], places: tuple[int, int], thumbnails: Sequence[Thumbnails]
) -> Listing:
    """`places` are those of the listed pictures' set and of the other."""
    place, other = places
    pairs = [
        Pair(
            Card(place, entry.name, thumbnails[place][entry.row]),
            Card(
                other,
                entry.nearest,
                Unreadable("unknown") if entry.nearest_row is None else thumbnails[other][entry.nearest_row],
            ),
            _facts(entry),
        )
        for entry in entries[:LISTED]
    ]
    return Listing(title, pairs, len(entries) - len(pairs))


def _facts(entry: Entry) -> list[str]:
    named = zip(("witness", "change", "distance"), entry.texts, strict=True)
    return [f"{name} {text}" for name, text in named if name != "change" or entry.change is not None]


def _maps_part(exhibit: Exhibit, sheets: Sequence[str]) -> Part:
    title = "Map of the sets"
    if isinstance(exhibit.maps, str):
        return Part("map", title, "note", f"Not shown: {exhibit.maps}.")
    drawn = [drawn_map(own, exhibit.sets, [bool(sheet) for sheet in sheets]) for own in exhibit.maps]
    return Part("map", title, "maps", {"maps": drawn, "sheets": sheets})
