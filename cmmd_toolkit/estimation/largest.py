"""Tests of all pairs of sets at once by the largest of their correlated statistics, step by step down.

The statistics of several pairs share sets and the reference, so their largest is smaller than that of as many
independent ones, for which Holm's rule allows. With Z ~ N(0, R), R their correlation, the p-value of the pair with the
r-th smallest p is adjusted to

    max over the pairs before it and itself of  P(max_{q at r or after} |Z_q| >= z_r),     2 (1 - Phi(z_r)) = p_r

(Westfall and Young 1993, algorithm 2.8, as p-values; Romano and Wolf 2005, Econometrica 73, for the steps). A single
pair keeps its p-value, and no pair gets more than by Holm's rule.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from .groups import Pair, holm

_DRAWS = 100_000
_NUMBERS = 4e7  # draws x pairs
_CHUNK = 5_000
_LEAST_REACHED = 100  # draws: fewer say too little of a probability, and Holm's rule is near it so far out


def adjusted_by_largest(p_values: Mapping[Pair, float], covariance: NDArray[np.float64]) -> dict[Pair, float]:
    """Adjusted p-values: rejecting those below alpha errs anywhere with a chance of about alpha.

    Args:
        p_values: two-sided, by the numbers (i, j) of two sets.
        covariance: (K, K), of the K distances whose differences were tested; a common factor changes nothing.
    """
    by_holm = holm(p_values)
    if len(p_values) == 1:
        return by_holm
    ordered = sorted(p_values, key=lambda pair: p_values[pair])
    reached, draws = _reached(np.array(ordered), np.array([p_values[pair] for pair in ordered]), covariance)
    adjusted: dict[Pair, float] = {}
    largest = 0.0
    for rank, pair in enumerate(ordered):
        known = reached[rank] >= _LEAST_REACHED and rank + 1 < len(ordered)
        own = max(p_values[pair], float(reached[rank]) / draws) if known else by_holm[pair]
        largest = max(largest, min(own, by_holm[pair]))
        adjusted[pair] = largest
    return adjusted


def _reached(pairs: NDArray[Any], p_values: NDArray[Any], covariance: NDArray[np.float64]) -> tuple[NDArray[Any], int]:
    """In how many draws the largest |Z| of a pair and all after it reaches that of the pair."""
    limits = -ndtri(p_values / 2)
    values, vectors = np.linalg.eigh(covariance)
    factor = vectors * np.sqrt(np.maximum(values, 0.0))  # Z = N(0, I) factor^T
    contrasts = factor[pairs[:, 0]] - factor[pairs[:, 1]]
    norms = np.linalg.norm(contrasts, axis=1, keepdims=True)
    contrasts = np.divide(contrasts, norms, out=np.zeros_like(contrasts), where=norms > 0)
    draws = int(np.clip(_NUMBERS / len(pairs), _CHUNK, _DRAWS)) // _CHUNK * _CHUNK
    random, reached = np.random.default_rng(0), np.zeros(len(pairs), np.int64)
    for _ in range(draws // _CHUNK):
        sizes = np.abs(random.standard_normal((_CHUNK, len(covariance))) @ contrasts.T)
        after = np.maximum.accumulate(sizes[:, ::-1], axis=1)[:, ::-1]
        reached += (after >= limits).sum(axis=0)
    return reached, draws
