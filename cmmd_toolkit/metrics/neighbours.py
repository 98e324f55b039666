"""What the k nearest neighbours say: precision, recall, density and coverage.

    B_k(r)      the ball around r that reaches to its k-th nearest other row of its own set
    precision   share of generated rows inside the ball of some reference row
    recall      share of reference rows inside the ball of some generated row
    density     mean over generated rows of (number of reference balls that hold it) / k
    coverage    share of reference rows whose ball holds some generated row

Exactness: matrix products decide where their rounding cannot change the answer; the few other pairs are measured again
from the differences of the rows (`estimation.pair_distances`). So copies are at distance zero, equal rows have equal
distances, and `<` differs from `<=` exactly where it should. The processes of `shared_work` share the blocks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..common.arguments import text, whole_number
from ..common.processes import current_processes
from ..errors import ArgumentError
from ..estimation.blocks import Pair, blocks, in_parallel
from ..estimation.estimate import Estimate
from ..estimation.kernel_device import kernels_beside
from ..estimation.nearest_rows import kth_neighbours
from ..estimation.pair_distances import Bounds, Float, Index, Near, Pairs, Points
from ..features.features import GaussianStatistics, rows_needed
from ..features.matrices import as_matrix, check_digits, check_width

RECIPES = {
    "default": (5, False),
    "prdc": (5, False),
    "dgm-eval": (5, False),
    "torch-fidelity": (3, True),
    "adm": (3, True),
}
CAVEATS = (
    "depends on both sample sizes, since the balls shrink as a set grows: compare only values with equal n, m and k",
)
NO_ERROR = "the balls are shared by all rows, and a bootstrap sample contains copies, at distance zero"


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
    with kernels_beside(reference, generated):
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
    check_width(x.shape[1], y.shape[1])
    check_digits(x, y)
    return x, y


def neighbour_settings(recipe: str, k: int | None, inclusive: bool | None) -> tuple[int, bool]:
    """k and inclusive, where None takes the recipe's. Raises ArgumentError."""
    if text(recipe, "recipe") not in RECIPES:
        raise ArgumentError(f"recipe: expected one of {', '.join(RECIPES)}, got {recipe!r}")
    own_k, own_inclusive = RECIPES[recipe]
    k = own_k if k is None else k
    return whole_number(k, "k", 1), own_inclusive if inclusive is None else bool(inclusive)


def _shares(x: NDArray[Any], y: NDArray[Any], k: int, inclusive: bool) -> tuple[float, float, float, float]:
    reference, generated = Points(x), Points(y)
    radii, other_radii = (kth_neighbours(own, k)[1] for own in (reference, generated))
    balls = _Balls(Pairs(reference, generated), radii, other_radii, np.less_equal if inclusive else np.less)
    holding, covered, reached = np.zeros(len(y), np.int64), np.zeros(len(x), np.int64), np.zeros(len(x), np.int64)
    with balls.pairs.computing():
        for inside, inside_theirs in in_parallel(balls.inside, product(blocks(len(x)), blocks(len(y)))):
            np.add.at(holding, inside[1], 1)
            np.add.at(covered, inside[0], 1)
            np.add.at(reached, inside_theirs[0], 1)
    current_processes().sum(holding, covered, reached)
    precision, recall, coverage = ((counts > 0).mean() for counts in (holding, reached, covered))
    return float(precision), float(recall), float(holding.sum()) / (k * len(y)), float(coverage)


@dataclass(frozen=True, eq=False)
class _Balls:
    """The balls around both sets' rows; `compare` is the squared distance with the squared radius."""

    pairs: Pairs
    radii: Float
    other_radii: Float
    compare: Callable[[Float, Float], NDArray[np.bool_]]

    def inside(self, part: Pair) -> tuple[tuple[Index, Index], tuple[Index, Index]]:
        """Pairs of a block whose generated row is in the reference row's ball; and those with the roles changed."""
        near, near_theirs = self.pairs.decided(part, partial(self._near, part))
        return self._held(near, self.radii[near.first]), self._held(near_theirs, self.other_radii[near_theirs.second])

    def _near(self, part: Pair, bounds: Bounds) -> tuple[tuple[Near, Near], int]:
        """Pairs that may be so, and how many of them may be not."""
        i, j = part
        block = bounds.block(part)
        found = bounds.within(block, part, self.radii[i][:, None]), bounds.within(block, part, self.other_radii[j])
        limits = self.radii[found[0].first], self.other_radii[found[1].second]
        return found, sum(int((near.upper >= own).sum()) for near, own in zip(found, limits, strict=True))

    def _held(self, near: Near, radii: Float) -> tuple[Index, Index]:
        doubtful = near.upper >= radii
        held = ~doubtful
        held[doubtful] = self.compare(self.pairs.exact(near.first[doubtful], near.second[doubtful]), radii[doubtful])
        return near.first[held], near.second[held]
