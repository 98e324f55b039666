"""Several sets in order of their distance, and the relative tests of all pairs: what rankings and verdicts rest on."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError
from ..estimation.estimate import Estimate
from ..estimation.groups import holm, letters
from ..estimation.largest import adjusted_by_largest
from ..metrics.frechet import FrechetScore
from ..metrics.mmd import MmdScore
from .averages import FrechetAverage
from .relative import RelativeTest, compare_frechet, compare_mmd
from .sample_size import images_needed, pilot_of_test

Score = MmdScore | FrechetScore
Tested = Score | FrechetAverage


@dataclass(frozen=True)
class UntestedScore:
    """A distance whose differences to others have no test, and why."""

    estimate: Estimate
    reason: str


@dataclass(frozen=True)
class PairTest:
    """The relative test of two sets, `better` the one with the lower distance.

    Attributes:
        difference: of the better set minus the worse one, both without bias; standard_error, interval: of that, 95 %.
        p_value: two-sided; p_adjusted: corrected for all pairs (Holm; averages by the largest of their statistics).
        neighbours: whether no other set lies between them.
        images_needed: pictures in each set that would show a difference of this size in four of five cases, at the
            level that Holm's rule leaves to this pair; None where no number would, since the reference is too small
            or there is no difference.
        images: those of the smaller set.
    """

    better: str
    worse: str
    difference: float
    standard_error: float
    interval: tuple[float, float]
    p_value: float
    p_adjusted: float
    neighbours: bool
    images_needed: int | None
    images: int


@dataclass(frozen=True)
class Ordered:
    """Sets in order.

    Attributes:
        places: the sets by their number, best first.
        groups: letters of each place; sets that share one cannot be told apart.
        pairs: the tests of the places 1 and 2, 1 and 3, ..., 2 and 3, ...
    """

    places: tuple[int, ...]
    groups: tuple[str, ...]
    pairs: tuple[PairTest, ...]


def order_sets(
    names: Sequence[str],
    scores: Sequence[Tested],
    *,
    alpha: float,
    paired: bool = False,
    scale: float = 1.0,
    covariance: NDArray[np.float64] | None = None,
) -> Ordered:
    """The sets by their distance without bias, and the tests of all pairs; differences are times `scale`.

    The p-values are corrected by Holm's rule, or by the largest of the statistics where the covariance of the distances
    (K, K) is given.
    """
    places = sorted(range(len(names)), key=lambda i: without_bias(scores[i]))
    tests = {
        (a, b): relative(scores[places[a]], scores[places[b]], paired=paired)
        for a, b in combinations(range(len(places)), 2)
    }
    p_values = {pair: test.p_value for pair, test in tests.items()}
    if covariance is None:
        adjusted = holm(p_values)
    else:
        adjusted = adjusted_by_largest(p_values, covariance[np.ix_(places, places)])
    groups = letters(len(places), [pair for pair, p in adjusted.items() if p < alpha])
    pairs = []
    for (a, b), test in tests.items():
        level = alpha / sum(p >= test.p_value for p in p_values.values())  # what Holm's rule asks of this pair
        low, high = test.interval
        pairs.append(
            PairTest(
                names[places[a]],
                names[places[b]],
                test.difference * scale,
                test.standard_error * scale,
                (low * scale, high * scale),
                test.p_value,
                adjusted[a, b],
                b == a + 1,
                images_needed(pilot_of_test(test), abs(test.difference), alpha=level) if test.difference else None,
                min(test.parameters["n_first"], test.parameters["n_second"]),
            )
        )
    return Ordered(tuple(places), tuple(groups), tuple(pairs))


def without_bias(score: Tested) -> float:
    """The distance with its bias taken off, which a score with errors has."""
    assert score.estimate.corrected is not None
    return score.estimate.corrected


def relative(first: Tested, second: Tested, *, paired: bool) -> RelativeTest:
    """The relative test of two distances of one kind to one reference."""
    if isinstance(first, MmdScore) and isinstance(second, MmdScore):
        return compare_mmd(first, second, paired=paired)
    if not isinstance(first, MmdScore) and not isinstance(second, MmdScore):
        return compare_frechet(first, second, paired=paired)
    raise ArgumentError("a relative test needs two distances of one kind")
