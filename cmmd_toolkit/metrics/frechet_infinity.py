"""Frechet distance extrapolated to infinitely many pictures.

The bias of FD is proportional to 1 / n to first order. FD of random subsets is fitted by least squares as

    FD(size) = FD_infinity + slope / size,

and the intercept is the estimate (Chong and Forsyth 2020, arXiv:1911.07023, eq. 6).

    default    both sets are thinned out in proportion, from half of the rows to all: nothing of the bias stays
    dgm-eval   the generated set alone, from a tenth of the rows (at most 5,000) to all; the tool does not seed
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..common.arguments import check_seed, text
from ..errors import ArgumentError
from ..estimation.estimate import Estimate
from ..estimation.gaussian import GaussianFit
from ..estimation.intervals import t_interval
from .frechet import distance, score

POINTS = 15
LEAST_ROWS = 20
_BY_HALF = "with recipe dgm-eval the reference's part of the bias stays in the value"


@dataclass(frozen=True)
class _Point:
    inverse_size: float
    value: float


def frechet_distance_infinity(*, reference: Any, generated: Any, seed: int = 0, recipe: str = "default") -> Estimate:
    """Frechet distance between the populations, by extrapolation over the sample size.

    Args:
        reference, generated: features (N, D) and (M, D) as array, tensor or `Features`, at least 20 rows each.
        seed: of the subsets.
        recipe: "default", or "dgm-eval" for that tool's protocol.

    Returns:
        Estimate, lower is better; noisier than `frechet_distance` and may be negative. Its standard error joins that
        of the distance (delta method) and that of the fit. `parameters`: slope, points, seed, recipe.

    Raises:
        ArgumentError: as `frechet_distance`, fewer than 20 rows, mean and covariance only, an unknown recipe.

    Source: Chong and Forsyth 2020 (arXiv:1911.07023), section 3.
    """
    if text(recipe, "recipe") not in ("default", "dgm-eval"):
        raise ArgumentError(f"recipe: expected default or dgm-eval, got {recipe!r}")
    seed = check_seed(seed)
    x, y = GaussianFit.of(reference, "reference"), GaussianFit.of(generated, "generated")
    for side in (x, y):
        if side.rows is None or side.count < LEAST_ROWS:
            found = "mean and covariance only" if side.rows is None else f"{side.count}"
            raise ArgumentError(f"{side.name}: expected features of at least {LEAST_ROWS} pictures, got {found}")
    whole = score(x, y).estimate
    points = list(_generated_thinned(x, y, seed) if recipe == "dgm-eval" else _both_thinned(x, y, seed))
    from scipy.stats import linregress  # takes most of a second to import

    fit = linregress([point.inverse_size for point in points], [point.value for point in points])
    value = float(fit.intercept)
    parameters = {
        "dim": int(x.mean.size), "slope": float(fit.slope), "points": len(points), "seed": seed, "recipe": recipe,
        "at_full_size": whole.value,
    }  # fmt: skip
    if recipe == "dgm-eval":
        return Estimate(value, x.n, y.n, parameters, whole.caveats, no_error_reason=_BY_HALF)
    bare = Estimate(value, x.n, y.n, parameters, whole.caveats, corrected=value, no_error_reason=whole.no_error_reason)
    if whole.standard_error is None:
        return bare
    error = float(np.hypot(whole.standard_error, fit.intercept_stderr))
    interval = t_interval(value, error, min(x.count, y.count))
    return replace(bare, standard_error=error, interval=interval)


def _both_thinned(x: GaussianFit, y: GaussianFit, seed: int) -> Iterator[_Point]:
    """Sizes evenly spaced in 1 / size; the unit of size is the smaller set's row."""
    random, least = np.random.default_rng(seed), min(x.count, y.count)
    for stretch in np.linspace(2.0, 1.0, POINTS):
        first, second = (_draw(random, side, round(side.count / stretch)) for side in (x, y))
        yield _Point(stretch / least, distance(first, second).value)


def _generated_thinned(x: GaussianFit, y: GaussianFit, seed: int) -> Iterator[_Point]:
    random = np.random.default_rng(seed)
    smallest = min(5000, max(y.count // 10, 2), y.count)
    for size in np.linspace(smallest, y.count, POINTS).astype(int):
        yield _Point(1 / size, distance(x, _draw(random, y, int(size))).value)


def _draw(random: np.random.Generator, side: GaussianFit, size: int) -> GaussianFit:
    assert side.rows is not None
    rows: NDArray[Any] = side.rows[random.choice(side.count, size, replace=False)]
    return GaussianFit.of(rows, side.name)
