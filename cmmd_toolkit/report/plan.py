"""A plan, and its plain text."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..common.text import align, difference_text, in_lines, interval_text, large_text, number_text
from .paper import sizes
from .paper.record import Paper, PaperRecord
from .sound import check_level, check_sets, require

_WORTH = 2  # times fewer generated pictures, from which on a larger reference is worth a word
_ASSUMED = (
    "Same way: if both models make the same kinds of mistakes, one more of them than the other. Different ways: if "
    "their mistakes have nothing in common. Unless you know better, plan for these."
)


@dataclass(frozen=True)
class Size:
    """Pictures in each generated set for one difference, None where no number suffices.

    Attributes:
        difference: in units of the distance; about: what it is, in words.
        alike, unlike: pictures if both models fail in the same way, and if they fail in different ways. Equal where
            both models are at hand.
        reference_alike, reference_unlike: the least reference with which any number suffices, however large.
        as_many_alike, as_many_unlike: pictures that suffice where the reference has as many as each generated set.
    """

    difference: float
    about: str
    alike: int | None
    unlike: int | None
    reference_alike: int
    reference_unlike: int
    as_many_alike: int
    as_many_unlike: int

    @property
    def counts(self) -> tuple[str, str]:
        """Both numbers as texts: same way, different ways."""
        return count_text(self.alike, self.as_many_alike), count_text(self.unlike, self.as_many_unlike)


@dataclass(frozen=True)
class Need:
    """For one pilot (a set, or two sets with their relative test): pictures a set for each difference.

    Attributes:
        backbone, metric, about: what was looked at, in words.
        value: the pilot's distance, or the difference of its two sets; interval: 95 %, of that.
        sizes: one for each difference.
        both: whether both models are at hand, so that nothing is assumed about the way they fail.
        remark: what makes the numbers doubtful, or "".
    """

    backbone: str
    metric: str
    about: str
    value: float
    interval: tuple[float, float] | None
    sizes: tuple[Size, ...]
    both: bool
    remark: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """What its numbers of pictures are headed by."""
        return ("Pictures per set",) if self.both else ("Same way", "Different ways")


@dataclass(frozen=True)
class Plan(PaperRecord):
    """What `plan` returns.

    Attributes:
        needs: one for each pilot.
        power, alpha: of the two-sided test that it is for.
        warnings, sets, provenance: as in `Report`; those of the report that the plan is made from, its warnings
            excepted.
    """

    kind: ClassVar[str] = "plan"
    schema_version: ClassVar[int] = 2
    paper: ClassVar[Paper] = sizes

    needs: tuple[Need, ...]
    power: float
    alpha: float
    warnings: tuple[str, ...] = ()
    sets: tuple[Mapping[str, Any], ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def check(self) -> None:
        """See `Document.check`."""
        check_level(self.alpha, "alpha")
        check_level(self.power, "power")
        check_sets(self.sets)
        for size in (size for need in self.needs for size in need.sizes):
            counts = (size.alike, size.unlike, size.as_many_alike, size.as_many_unlike)
            require(size.difference > 0, "sizes.difference", "a number above zero")
            require(all(n is None or n > 0 for n in counts), "sizes", "numbers of pictures above zero")

    @property
    def doubts(self) -> tuple[str, ...]:
        """What makes numbers doubtful, and the warnings."""
        remarks = [f"{need.about}: {need.remark}" for need in self.needs if need.remark]
        return tuple(dict.fromkeys([*remarks, *self.warnings]))

    def __str__(self) -> str:
        lines: list[str] = []
        for need in self.needs:
            lines += [plan_title(need), *align(size_rows(need), left=(1,)), ""]
        return in_lines([*lines, *plan_notes(self), *(f"warning: {text}" for text in self.doubts)])


def plan_notes(plan: "Plan") -> list[str]:
    """What the numbers are, and what was assumed."""
    notes = [
        f"Pictures in each generated set for a power of {plan.power:.0%} at level {plan.alpha:.0%} (two-sided, "
        "unpaired unless stated), with the reference pictures that were read here; sets that share seeds need fewer."
    ]
    if small := [own for need in plan.needs for own in _too_small(need)]:
        least = " to ".join(dict.fromkeys((large_text(min(small)), large_text(max(small)))))
        notes.append(
            "Reference too small: no number of generated pictures is enough with it. The table gives the number that "
            f"is enough with as many real ones. The minimum of real ones is {least}, depending on the row; close to it "
            "very many generated ones may be needed, so plan for as many of both."
        )
    return notes if all(need.both for need in plan.needs) else [*notes, _ASSUMED]


def answer(need: "Need") -> str:
    """A sentence: the smallest difference of the plan that this reference can show, and what takes more of it."""
    name = f"{need.about} ({need.metric} on {need.backbone})"
    sizes = sorted(need.sizes, key=lambda size: size.difference)
    if not sizes:
        return f"{name}: no difference to plan for; give one as a number."
    found = next((size for size in sizes if size.unlike is not None), None)
    shown = found or sizes[-1]
    what = f"a difference of {difference_text(shown.difference)} ({shown.about})"
    if found is None:
        unless = "" if need.both else " (if the models fail in different ways)"
        return (
            f"{name}: {what} cannot be shown with this reference, however many pictures are generated{unless}; "
            f"{large_text(shown.as_many_unlike)} pictures in each generated set and as many real ones would be enough."
        )
    same = "" if need.both or found.alike is None else f" (same way: {large_text(found.alike)})"
    smaller = "" if found is sizes[0] else " Smaller ones need a larger reference."
    n, as_many = found.unlike or 0, found.as_many_unlike
    fewer = f", or {large_text(as_many)} with as many real ones" if n > _WORTH * as_many else ""
    return f"{name}: {what} takes {large_text(n)} pictures in each generated set{same}{fewer}.{smaller}"


def _too_small(need: "Need") -> list[int]:
    """The least references where this one does not do."""
    pairs = [((own.alike, own.reference_alike), (own.unlike, own.reference_unlike)) for own in need.sizes]
    return [reference for pair in pairs for n, reference in pair[: 1 if need.both else 2] if n is None]


def plan_title(need: "Need") -> str:
    """What was looked at, its value and interval."""
    title = f"{need.metric} on {need.backbone}: {need.about}, "
    if need.interval is None:
        return f"{title}{number_text(need.value)}"
    value = number_text(need.value, (need.interval[1] - need.interval[0]) / 4)
    return f"{title}{value} (95 % {interval_text(need.interval, None)})"


def size_rows(need: "Need") -> list[tuple[str, ...]]:
    """The differences as texts, the headings first."""
    rows: list[tuple[str, ...]] = [("Difference", "", *need.columns)]
    for size in need.sizes:
        rows.append((difference_text(size.difference), size.about, *size.counts[: len(need.columns)]))
    return rows if need.sizes else [*rows, ("-", "none to plan for", *("-" for _ in need.columns))]


def count_text(n: int | None, as_many: int) -> str:
    """Pictures, or that no number suffices; and how many would with as many real ones, where that saves much."""
    if n is None:
        return f"reference too small; {large_text(as_many)} and as many real"
    return large_text(n) if n <= _WORTH * as_many else f"{large_text(n)}, or {large_text(as_many)} and as many real"
