"""What the k nearest neighbours say: precision, recall, density and coverage.

    B_k(r)      the ball around r that reaches to its k-th nearest other row of its own set
    precision   share of generated rows inside the ball of some reference row
    recall      share of reference rows inside the ball of some generated row
    density     mean over generated rows of (number of reference balls that hold it) / k
    coverage    share of reference rows whose ball holds some generated row

Exactness: |a|^2 + |b|^2 - 2ab is used where its rounding cannot change the answer; the few pairs within the
rounding bound are measured again from the differences of the rows. So copies are at distance zero, equal rows
have equal distances, and `<` differs from `<=` exactly where it should.
"""

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..common.arguments import text, whole_number
from ..errors import ArgumentError
from ..estimation.estimate import Estimate
from ..features.features import GaussianStatistics, rows_needed
from ..features.matrices import as_matrix, check_digits

BLOCK = 2**22  # numbers in a block of distances
RECIPES = {
    "default": (5, False),
    "prdc": (5, False),
    "dgm-eval": (5, False),
    "torch-fidelity": (3, True),
    "adm": (3, True),
}
CAVEATS = (
    "depends on both sample sizes, since the balls shrink as a set grows: compare values of equal n, m and k only",
)
NO_ERROR = "the balls are shared by all rows, and a bootstrap draws copies at distance zero"

Float = NDArray[np.float64]
Index = NDArray[np.int64]


class PrecisionRecall(NamedTuple):
    """Both in 0..1, higher is better."""

    precision: Estimate
    recall: Estimate


class DensityCoverage(NamedTuple):
    """Density is about 1 and may exceed it, coverage is in 0..1; higher is better."""

    density: Estimate
    coverage: Estimate


class NeighbourMetrics(NamedTuple):
    """All four of one pass."""

    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate


def neighbour_metrics(
    *,
    reference: Any,
    generated: Any,
    k: int | None = None,
    inclusive: bool | None = None,
    recipe: str = "default",
) -> NeighbourMetrics:
    """Precision, recall, density and coverage in one pass over the distances; formulas at the top of the file.

    Args:
        reference, generated: features (N, D) and (M, D) as array, tensor or `Features`, each of more than k rows.
        k: which neighbour gives the radius, not counting the row itself; None takes the recipe's.
        inclusive: whether a row on the sphere is inside (`<=` rather than `<`); it decides where rows repeat.
            None takes the recipe's.
        recipe: "default", "prdc", "dgm-eval" (k = 5, `<`) or "torch-fidelity", "adm" (k = 3, `<=`).

    Returns:
        Four Estimates, higher is better. `parameters`: recipe, k, comparison.

    Raises:
        ArgumentError: widths differ, no more than k rows, NaN or infinity, unknown recipe.

    Source: Kynkaanniemi et al. 2019 (arXiv:1904.06991), eq. 1 and 2; Naeem et al. 2020 (arXiv:2002.09797), section 3.
    """
    k, inclusive = neighbour_settings(recipe, k, inclusive)
    x, y = checked_pair(reference, generated, k + 1, f"k = {k}")
    values = _shares(x, y, k, inclusive)
    parameters = {"recipe": recipe, "k": k, "comparison": "<=" if inclusive else "<"}
    return NeighbourMetrics(
        *(Estimate(value, len(x), len(y), parameters, CAVEATS, no_error_reason=NO_ERROR) for value in values)
    )


def precision_recall(
    *,
    reference: Any,
    generated: Any,
    k: int | None = None,
    inclusive: bool | None = None,
    recipe: str = "default",
) -> PrecisionRecall:
    """Precision (how many generated rows are plausible) and recall (how much of the reference is reached).

    Arguments, errors and sources are those of `neighbour_metrics`, which gives density and coverage as well in
    the same time. Both are in 0..1, higher is better.
    """
    every = neighbour_metrics(reference=reference, generated=generated, k=k, inclusive=inclusive, recipe=recipe)
    return PrecisionRecall(every.precision, every.recall)


def density_coverage(
    *,
    reference: Any,
    generated: Any,
    k: int | None = None,
    inclusive: bool | None = None,
    recipe: str = "default",
) -> DensityCoverage:
    """Density and coverage, the forms of precision and recall that one outlier cannot spoil.

    Arguments, errors and sources are those of `neighbour_metrics`, which gives precision and recall as well in
    the same time. Higher is better; for equal distributions the mean density is 1 and the mean coverage
    1 - (N-1)...(N-k) / ((N+M-1)...(N+M-k)) under `<`.
    """
    every = neighbour_metrics(reference=reference, generated=generated, k=k, inclusive=inclusive, recipe=recipe)
    return DensityCoverage(every.density, every.coverage)


