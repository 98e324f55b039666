"""Two sets of pictures under several backbones: checked, thinned, pooled in an order without memory, and dealt out."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError
from ..estimation.blocks import blocks
from ..estimation.kernels import centre_of, squared_distances
from ..estimation.shared_rows import first_of_each
from ..features.features import Features
from ..features.unit_rows import SomeRows
from ..metrics.median import median_of
from ..metrics.mmd import MmdReference
from ..pictures.sources import subset_rows

_NEAREST_ROWS = 2000
_SAME = 1e-6  # of the median distance: rows so near are copies but for rounding
BARE = "features"  # what the backbone of bare features is called
ByBackbone = Mapping[str, NDArray[Any]]


class Sides(NamedTuple):
    """The same pictures' rows (N, D) under every backbone, set by set."""

    reference: ByBackbone
    generated: ByBackbone

    @property
    def counts(self) -> tuple[int, int]:
        """Pictures of each set."""
        return _count(self.reference), _count(self.generated)

    def distinct(self) -> "Sides":
        """Each set without the copies within it."""
        return Sides(*(taken(side, np.array(list(first_of_each(_digests(side)).values()), np.int64)) for side in self))

    def pooled(self) -> tuple[dict[str, NDArray[Any]], NDArray[np.bool_]]:
        """All pictures in the order of a hash of their rows, and which of them are the reference's (N,)."""
        both = {backbone: np.concatenate([rows, self.generated[backbone]]) for backbone, rows in self.reference.items()}
        digests = _digests(both)
        order = np.array(sorted(range(len(digests)), key=digests.__getitem__), np.int64)
        return {backbone: own[order] for backbone, own in both.items()}, order < self.counts[0]


def by_backbone(source: Any, name: str) -> dict[str, Any]:
    """Features by the name of the backbone, or an ArgumentError."""
    if isinstance(source, Mapping):
        if not source:
            raise ArgumentError(f"{name}: expected features by the names of backbones, got none")
        return dict(source)
    made = source.provenance.get("backbone") if isinstance(source, Features) else None
    return {made or BARE: source}


def checked_sides(
    reference: Mapping[str, Any], generated: Mapping[str, Any], seed: int
) -> tuple[dict[str, SomeRows], dict[str, SomeRows]]:
    """The rows of both sets, backbone by backbone, or an ArgumentError."""
    if len(reference) == len(generated) == 1 and BARE in {*reference, *generated}:  # an array beside Features
        generated = dict(zip(reference, generated.values(), strict=True))
    if set(reference) != set(generated):
        own, other = (", ".join(map(str, side)) for side in (reference, generated))
        raise ArgumentError(f"generated: expected features of {own}, as the reference has, got {other}")
    sides: tuple[dict[str, SomeRows], dict[str, SomeRows]] = {}, {}
    for backbone, rows in reference.items():
        try:
            checked = MmdReference(rows, "median-pooled", "unbiased", seed)
            sides[0][backbone], sides[1][backbone] = checked.rows, checked.checked(generated[backbone], "generated")
        except ArgumentError as error:
            raise ArgumentError(f"{backbone}: {error}" if len(reference) > 1 else str(error)) from error
    for name, side in zip(Sides._fields, sides, strict=True):
        check_same_pictures({backbone: len(rows) for backbone, rows in side.items()}, name)
    return sides


def check_same_pictures(counts: Mapping[str, int], name: str) -> None:
    """Raise ArgumentError where the numbers of pictures differ from backbone to backbone."""
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{count:,} on {backbone}" for backbone, count in counts.items())
        raise ArgumentError(f"{name}: expected the same pictures under every backbone, got {found}")


def taken(side: Mapping[str, SomeRows], chosen: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Some of the pictures, under every backbone."""
    return {backbone: rows[chosen] for backbone, rows in side.items()}


def deals(is_reference: NDArray[np.bool_], permutations: int, seed: int) -> NDArray[np.float32]:
    """Signs (N, permutations + 1), +1 for what is called reference: the pictures as they are, then dealt out anew."""
    random, total, n = np.random.default_rng(seed), len(is_reference), int(is_reference.sum())
    signs = np.full((total, permutations + 1), -1, np.float32)
    signs[is_reference, 0] = 1
    for deal in range(1, permutations + 1):
        signs[random.permutation(total)[:n], deal] = 1
    return signs


def ruler_of(rows: NDArray[np.float64], seed: int) -> float | None:
    """The median distance; over distinct rows where most pairs are copies, None where all are."""
    try:
        return median_of(rows, seed)
    except ArgumentError:
        distinct = np.unique(rows, axis=0)
        return median_of(distinct, seed) if len(distinct) > 1 else None


def nearest_of(rows: NDArray[np.float64], ruler: float, seed: int) -> float:
    """The median distance of nearest neighbours among up to 2,000 rows that differ, in units of the ruler."""
    chosen = rows[subset_rows(len(rows), _NEAREST_ROWS, seed)] - centre_of(rows)
    nearest = np.empty(len(chosen))
    for part in blocks(len(chosen)):
        squared = squared_distances(chosen[part], chosen)
        squared[squared < (_SAME * ruler) ** 2] = np.inf
        nearest[part] = squared.min(axis=1)
    return float(np.sqrt(np.median(nearest))) / ruler


def _count(side: Mapping[str, SomeRows]) -> int:
    return len(next(iter(side.values())))


def _digests(side: ByBackbone) -> list[bytes]:
    """A hash of what all backbones see of each picture; -0.0 is 0.0."""
    every = [np.ascontiguousarray(rows + 0.0) for rows in side.values()]
    joined = (b"".join(rows[i].tobytes() for rows in every) for i in range(_count(side)))
    return [blake2b(row, digest_size=16).digest() for row in joined]
