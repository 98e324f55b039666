"""`rank`: several generated sets in order, with intervals, tests of all pairs, and groups that cannot be told apart."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from typing_extensions import Unpack

from ..common.arguments import check_alpha
from ..errors import ArgumentError, InputError
from ..estimation.frechet_errors import why_no_errors
from ..estimation.gaussian import GaussianFit
from ..estimation.intervals import LEAST_ROWS
from ..estimation.kernel_device import kernels_on
from ..features.features import Features
from ..inference.ordering import Score, order_sets
from ..inference.relative import kept_for_tests
from ..metrics import frechet
from ..metrics.frechet import FrechetScore
from ..metrics.mmd import Bandwidth, MmdReference, MmdScore, check_one_ruler
from ..metrics.mmd_cost import FEWER, warn_of_cost
from ..report.order import Joint, Order
from ..report.ranking import Ranking
from ..report.verdict import Verdict, ordered_text
from ..scoring.exhibit import exhibit_of
from ..scoring.scorers import side_count
from ..scoring.selection import check_defined_on
from ..sets.embed_sets import EmbeddedSets, embed_sets
from ..sets.metric_names import MetricSpec, ranked_metric
from ..sets.named import as_sources
from ..sets.open_sets import open_sets
from ..sets.run import Run
from ..sets.side import check_rows
from .over_backbones import over_backbones, placed
from .run_options import RunOptions, takes


@takes(RunOptions)
def rank(
    reference: Any,
    generated: Any,
    *,
    metric: str | None = None,
    bandwidth: Bandwidth | None = None,
    paired: bool = False,
    alpha: float = 0.05,
    exhibit: bool = False,
    **options: Unpack[RunOptions],
) -> Ranking:
    """Put several generated sets in order and say which differences are real.

    Args:
        reference, generated: as `compare`; two generated sets or more.
        metric: "mmd" (the default; unbiased and unscaled whatever the recipe, bandwidth of the reference) or "fd"; on
            their networks also "cmmd" and "fid", the same numbers.
        bandwidth: of the kernel, a number or "median" of the reference, the same for all sets.
        paired: pictures with equal names (equal positions, where there are no names) were made from one seed.
        alpha: level of the groups, after Holm's correction over all pairs of a backbone.
        exhibit: as `compare`.
        others: as `compare`.

    Returns:
        Ranking. The p-values are two-sided, from the relative test (`relative_test`). Of several backbones `joint` has
        the order of their average and says which sets are closer on every one of them.

    Raises:
        CmmdError: as `compare`; fewer than two generated sets, sets too small for a test, unequal sets when paired.
    """
    spec, alpha = ranked_metric("mmd" if metric is None else metric), check_alpha(alpha)
    if bandwidth is not None:
        check_one_ruler(bandwidth)
    if len(as_sources(generated)) < 2:
        raise ArgumentError("rank: expected two generated sets or more; score one with `compare`")
    run = Run(**options)
    with kernels_on(run.device):
        sets = rankable_sets(reference, generated, run, spec, paired, bandwidth)
        scores = [scores_on(sets, k, spec.number, bandwidth, paired) for k in range(len(sets.backbones))]
        orders = [_order(sets, k, spec.number, own, paired, alpha) for k, own in enumerate(scores)]
        joint = over_backbones(sets, scores, orders, paired, alpha) if len(orders) > 1 else None
        ranking = _ranking(sets, orders, joint, alpha, paired)
        return replace(ranking, exhibit=exhibit_of(sets, exhibit, bandwidth))


def _ranking(
    sets: EmbeddedSets, orders: Sequence[Order], joint: Joint | str | None, alpha: float, paired: bool
) -> Ranking:
    unsaid = [joint] if isinstance(joint, str) else []
    reference = sets.features_on(0)[0]
    assert isinstance(reference, Features)
    return Ranking(
        sets.sides[0].short,
        len(reference),
        tuple(orders),
        _agreement(orders),
        alpha,
        paired,
        tuple(dict.fromkeys([*sets.warnings, *_remarks(orders), *unsaid])),
        sets.descriptions(),
        sets.provenance([orders[0].metric]),
        tuple(_verdict(order, alpha, len(orders) > 1) for order in orders),
        None if isinstance(joint, str) else joint,
    )


def _verdict(order: Order, alpha: float, prefix: bool) -> Verdict:
    text = ordered_text([place.generated for place in order.places], order.pairs, alpha)
    return Verdict(order.backbone, order.metric, f"On {order.backbone}: {text}" if prefix else text, alpha, order.pairs)


def rankable_sets(
    reference: Any, generated: Any, run: Run, spec: MetricSpec, paired: bool, bandwidth: Bandwidth | None
) -> EmbeddedSets:
    """Sets that can be ranked by a metric, opened, checked and embedded. Raises CmmdError."""
    sets = open_sets(reference, generated, run)
    check_defined_on(spec, sets)
    check_rows(sets.sides, "a test")
    embedded = embed_sets(sets, bandwidth)
    if paired:
        _check_pairing(embedded)
    return embedded


def _check_pairing(sets: EmbeddedSets) -> None:
    """Raise InputError unless the generated sets hold pictures of equal names in equal order."""
    first, *others = sets.sides[1:]
    wanted = first.picture_names()
    for side in others:
        names = side.picture_names()
        if len(wanted) != len(names):
            counts = f"has {len(names)} pictures and {first.label} has {len(wanted)}"
            raise InputError(f"{side.label}: {counts}, so they cannot be paired; leave out `paired`")
        for here, there in zip(names, wanted, strict=True):
            if here != there:
                raise InputError(
                    f"{side.label}: {here} would be paired with {there} of {first.label}; leave out `paired`"
                )


def scores_on(
    sets: EmbeddedSets, backbone: int, metric: str, bandwidth: Bandwidth | None, paired: bool
) -> Sequence[Score]:
    """Every generated set under one backbone, by "fd" or "mmd", with what relative tests need; raises InputError."""
    return _frechet_scores(sets, backbone) if metric == "fd" else _mmd_scores(sets, backbone, bandwidth, paired)


def _order(
    sets: EmbeddedSets, backbone: int, metric: str, scored: Sequence[Score], paired: bool, alpha: float
) -> Order:
    names = sets.shorts[1:]
    found = order_sets(names, scored, alpha=alpha, paired=paired)
    return Order(sets.backbones[backbone], metric, placed(names, scored, found), found.pairs)


def _mmd_scores(sets: EmbeddedSets, backbone: int, bandwidth: Bandwidth | None, paired: bool) -> list[MmdScore]:
    """Beside other backbones a score has its rows, for the average over all."""
    recipe, (reference, *generated) = sets.recipe, sets.features_on(backbone)
    ruler = MmdReference(recipe.mmd_rows(reference), recipe.bandwidth_or(bandwidth), "unbiased", sets.run.seed)
    for rows in generated:
        warn_of_cost(len(ruler.rows), side_count(rows) or 0, rows.dim, FEWER)
    together, kept = len(sets.backbones) > 1, []
    for unit in map(recipe.mmd_rows, generated):
        score = ruler.score(unit)
        own = kept_for_tests(score, paired)
        kept.append(ruler.streamed(score, unit) if together and own.rows is None else own)
    for side, score in zip(sets.sides[1:], kept, strict=True):
        if score.estimate.standard_error is None:
            at_fault = sets.sides[0] if len(ruler.distinct) < LEAST_ROWS else side
            raise InputError(f"{at_fault.label}: {score.estimate.no_error_reason}")
    return kept


def _frechet_scores(sets: EmbeddedSets, backbone: int) -> list[FrechetScore]:
    reference, *generated = sets.features_on(backbone)
    fit = GaussianFit.of(reference, "reference")
    if (reason := why_no_errors(fit, fit)) is not None:
        raise InputError(f"{sets.sides[0].label}: {reason}; rank by mmd")
    scores = [frechet.score(fit, GaussianFit.of(rows, "generated")) for rows in generated]
    for side, score in zip(sets.sides[1:], scores, strict=True):
        if score.errors is None or score.estimate.standard_error is None:
            raise InputError(f"{side.label}: {score.estimate.no_error_reason}; rank by mmd")
    return scores


def _remarks(orders: Sequence[Order]) -> list[str]:
    """Why places have no interval."""
    return [
        f"{order.metric} of {place.generated} on {order.backbone}: no interval: {place.no_error_reason}"
        for order in orders
        for place in order.places
        if place.no_error_reason is not None
    ]


def _agreement(orders: Sequence[Order]) -> tuple[tuple[str, str, float], ...]:
    from scipy.stats import kendalltau

    found = []
    for one, two in combinations(orders, 2):
        scores = {place.generated: place.score for place in two.places}
        tau = kendalltau([place.score for place in one.places], [scores[place.generated] for place in one.places])
        found.append((one.backbone, two.backbone, float(tau.statistic)))
    return tuple(found)
