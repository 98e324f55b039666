"""Sliced distances: sets compared along random directions, where optimal transport is sorting.

W2^2(a, b) = integral_0^1 (F_a^-1(t) - F_b^-1(t))^2 dt       one dimension, any two sizes
SW2^2      = mean over directions u of W2^2(X u, Y u)
MIND       = 3 D * SW2^2 on equal sizes, as torch-fidelity computes it
"""

from collections.abc import Iterator
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..common.arguments import MOST_REPEATS, check_seed, text, whole_number
from ..errors import ArgumentError
from ..estimation.estimate import Estimate
from .neighbours import checked_pair

BLOCK = 2**22  # projected numbers at a time
RECIPES = ("default", "dgm-eval")
_BIAS = "positive for equal distributions too, and more so for smaller sets: compare only values with equal n"
_NO_ERROR = "none over draws of pictures is known; projection_standard_error covers the random directions only"
_CLOSED_FORM = "none is known for this approximation"

Float = NDArray[np.float64]


def sliced_wasserstein(
    *,
    reference: Any,
    generated: Any,
    num_projections: int | None = None,
    seed: int = 0,
    recipe: str = "default",
) -> Estimate:
    """Squared sliced 2-Wasserstein distance, a mean over random directions.

    Args:
        reference, generated: features (N, D) and (M, D) as array, tensor or `Features`; sizes may differ.
        num_projections: number of directions, default 1,000.
        seed: of the directions.
        recipe: "default", or "dgm-eval": the deterministic closed-form approximation of the distance (NOT
            squared) sqrt(|m_x - m_y|^2 / D + (s_x - s_y)^2), s^2 = mean |x - m_x|^2 / D; it has no directions.

    Returns:
        Estimate in squared feature units (in feature units for dgm-eval), lower is better, 0 for identical
        sets. `parameters`: recipe, num_projections, seed, projection_standard_error.

    Raises:
        ArgumentError: widths differ, NaN or infinity, unknown recipe, num_projections below 1 or with dgm-eval.

    Source: Bonneel et al. 2015 (JMIV 51); Nadjahi et al. 2021 (arXiv:2106.15427) for the approximation.
    """
    if text(recipe, "recipe") not in RECIPES:
        raise ArgumentError(f"recipe: expected one of {', '.join(RECIPES)}, got {recipe!r}")
    x, y = checked_pair(reference, generated, 1, "a sliced distance")
    if recipe == "dgm-eval":
        if num_projections is not None:
            raise ArgumentError("num_projections: expected none, since dgm-eval has no directions; leave it out")
        caveats = ("an approximation from the means and the total variances only", _BIAS)
        return Estimate(_closed_form(x, y), len(x), len(y), {"recipe": recipe}, caveats, no_error_reason=_CLOSED_FORM)
    count = whole_number(1000 if num_projections is None else num_projections, "num_projections", 1, MOST_REPEATS)
    directions = np.random.default_rng(check_seed(seed)).standard_normal((count, x.shape[1]))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return _over_directions(x, y, directions, 1.0, {"recipe": recipe, "seed": seed})


def mind(*, reference: Any, generated: Any, num_projections: int = 1000, seed: int = 2020) -> Estimate:
    """MIND: 3 D times the squared sliced 2-Wasserstein distance on equally many rows.

    The longer set is cut to the size of the shorter one at random, then the directions are drawn, both from
    torch's CPU generator, as torch-fidelity does: equal seeds give its numbers.

    Args:
        reference, generated: features (N, D) and (M, D) as array, tensor or `Features`.
        num_projections: number of directions.
        seed: of the cut and of the directions.

    Returns:
        Estimate in squared feature units, lower is better, 0 for identical sets; 3 D mu^2 on average for a set
        shifted by mu in every dimension. The sizes are those used. `parameters`: seed, num_projections, scale,
        projection_standard_error.

    Raises:
        ArgumentError: widths differ, NaN or infinity, num_projections below 1.

    Source: the definition in torch-fidelity (commit 5e211a9), which is not yet in a release.
    """
    import torch

    x, y = checked_pair(reference, generated, 1, "MIND")
    count = whole_number(num_projections, "num_projections", 1, MOST_REPEATS)
    generator = torch.Generator().manual_seed(check_seed(seed))
    size, longest = min(len(x), len(y)), max(len(x), len(y))
    if len(x) != len(y):
        kept = torch.randperm(longest, generator=generator)[:size].numpy()
        x, y = (rows if len(rows) == size else rows[kept] for rows in (x, y))
    drawn = torch.randn(count, x.shape[1], generator=generator)
    directions = (drawn / drawn.norm(dim=1, keepdim=True)).numpy().astype(np.float64)  # float32 there too
    cut = (f"the longer set was cut at random from {longest} to {size} rows",) if longest > size else ()
    return _over_directions(x, y, directions, 3.0 * x.shape[1], {"seed": seed}, cut)


def _over_directions(
    x: NDArray[Any],
    y: NDArray[Any],
    directions: Float,
    scale: float,
    parameters: dict[str, Any],
    caveats: tuple[str, ...] = (),
) -> Estimate:
    values = scale * np.concatenate(list(_squared_w2(x, y, directions)))
    count = len(values)
    error = float(values.std(ddof=1)) / sqrt(count) if count > 1 else None
    every = {**parameters, "num_projections": count, "scale": scale, "projection_standard_error": error}
    return Estimate(float(values.mean()), len(x), len(y), every, (_BIAS, *caveats), no_error_reason=_NO_ERROR)


def _squared_w2(x: NDArray[Any], y: NDArray[Any], directions: Float) -> Iterator[Float]:
    """Squared 2-Wasserstein distance along every direction, some directions at a time."""
    n, m = len(x), len(y)
    centre = (x.mean(axis=0, dtype=np.float64) + y.mean(axis=0, dtype=np.float64)) / 2  # of both: symmetric to the bit
    x, y = x - centre, y - centre
    i, j, weights = _quantile_steps(n, m)
    height = max(1, BLOCK // (n + m))
    for start in range(0, len(directions), height):
        chosen = directions[start : start + height]
        a, b = (np.sort(chosen @ rows.T, axis=1) for rows in (x, y))
        difference = a - b if n == m else a[:, i] - b[:, j]
        yield np.square(difference, out=difference) @ weights


def _quantile_steps(n: int, m: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Float]:
    """Where both quantile functions are constant: index into each sorted set, and the length of the step.

    The steps end at i / n and j / m; times n m these are whole numbers, so nothing is rounded.
    """
    ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)
    starts = np.concatenate([[0], ends[:-1]])
    return starts // m, starts // n, (ends - starts) / (n * m)


def _closed_form(x: NDArray[Any], y: NDArray[Any]) -> float:
    """Nadjahi et al. 2021: along most directions a set looks Gaussian with variance E|x - m|^2 / D."""
    means = [rows.mean(axis=0, dtype=np.float64) for rows in (x, y)]
    spreads = [sqrt(float(np.square(rows - mean).sum()) / rows.size) for rows, mean in zip((x, y), means, strict=True)]
    between = float(np.square(means[0] - means[1]).sum()) / x.shape[1]
    return sqrt(between + (spreads[0] - spreads[1]) ** 2)