def checked_pair(reference: Any, generated: Any, least: int, why: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both sides as finite matrices of equal width and at least `least` rows, or an ArgumentError."""
    sides = []
    for name, source in (("reference", reference), ("generated", generated)):
        if isinstance(source, GaussianStatistics):
            raise ArgumentError(rows_needed(name, "this metric", "use frechet_distance, or "))
        rows = as_matrix(source, name)
        if len(rows) < least:
            raise ArgumentError(f"{name}: expected at least {least} rows for {why}, got {len(rows)}; add pictures")
        sides.append(rows)
    x, y = sides
    if x.shape[1] != y.shape[1]:
        raise ArgumentError(
            f"features of different width: reference has {x.shape[1]}, generated has {y.shape[1]}; "
            "use the same backbone for both"
        )
    check_digits(x, y)
    return x, y


def kth_neighbours(rows: NDArray[Any], others: NDArray[Any], k: int, own: Index | None = None) -> tuple[Index, Float]:
    """Index and squared distance of each row's k-th nearest other row, the lower index first among equals.

    `own` names, for every row, the one of the others that is the row itself and does not count.
    """
    index, squared = np.empty(len(rows), np.int64), np.empty(len(rows))
    pairs = _Pairs(rows, others)
    for part, approximate, slack in pairs.blocks():
        if own is not None:
            approximate[np.arange(len(approximate)), own[part]] = np.inf
        bound = np.partition(approximate + slack, k - 1, axis=1)[:, k - 1]
        i, j = np.nonzero(approximate - slack <= bound[:, None])  # holds the k nearest, whatever the rounding
        exact = pairs.exact(part.start + i, j)
        order = np.lexsort((j, exact, i))
        chosen = order[np.searchsorted(i, np.arange(len(bound))) + k - 1]
        index[part], squared[part] = j[chosen], exact[chosen]
    return index, squared


def neighbour_settings(recipe: str, k: int | None, inclusive: bool | None) -> tuple[int, bool]:
    """k and inclusive, where None takes the recipe's. Raises ArgumentError."""
    if text(recipe, "recipe") not in RECIPES:
        raise ArgumentError(f"recipe: expected one of {', '.join(RECIPES)}, got {recipe!r}")
    own_k, own_inclusive = RECIPES[recipe]
    k = own_k if k is None else k
    return whole_number(k, "k", 1), own_inclusive if inclusive is None else bool(inclusive)


def _shares(x: NDArray[Any], y: NDArray[Any], k: int, inclusive: bool) -> tuple[float, float, float, float]:
    radii = kth_neighbours(x, x, k, np.arange(len(x)))[1]
    other_radii = kth_neighbours(y, y, k, np.arange(len(y)))[1]
    inside = np.less_equal if inclusive else np.less
    holding = np.zeros(len(y), np.int64)
    reached = covered = 0
    pairs = _Pairs(x, y)
    for part, squared, slack in pairs.blocks():
        radius = radii[part][:, None]
        i, j = np.nonzero((np.abs(squared - radius) <= slack) | (np.abs(squared - other_radii) <= slack))
        squared[i, j] = pairs.exact(part.start + i, j)
        balls = inside(squared, radius)
        holding += balls.sum(axis=0)
        covered += int(balls.any(axis=1).sum())
        reached += int(inside(squared, other_radii).any(axis=1).sum())
    return float((holding > 0).mean()), reached / len(x), float(holding.sum()) / (k * len(y)), covered / len(x)


class _Pairs:
    """Squared distances between two sets: blocks with a bound on their rounding, and exact ones on request."""

    def __init__(self, first: NDArray[Any], second: NDArray[Any]) -> None:
        self.first, self.second = first, second
        centre = second.mean(axis=0, dtype=np.float64)  # distances stay, cancellation goes
        self.b = second - centre
        self.a = self.b if first is second else first - centre
        self.a_norms, self.b_norms = (np.einsum("ij,ij->i", rows, rows) for rows in (self.a, self.b))
        self.first_ids, self.second_ids = _first_equal(first), _first_equal(second)
        self.relative_slack = (4 * first.shape[1] + 32) * np.finfo(np.float64).eps

    def blocks(self) -> Iterator[tuple[slice, Float, Float]]:
        """Rows of the first set, their squared distances to all of the second, and how far off those may be."""
        height = max(1, BLOCK // len(self.second))
        for start in range(0, len(self.first), height):
            part = slice(start, min(start + height, len(self.first)))
            norms = self.a_norms[part][:, None] + self.b_norms
            squared = self.a[part] @ self.b.T
            squared *= -2.0
            squared += norms
            norms *= self.relative_slack
            yield part, squared, norms

    def exact(self, i: Index, j: Index) -> Float:
        """Squared distances of the pairs (i, j) from the differences of the rows as given, once for copies."""
        pairs, place = np.unique(self.first_ids[i] * len(self.second) + self.second_ids[j], return_inverse=True)
        i, j = np.divmod(pairs, len(self.second))
        squared = np.empty(len(i))
        height = max(1, BLOCK // (4 * self.first.shape[1]))
        for start in range(0, len(i), height):
            part = slice(start, start + height)
            difference = self.first[i[part]].astype(np.float64) - self.second[j[part]]
            squared[part] = np.square(difference, out=difference).sum(axis=1)
        return squared[place]


def _first_equal(rows: NDArray[Any]) -> Index:
    """For each row the first that has the same bytes: a set of copies would be all ties, N^2 of them."""
    seen: dict[bytes, int] = {}
    digests = (blake2b(row.tobytes(), digest_size=32).digest() for row in rows)
    return np.array([seen.setdefault(digest, i) for i, digest in enumerate(digests)], np.int64)
