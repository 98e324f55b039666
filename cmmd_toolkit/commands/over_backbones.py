"""What several backbones say together of the sets that `rank` has put in order under each."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..estimation.gaussian import GaussianFit
from ..estimation.shared_rows import are_first
from ..inference.averages import Averages, covariance_of, spread_of_reference
from ..inference.everywhere import every_tests
from ..inference.ordering import Ordered, Score, Tested, order_sets, without_bias
from ..metrics import frechet
from ..metrics.mmd import MmdReference, MmdScore
from ..report.order import AVERAGE, Joint, Order, Place
from ..report.verdict import everywhere_text, ordered_text
from ..sets.embed_sets import EmbeddedSets


def over_backbones(
    sets: EmbeddedSets, scores: Sequence[Sequence[Score]], orders: Sequence[Order], paired: bool, alpha: float
) -> Joint | str:
    """The average over backbones and the tests on every one of them, or why there are none.

    `scores` are by backbone, then by set, with everything that tests need.
    """
    weights = [1 / (len(scores) * spread_of_reference(own[0])) for own in scores]
    averages, names = Averages(weights), sets.shorts[1:]
    found: list[Tested] = []
    for i, name in enumerate(names):
        every: Any = [own[i] for own in scores]
        without: Any = _without_copies(sets, every, i + 1)
        if without and any(own.estimate.standard_error is None for own in without):
            return f"no average over backbones: {name}: without exact copies too few pictures are left"
        average = averages.of(every, without)
        if average.estimate.standard_error is None:
            return f"no average over backbones: {name}: {average.estimate.no_error_reason}"
        found.append(average)
    ordered = order_sets(names, found, alpha=alpha, paired=paired, covariance=covariance_of(found, paired))
    places = placed(names, found, ordered)
    tests = every_tests([(own.better, own.worse) for own in ordered.pairs], [order.pairs for order in orders])
    by_place = [place.generated for place in places]
    return Joint(
        tuple(sets.backbones),
        tuple(weights),
        Order(AVERAGE, orders[0].metric, places, ordered.pairs),
        tests,
        (
            f"On average: {ordered_text(by_place, ordered.pairs, alpha)}",
            f"On every backbone: {everywhere_text(by_place, tests, {o.backbone: o.pairs for o in orders}, alpha)}",
        ),
    )


def placed(names: Sequence[str], scores: Sequence[Tested], found: Ordered) -> tuple[Place, ...]:
    """The sets in order, with their numbers."""
    return tuple(_place(names[i], scores[i], groups) for i, groups in zip(found.places, found.groups, strict=True))


def _place(name: str, score: Tested, groups: str) -> Place:
    estimate = score.estimate
    assert estimate.standard_error is not None
    return Place(
        name,
        estimate.counts[1],
        without_bias(score),
        estimate.standard_error,
        estimate.interval,
        groups,
        estimate.value,
        estimate.no_error_reason,
    )


def _without_copies(sets: EmbeddedSets, scores: Sequence[Score], side: int) -> Sequence[Score] | None:
    """One set's scores without copies, of the same pictures under every backbone; None where there are no copies.

    A picture whose features were rounded otherwise in another batch may be a copy under some backbones only: it is
    taken for one under all.
    """
    distinct = [score.distinct for score in scores]
    if all(own is None for own in distinct):
        return None
    known = [own for own in distinct if own is not None]
    counts = {(own.estimate.n_reference, own.estimate.n_generated) for own in known}
    if len(known) == len(scores) and len(counts) == 1:
        return known
    is_mmd = isinstance(scores[0], MmdScore)
    rows = [[_rows(sets, own, k, is_mmd) for k in range(len(scores))] for own in (0, side)]
    kept = (np.flatnonzero(np.all([are_first(own) for own in every], axis=0)) for every in rows)
    x, y = ([own[which] for own in every] for every, which in zip(rows, kept, strict=True))
    return [_scored(score, *own, sets.run.seed) for score, own in zip(scores, zip(x, y, strict=True), strict=True)]


def _rows(sets: EmbeddedSets, side: int, backbone: int, is_mmd: bool) -> Any:
    features: Any = sets.features_on(backbone)[side]
    return sets.recipe.mmd_rows(features) if is_mmd else features.values


def _scored(score: Score, x: Any, y: Any, seed: int) -> Score:
    if isinstance(score, MmdScore):
        return MmdReference(x, score.estimate.parameters["bandwidth"], "unbiased", seed).score(y)
    return frechet.score(GaussianFit.of(x, "reference"), GaussianFit.of(y, "generated"))
