"""Distances averaged over backbones that saw the same pictures: one score of each set, as one backbone gives.

Squared MMD is linear in the kernel. With weights w_b the average of the squared MMDs of several backbones,

    sum_b w_b MMD^2(k_b) = MMD^2(sum_b w_b k_b),

is the squared MMD of one kernel, that of a picture with the features of all backbones. So everything that holds of one
backbone's estimate holds of the average: its variance with all that the backbones have in common, the interval, the
relative test, and its deals, which send a picture to one side under all backbones at once. It takes one more pass over
the rows, for squares of sums of kernels are no sums.

A Frechet distance has an influence function, which is averaged picture by picture; its quadratic remainder is a squared
MMD (`frechet_rows`), for which the same holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from ..estimation.estimate import Estimate
from ..estimation.frechet_errors import FrechetErrors
from ..estimation.frechet_rows import most_rows, rows_by_reference
from ..estimation.intervals import covering_copies, distance_estimate, t_quantile, with_errors
from ..estimation.kernels import Between, KernelRows, Within, sums_between, sums_within
from ..estimation.summed_rows import SummedRows
from ..estimation.ustatistics import Spread, Term, zeta_of_pair, zeta_of_set
from ..metrics.frechet import FrechetScore
from ..metrics.mmd import MmdScore

Scores = Sequence[MmdScore] | Sequence[FrechetScore]


@dataclass(frozen=True, eq=False)
class FrechetAverage:
    """As `FrechetScore`, of several backbones; the unit of its kernel is 1."""

    estimate: Estimate
    errors: FrechetErrors
    rows: tuple[SummedRows, SummedRows]
    distinct: "FrechetAverage | None" = None
    unit: float = 1.0

    def rows_to_deal(self, *, of_reference: bool) -> SummedRows:
        """See `FrechetScore.rows_to_deal`."""
        return self.rows[0 if of_reference else 1]


AnyFrechet = FrechetScore | FrechetAverage
Average = MmdScore | FrechetAverage


class Averages:
    """Averages with given weights; what MMD needs of the reference is computed once for any number of sets."""

    def __init__(self, weights: Sequence[float]) -> None:
        self.weights = tuple(weights)
        self._known: tuple[tuple[Any, ...], Within] | None = None

    def of(self, scores: Scores, distinct: Scores | None = None) -> Average:
        """The average of one set's scores, one for each backbone, each with its errors, all of the same pictures.

        Those of MMD come with their rows. `distinct` are the scores without copies, of the same pictures under every
        backbone.
        """
        average = self._of(scores)
        if distinct is None:
            return average
        without = self._of(distinct)
        estimate = covering_copies(average.estimate, without.estimate)
        return replace(average, estimate=estimate, distinct=without)  # type: ignore[arg-type]

    def _of(self, scores: Scores) -> Average:
        return self._mmd(scores) if _of_mmd(scores) else self._frechet(scores)  # type: ignore[arg-type]

    def _mmd(self, scores: Sequence[MmdScore]) -> MmdScore:
        sides = zip(*(score.rows for score in scores if score.rows is not None), strict=True)
        x, y = (SummedRows(side, self.weights) for side in sides)
        terms = (
            Term(1.0, self._sums_of_reference(x), "reference"),
            Term(1.0, sums_within(y), "generated"),
            Term(-2.0, sums_between(x, y), "reference", "generated"),
        )
        estimate = distance_estimate(terms, len(x), len(y), self._parameters(scores, "bandwidth"))
        return MmdScore(estimate, terms, (x, y))

    def _sums_of_reference(self, rows: SummedRows) -> Within:
        if self._known is None:
            self._known = rows.parts, sums_within(rows)
        parts, sums = self._known
        return sums if all(a is b for a, b in zip(parts, rows.parts, strict=True)) else sums_within(rows)

    def _frechet(self, scores: Sequence[FrechetScore]) -> FrechetAverage:
        every = [score.errors for score in scores if score.errors is not None]
        assert len(every) == len(scores)
        reference, generated = (self._sum([getattr(own, side) for own in every]) for side in ("reference", "generated"))
        corrected = [self._sum([own.without_bias[side] for own in every]) for side in (0, 1)]
        n, m = len(reference), len(generated)
        to_deal, remainders, reached = self._frechet_remainders(scores, every)
        degenerate = self._bound([own.spread.degenerate for own in every]) * reached
        projected = float(reference.var(ddof=1)) / n + float(generated.var(ddof=1)) / m
        bias = float(self._sum([own.bias for own in every]))
        errors = FrechetErrors(
            reference,
            generated,
            (corrected[0], corrected[1]),
            self._rows_of_remainders(scores, every) or to_deal,
            remainders,
            bias,
            Spread(projected, degenerate, degenerate),
            float(self._sum([own.growth for own in every])),
            self._bound([own.bias_variance for own in every]),
            min(own.effective_rows for own in every),
            np.concatenate([own.roots for own in every]),
        )
        value = float(self._sum([score.estimate.value for score in scores]))
        parameters = {**self._parameters(scores, "dim"), "bias": bias}
        bare = Estimate(value, n, m, parameters, corrected=value - bias)
        interval = errors.interval(value, t_quantile(min(n, m)))
        return FrechetAverage(with_errors(bare, errors.standard_error, interval), errors, to_deal)

    def _frechet_remainders(
        self, scores: Sequence[FrechetScore], errors: Sequence[FrechetErrors]
    ) -> tuple[tuple[SummedRows, SummedRows], tuple[float, float, float], float]:
        """Rows of the average's quadratic remainder, the same pictures under every backbone, and its variances.

        The variances are those at hand, as if the remainders moved together, times the share of that which the rows'
        own variances reach; last that share of all.
        """
        most = min(most_rows(score.reference.mean.size) for score in scores)
        by_backbone = [
            [rows_by_reference(score.reference, fit, most) for fit in (score.reference, score.generated)]
            for score in scores
        ]
        units = [weight * score.unit for weight, score in zip(self.weights, scores, strict=True)]
        x, y = (SummedRows(side, units) for side in zip(*by_backbone, strict=True))
        whole = _zetas(x, y)
        parts = np.sqrt([_zetas(*sides) for sides in by_backbone])
        together = np.square(np.asarray(units) @ parts)
        reached = np.divide(whole, together, out=np.ones(3), where=together > 0)
        bounds = np.array([self._bound(own) for own in zip(*(e.remainders for e in errors), strict=True)])
        within_x, within_y, between = (float(own) for own in np.minimum(reached, 1.0) * bounds)
        share = (within_x + within_y + between) / float(bounds.sum()) if bounds.sum() > 0 else 1.0
        return (x, y), (within_x, within_y, between), share

    def _rows_of_remainders(
        self, scores: Sequence[FrechetScore], errors: Sequence[FrechetErrors]
    ) -> tuple[SummedRows, SummedRows] | None:
        """The rows at hand, each backbone's in its own frame; None where wider backbones have fewer of them."""
        if any(len({len(own.rows[side]) for own in errors}) > 1 for side in (0, 1)):
            return None
        units = [weight * score.unit for weight, score in zip(self.weights, scores, strict=True)]
        x, y = (SummedRows(side, units) for side in zip(*(own.rows for own in errors), strict=True))
        return x, y

    def _sum(self, parts: Sequence[Any]) -> Any:
        return sum(weight * part for weight, part in zip(self.weights, parts, strict=True))

    def _bound(self, variances: Sequence[float]) -> float:
        """The most that the variance of the weighted sum can be: (sum_b w_b sd_b)^2."""
        return float(self._sum([np.sqrt(own) for own in variances])) ** 2

    def _parameters(self, scores: Scores, name: str) -> dict[str, Any]:
        return {name: [score.estimate.parameters[name] for score in scores], "weights": list(self.weights)}


