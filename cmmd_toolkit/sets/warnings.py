"""What is odd about two sets of pictures, and what it does to the numbers, in words."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..estimation.shared_rows import SharedRows
from ..features.features import Features, GaussianStatistics
from ..features.record import SetSummary

UNEQUAL_RATIO = 2.0
_LOSSY_MARGIN = 0.5


def set_warnings(reference: SetSummary | None, others: Sequence[SetSummary]) -> list[str]:
    """Warnings about sets whose pictures are known: each by itself, and the generated ones beside the reference."""
    known = others if reference is None else (reference, *others)
    warnings = [warning for summary in known for warning in _own_warnings(summary)]
    if reference is None:
        return warnings
    return warnings + _formats(reference, others) + _resolutions(reference, others) + _duplicates(reference, others)


def size_warnings(reference: tuple[str, int | None], others: Sequence[tuple[str, int | None]]) -> list[str]:
    """A warning about the sets that have less than half, or more than twice, the reference's pictures."""
    name, n = reference
    odd = [f"{other} {m:,}" for other, m in others if n and m and max(n, m) > UNEQUAL_RATIO * min(n, m)]
    if not odd:
        return []
    return [
        f"very unequal sizes: {name} has {n:,} pictures, {', '.join(odd)}: the smaller set's noise dominates; a "
        "biased metric (Frechet distance, biased MMD) also grows as it shrinks, so compare those at equal n"
    ]


def describe(summary: SetSummary) -> dict[str, Any]:
    """The set in JSON: count, formats, sizes, conversions, skipped files."""
    return {
        "name": summary.name,
        "n": len(summary.names),
        "formats": dict(sorted(summary.formats.items())),
        "sizes": {_size(size): count for size, count in sorted(summary.sizes.items())},
        "converted": dict(sorted(summary.notes.items())),
        "skipped": [{"name": name, "reason": reason} for name, reason in summary.skipped],
        "remarks": list(summary.remarks),
    }


def feature_copies(sets: Sequence[tuple[str, object, SetSummary | None]]) -> list[str]:
    """Warnings about pictures whose features come twice: in a generated set and the reference, or within one set.

    Each set by name, with its features and, where it was pictures, its summary; the reference first.
    """
    (name, reference, known), *others = sets
    search = SharedRows(reference.values) if isinstance(reference, Features) else None
    warnings = []
    for other, own, summary in others:
        if search is None or not isinstance(own, Features):
            continue
        count = search.shared(own.values)
        if count and count != _equal_pixels(known, summary):
            warnings.append(
                f"equal features: {count} of {len(own)} {_pictures(len(own))} of {other} {_have(count)} (nearly) the "
                f"features of a picture of {name}: the sets are not independent draws, every distance is pulled "
                "towards zero, and intervals and p-values are not valid; remove them from one side"
            )
    for label, own, summary in sets:
        if isinstance(own, GaussianStatistics) and summary and (count := _repeated_pixels(summary)):
            warnings.append(
                f"repeated pictures: {count} of {len(summary.names)} pictures of {label} are exact copies of another "
                "picture in it: they count for less than as many different pictures"
            )
        if isinstance(own, Features) and (count := (search or SharedRows(own.values)).repeated(own.values)):
            warnings.append(
                f"repeated features: {count} of {len(own)} {_pictures(len(own))} of {label} are (near) copies of "
                "another picture in it: they count for less than as many different pictures, so intervals are too "
                "narrow"
            )
    return warnings


def _have(count: int) -> str:
    return "has" if count == 1 else "have"


def _equal_pixels(reference: SetSummary | None, other: SetSummary | None) -> int:
    """How many pictures the warning about exact duplicates has named already."""
    if reference is None or other is None:
        return 0
    known = set(reference.digests)
    return sum(digest in known for digest in other.digests)


def _repeated_pixels(summary: SetSummary) -> int:
    """How many pictures are exact copies of another one of the set."""
    return sum(count for count in Counter(summary.digests).values() if count > 1)


def _own_warnings(summary: SetSummary) -> list[str]:
    warnings = []
    if summary.skipped:
        count = len(summary.skipped)
        warnings.append(
            f"{summary.label}: {count} unusable {_pictures(count)} skipped; the number describes the rest "
            f"(first: {summary.skipped[0][1]})"
        )
    for note, count in sorted(summary.notes.items()):
        warnings.append(f"{summary.label}: {count} {_pictures(count)} converted: {note}")
    if len(summary.sizes) > 1:
        small, large = min(summary.sizes), max(summary.sizes)
        warnings.append(
            f"{summary.label}: mixed resolutions ({len(summary.sizes)} sizes, {_size(small)} to {_size(large)}): each "
            "is resized to the network's input, so small pictures look blurred to it and the distance grows"
        )
    return warnings


def _formats(reference: SetSummary, others: Sequence[SetSummary]) -> list[str]:
    share = _jpeg_share(reference)
    odd = [other.label for other in others if abs(_jpeg_share(other) - share) > _LOSSY_MARGIN]
    if not odd:
        return []
    own, their = ("JPEG", "lossless") if share > _LOSSY_MARGIN else ("lossless", "JPEG")
    return [
        f"JPEG against lossless: {reference.label} is {own}, {', '.join(odd)} {their}: compression artefacts alone "
        "change every metric; save all sets in one format"
    ]


def _jpeg_share(summary: SetSummary) -> float:
    return summary.formats["JPEG"] / max(1, summary.formats.total())


def _resolutions(reference: SetSummary, others: Sequence[SetSummary]) -> list[str]:
    if len(reference.sizes) != 1:
        return []
    single = [other for other in others if len(other.sizes) == 1 and other.sizes.keys() != reference.sizes.keys()]
    if not single:
        return []
    odd = ", ".join(f"{other.label} {_only_size(other)}" for other in single)
    return [
        f"different resolutions: {reference.label} is {_only_size(reference)}, {odd}: all are resized to the network's "
        "input, and the difference in sharpness adds to the distance; resize the sets alike first"
    ]


def _only_size(summary: SetSummary) -> str:
    (size,) = summary.sizes
    return _size(size)


def _duplicates(reference: SetSummary, others: Sequence[SetSummary]) -> list[str]:
    known = set(reference.digests)
    warnings = []
    for other in others:
        pairs = [name for name, digest in zip(other.names, other.digests, strict=True) if digest in known]
        if pairs and other.label == reference.label:
            warnings.append(f"{other.label} is compared with itself; give another generated set")
        elif pairs:
            warnings.append(
                f"exact duplicates: {len(pairs)} of {len(other.names)} pictures in {other.label} are also in "
                f"{reference.label} (first: {pairs[0]}): copies pull every distance towards zero; "
                "remove them from one side"
            )
    return warnings


def _pictures(count: int) -> str:
    return "picture" if count == 1 else "pictures"


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
