"""What is odd about two sets of pictures, and what it does to the numbers, in words."""

from collections.abc import Iterable
from typing import Any

from .embedding import SetSummary

UNEQUAL_RATIO = 2.0


def set_warnings(reference: SetSummary, generated: SetSummary) -> list[str]:
    """Warnings about one reference and one generated set of pictures."""
    found = (_formats(reference, generated), _resolutions(reference, generated), _duplicates(reference, generated))
    return [warning for warning in found if warning]


def own_warnings(summary: SetSummary) -> list[str]:
    """Warnings about one set by itself."""
    warnings = []
    if summary.skipped:
        count = len(summary.skipped)
        warnings.append(
            f"{summary.name}: {count} unusable {_pictures(count)} skipped; the number describes the rest "
            f"(first: {summary.skipped[0][1]})"
        )
    for note, count in sorted(summary.notes.items()):
        warnings.append(f"{summary.name}: {count} {_pictures(count)} converted: {note}")
    if len(summary.sizes) > 1:
        small, large = min(summary.sizes), max(summary.sizes)
        warnings.append(
            f"{summary.name}: mixed resolutions ({len(summary.sizes)} sizes, {_size(small)} to {_size(large)}): each is "
            "resized to the network's input, so small pictures look blurred to it and the distance grows"
        )
    return warnings


def size_warning(reference: str, n_reference: int | None, generated: str, n_generated: int | None) -> str | None:
    """A warning when one set is more than twice the other."""
    if n_reference is None or n_generated is None:
        return None
    small, large = sorted((n_reference, n_generated))
    if large <= UNEQUAL_RATIO * small:
        return None
    return (
        f"very unequal sizes: {reference} has {n_reference:,} pictures, {generated} {n_generated:,}: the smaller set's noise "
        "dominates, and a biased metric (Frechet distance, biased MMD) grows as it shrinks; compare sets of equal n"
    )


def few_pictures_warning(name: str, n: int | None, dim: int) -> str | None:
    """A warning when a covariance of `dim` dimensions is estimated from no more than `dim` pictures."""
    if n is None or n > dim:
        return None
    return (
        f"{name}: fewer pictures ({n:,}) than feature dimensions ({dim:,}): the covariance is singular and the Frechet "
        "distance is biased upwards; compare it only with values of the same n, or use fewer dims, or mmd"
    )


def unique(warnings: Iterable[str | None]) -> tuple[str, ...]:
    """The warnings that are there, each once, in order."""
    return tuple(dict.fromkeys(warning for warning in warnings if warning))


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


def _formats(reference: SetSummary, generated: SetSummary) -> str | None:
    lossy, other = _jpeg_share(reference), _jpeg_share(generated)
    if abs(lossy - other) <= 0.5:
        return None
    names = (reference.name, generated.name) if lossy > other else (generated.name, reference.name)
    return (
        f"JPEG against lossless: {names[0]} is JPEG, {names[1]} is not: compression traces alone move every metric; "
        "save both sets in one format"
    )


def _jpeg_share(summary: SetSummary) -> float:
    return summary.formats["JPEG"] / max(1, summary.formats.total())


def _resolutions(reference: SetSummary, generated: SetSummary) -> str | None:
    if len(reference.sizes) != 1 or len(generated.sizes) != 1 or reference.sizes.keys() == generated.sizes.keys():
        return None
    (own,), (other,) = reference.sizes, generated.sizes
    return (
        f"different resolutions: {reference.name} is {_size(own)}, {generated.name} is {_size(other)}: both are resized to the "
        "network's input, and the difference in sharpness adds to the distance; resize both sets alike first"
    )


def _duplicates(reference: SetSummary, generated: SetSummary) -> str | None:
    known = set(reference.digests)
    pairs = [name for name, digest in zip(generated.names, generated.digests, strict=True) if digest in known]
    if not pairs:
        return None
    return (
        f"exact duplicates: {len(pairs)} of {len(generated.names)} pictures in {generated.name} are also in {reference.name} "
        f"(first: {pairs[0]}): copies pull every distance towards zero; remove them from one side"
    )


def _pictures(count: int) -> str:
    return "picture" if count == 1 else "pictures"


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