def _zetas(x: KernelRows, y: KernelRows) -> NDArray[np.float64]:
    """The variance of the remainder within either set, and between them."""
    return np.array([zeta_of_set(sums_within(x)), zeta_of_set(sums_within(y)), zeta_of_pair(sums_between(x, y))])


def _of_mmd(scores: Scores) -> TypeGuard[Sequence[MmdScore]]:
    return isinstance(scores[0], MmdScore)


def spread_of_reference(score: MmdScore | FrechetScore) -> float:
    """How far apart the pictures of the reference are, in the distance's own units, unbiased.

    Of squared MMD 1 - mean k(x, x'), the variance of the reference in the space of the kernel: on average what a set
    scores that repeats a single real picture. Of the Frechet distance tr S_x, what a set scores that repeats the mean.
    """
    if isinstance(score, FrechetScore):
        return score.reference.trace
    own = score.terms[0].sums
    assert isinstance(own, Within)
    return -own.mean  # of k - 1


def covariance_of(scores: Sequence[Average | FrechetScore], paired: bool) -> NDArray[np.float64]:
    """Covariance (K, K) of the distances of K sets to one reference, first order, from the rows' projections."""
    parts = [_projections(score) for score in scores]
    of_reference = np.stack([x for x, _ in parts])
    covariance: NDArray[np.float64] = np.atleast_2d(np.cov(of_reference)) / of_reference.shape[1]
    if paired:
        own = np.stack([y for _, y in parts])
        covariance += np.atleast_2d(np.cov(own)) / own.shape[1]
    else:
        covariance += np.diag([float(y.var(ddof=1)) / len(y) for _, y in parts])
    return covariance


def _projections(score: Average | FrechetScore) -> tuple[NDArray[Any], NDArray[Any]]:
    """By how much either set's pictures move a distance to the reference, where the reference's own mean cancels."""
    if not isinstance(score, MmdScore):
        assert score.errors is not None
        x, y = score.errors.without_bias
        return x, y
    own, cross = score.terms[1].sums, score.terms[2].sums
    assert isinstance(cross, Between)
    n, m = len(cross.row_sums), len(cross.column_sums)
    return -2 * cross.row_sums / m, 2 * own.row_sums / (m - 2) - 2 * cross.column_sums / n
