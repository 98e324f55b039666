"""Kinds of pictures whose shares differ, and their plain text."""

from collections.abc import Sequence
from dataclasses import dataclass

_NAMED = 2  # pictures of a kind in the text


@dataclass(frozen=True)
class Typical:
    """A picture near the middle of a kind: its name, and its place among the usable pictures of its set, from 0."""

    name: str
    row: int


@dataclass(frozen=True)
class Mode:
    """One kind of pictures.

    Attributes:
        share_reference, share_generated: of the counted pictures of either set, 0 to 1.
        interval: of the generated share minus the reference's; at 95 % for all kinds of the backbone together.
        reference, generated: typical pictures of either set, the most typical first; up to eight.
    """

    share_reference: float
    share_generated: float
    interval: tuple[float, float]
    reference: tuple[Typical, ...]
    generated: tuple[Typical, ...]

    @property
    def shows_generated(self) -> bool:
        """Whether its pictures are shown from the generated set, which has more of them."""
        return bool(self.generated) and (self.share_generated >= self.share_reference or not self.reference)

    @property
    def reading(self) -> str:
        """What the interval says."""
        if self.interval[0] > 0:
            return "over-represented"
        return "under-represented" if self.interval[1] < 0 else "no difference shown"

    @property
    def typical(self) -> tuple[Typical, ...]:
        """Those of the set that has more of them."""
        return self.generated if self.shows_generated else self.reference


@dataclass(frozen=True)
class Modes:
    """Kinds of pictures, those with the largest difference first.

    Attributes:
        kinds: see `Mode`.
        found: how many reference and generated pictures found the kinds.
        counted: how many others were counted.
    """

    kinds: tuple[Mode, ...]
    found: tuple[int, int]
    counted: tuple[int, int]


def modes_title(modes: Modes) -> str:
    """What the kinds are, and on how many pictures they rest."""
    found, counted = modes.found, modes.counted
    return (
        f"Modes: kinds of pictures, found on {found[0]:,} reference and {found[1]:,} generated pictures, counted on "
        f"{counted[0]:,} and {counted[1]:,} others"
    )


def mode_rows(modes: Modes) -> list[tuple[str, ...]]:
    """The kinds as texts, the headings first."""
    rows: list[tuple[str, ...]] = [("", "Reading", "Reference", "Generated", "Difference (95 %)", "Such as")]
    for place, mode in enumerate(modes.kinds, 1):
        named = ", ".join(own.name for own in mode.typical[:_NAMED])
        shares = percent(mode.share_reference), percent(mode.share_generated)
        rows.append((str(place), mode.reading, *shares, difference(mode), named))
    return rows


def percent(share: float) -> str:
    """A share in per cent."""
    return f"{100 * share:.1f} %"


def difference(mode: Mode) -> str:
    """The interval of the difference in percentage points."""
    low, high = (100 * end for end in mode.interval)
    return f"{low:.1f} to {high:.1f}"


def mode_sentence(mode: Mode, place: int) -> str:
    """One kind, for a heading above its pictures."""
    shares = f"{percent(mode.share_generated)} of the generated and {percent(mode.share_reference)} of the reference"
    return f"mode {place}, {mode.reading}: {shares} pictures, {difference(mode)} points apart"


MODES_LEGEND = (
    "Mode: a cluster along the directions in which the two sets differ most; difference: generated minus reference, in "
    "percentage points, on pictures that did not find the mode, at 95 % for all modes of a backbone together."
)


def sorted_modes(kinds: Sequence[Mode]) -> tuple[Mode, ...]:
    """Those shown to differ first, and the largest differences first."""
    return tuple(
        sorted(
            kinds,
            key=lambda own: (
                own.reading == "no difference shown",
                -abs(own.share_generated - own.share_reference),
            ),
        )
    )
