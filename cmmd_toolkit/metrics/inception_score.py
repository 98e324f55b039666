"""Inception score: confident single predictions, diverse predictions overall.

    IS = exp( mean_i KL( p(y | x_i) || p(y) ) ),   p(y) = mean_i p(y | x_i)

taken on `splits` parts of the shuffled rows and averaged.

    torch-fidelity   parts [i N // splits, (i+1) N // splits), deviation ddof 0, numpy's RandomState(2020)
    torchmetrics     parts of ceil(N / splits) rows, the last shorter or absent, ddof 1, torch's generator
    dgm-eval         parts of N // splits rows, the rest left out, ddof 0, numpy's RandomState(2020)
"""

from itertools import pairwise
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from ..common.arguments import check_seed, text, whole_number
from ..errors import ArgumentError
from ..estimation.estimate import Estimate
from ..estimation.intervals import t_quantile
from ..features.matrices import as_matrix

RECIPES = ("torch-fidelity", "torchmetrics", "dgm-eval")


def inception_score(
    *, generated: Any, splits: int = 10, seed: int = 2020, shuffle: bool = True, recipe: str = "torch-fidelity"
) -> Estimate:
    """Inception score of class logits, the mean over splits; formula at the top of the file.

    Args:
        generated: logits (N, classes), before the softmax, as array, tensor or `Features`.
        splits: number of parts, 1..N; the published scores take 10 of 5,000 rows.
        seed: of the shuffle; torch-fidelity and dgm-eval take 2020, torchmetrics does not seed.
        shuffle: whether to shuffle the rows first.
        recipe: "torch-fidelity", "torchmetrics" or "dgm-eval".

    Returns:
        Estimate in 1..classes, higher is better. `parameters`: recipe, splits (those made), split_rows,
        split_std (None for one split with ddof 1), shuffle, seed. The standard error and the interval (Student's t)
        are of the expected score at this split size, from the splits, which share no row.

    Raises:
        ArgumentError: more splits than rows, probabilities instead of logits, fewer than two classes, NaN or infinity.

    Source: Salimans et al. 2016 (arXiv:1606.03498), section 4; Barratt and Sharma 2018 (arXiv:1801.01973).
    """
    logits = _checked_logits(generated)
    parts = _parts(len(logits), splits, recipe)
    order = _shuffled(len(logits), check_seed(seed), recipe) if shuffle else np.arange(len(logits))
    log_p = log_softmax(logits.astype(np.float64), axis=1)
    scores = np.array([_score(log_p[order[part]]) for part in parts])
    ddof = 1 if recipe == "torchmetrics" else 0
    standard_error, interval = _spread(scores)
    parameters = {
        "recipe": recipe,
        "splits": len(parts),
        "split_rows": parts[0].stop - parts[0].start,
        "split_std": float(scores.std(ddof=ddof)) if len(scores) > ddof else None,
        "shuffle": shuffle,
        "seed": seed if shuffle else None,
    }
    return Estimate(
        float(scores.mean()),
        None,
        len(logits),
        parameters,
        _caveats(parts, len(logits)),
        standard_error,
        interval,
        no_error_reason="one split has no spread; use more splits" if len(parts) == 1 else None,
    )


def _score(log_p: NDArray[np.float64]) -> float:
    """exp of the mean KL divergence of the rows from their mean distribution; 0 log 0 is 0."""
    p = np.exp(log_p)
    mean = p.mean(axis=0)
    marginal = -float((mean[mean > 0] * np.log(mean[mean > 0])).sum())
    conditional = -float((p * log_p).sum(axis=1).mean())
    return float(np.exp(marginal - conditional))


def _parts(n: int, splits: int, recipe: str) -> list[slice]:
    if text(recipe, "recipe") not in RECIPES:
        raise ArgumentError(f"recipe: expected one of {', '.join(RECIPES)}, got {recipe!r}")
    splits = whole_number(splits, "splits", 0)
    if not 1 <= splits <= n:
        raise ArgumentError(f"splits: expected 1 to {n}, the number of rows, got {splits}; use fewer splits")
    if recipe == "torch-fidelity":
        borders = [i * n // splits for i in range(splits + 1)]
    elif recipe == "torchmetrics":
        borders = [*range(0, n, -(-n // splits)), n]
    else:
        borders = [i * (n // splits) for i in range(splits + 1)]
    return [slice(first, last) for first, last in pairwise(borders)]


def _shuffled(n: int, seed: int, recipe: str) -> NDArray[np.int64]:
    if recipe != "torchmetrics":
        return np.random.RandomState(seed).permutation(n)
    import torch

    return np.asarray(torch.randperm(n, generator=torch.Generator().manual_seed(seed)).numpy())


def _spread(scores: NDArray[np.float64]) -> tuple[float | None, tuple[float, float] | None]:
    """Standard error and interval of the mean of independent scores."""
    count = len(scores)
    if count < 2:
        return None, None
    mean, error = float(scores.mean()), float(scores.std(ddof=1)) / sqrt(count)
    half = t_quantile(count) * error
    return error, (mean - half, mean + half)


def _caveats(parts: list[slice], n: int) -> tuple[str, ...]:
    used = parts[-1].stop
    left_out = (f"{n - used} of {n} rows left out, as the recipe does",) if used < n else ()
    spread = ("the interval is for the expected score at this split size",) if len(parts) > 1 else ()
    return ("biased downwards for small splits: compare only values with equal split size", *spread, *left_out)


def _checked_logits(generated: Any) -> NDArray[Any]:
    logits = as_matrix(generated, "generated")
    if logits.shape[1] < 2:
        raise ArgumentError("generated: expected logits of at least two classes, got one; give the class logits")
    if logits.min() >= 0 and np.allclose(logits.sum(axis=1, dtype=np.float64), 1.0, rtol=0, atol=1e-4):
        raise ArgumentError("generated: expected logits, got rows that sum to 1; give them before the softmax")
    return logits
