"""`rank`: several generated sets in order, with intervals, tests of all pairs, and groups that cannot be told apart."""

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from ..common.arguments import real_number
from ..errors import ArgumentError, InputError
from ..estimation.gaussian import GaussianFit
from ..features.features import Features, GaussianStatistics
from ..features.matrices import unit_rows
from ..inference.ordering import Score, order_sets, without_bias
from ..inference.relative import kept_for_tests
from ..metrics import frechet
from ..metrics.frechet import FrechetScore
from ..metrics.mmd import Bandwidth, MmdReference, MmdScore, check_bandwidth
from ..pictures.decode import MAX_PIXELS
from ..report.ranking import Order, Place, Ranking
from ..report.verdict import Verdict, ordered_text
from ..scoring.selection import check_defined_on
from ..sets.embed_sets import Check, Gathered, Networks, Options, Paths, Progress, gather
from ..sets.embedding import OnError
from ..sets.metric_names import MetricSpec, ranked_metric
from ..sets.recipes import Recipe
from ..sets.side import Side, as_sources

Metric = Literal["mmd", "fd"]


def rank(
    reference: Any,
    generated: Sequence[Any],
    *,
    metric: str = "mmd",
    paired: bool = False,
    alpha: float = 0.05,
    backbone: str | Iterable[str] | None = None,
    weights: Paths = None,
    model: Any = None,
    dims: int | None = None,
    recipe: str | None = None,
    bandwidth: Bandwidth | None = None,
    batch_size: int = 32,
    workers: int | None = None,
    device: str = "auto",
    max_images: int | None = None,
    seed: int = 0,
    recursive: bool = True,
    on_error: OnError = "fail",
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
    command: str | None = None,
) -> Ranking:
    """Put several generated sets in order and say which differences are real.

    Args:
        reference, generated: as `compare`; two generated sets or more.
        metric: "mmd" (unbiased and unscaled whatever the recipe, bandwidth of the reference) or "fd"; on their networks
            also "cmmd" and "fid", the same numbers.
        paired: pictures of equal names (equal places, where there are no names) were made from one seed.
        alpha: level of the groups, after Holm's correction over all pairs of a backbone.
        bandwidth: of the kernel, a number or "median" of the reference, one ruler for all.
        others: as `compare`.

    Returns:
        Ranking. The p-values are two-sided, from the relative test (`relative_test`).

    Raises:
        CmmdError: as `compare`; fewer than two generated sets, sets too small for a test, unequal sets when paired.
    """
    spec = ranked_metric(metric)
    number: Metric = "fd" if spec.number == "fd" else "mmd"
    names = [str(item) for item in as_sources(generated) if isinstance(item, (str, Path))]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ArgumentError(f"{twice[0]}: given twice; name each set once")
    alpha = checked_level(alpha)
    check_one_ruler(bandwidth)
    if len(as_sources(generated)) < 2:
        raise ArgumentError("rank: expected two generated sets or more; for one take compare")
    gathered = gather(
        reference,
        generated,
        Networks(backbone, recipe, weights, model, dims),
        Options(batch_size, workers, device, max_images, seed, recursive, on_error, max_pixels),
        check=rows_check(spec),
        progress=progress,
        command=command,
    )
    if paired:
        check_pairing(gathered)
    orders = tuple(_order(gathered, k, number, bandwidth, paired, alpha) for k in range(len(gathered.names)))
    first = gathered.under(0)[0]
    return Ranking(
        gathered.sides[0].short,
        len(first) if isinstance(first, Features) else 0,
        orders,
        _agreement(orders),
        alpha,
        paired,
        tuple(dict.fromkeys([*gathered.warnings, *_remarks(orders)])),
        gathered.provenance([number]),
        tuple(_verdict(order, alpha, len(orders) > 1) for order in orders),
    )


def _verdict(order: Order, alpha: float, prefix: bool) -> Verdict:
    text = ordered_text([place.generated for place in order.places], order.pairs, alpha)
    return Verdict(order.backbone, order.metric, f"On {order.backbone}: {text}" if prefix else text, alpha, order.pairs)


def check_one_ruler(bandwidth: Bandwidth | None) -> None:
    """Raise ArgumentError for a bandwidth that would differ from set to set."""
    if bandwidth is not None and check_bandwidth(bandwidth) == "median-pooled":
        raise ArgumentError("bandwidth: expected a number or median, since all sets need one ruler, got median-pooled")


def checked_level(alpha: Any) -> float:
    """The level of a test as a number between 0 and 1, or an ArgumentError."""
    level = real_number(alpha, "alpha", expected := "a number between 0 and 1")
    if not 0 < level < 1:
        raise ArgumentError(f"alpha: expected {expected}, got {alpha}")
    return level


def rows_check(spec: MetricSpec) -> Check:
    """The check that the sets can be ranked by a metric."""

    def check(plan: Recipe, names: list[str], sides: list[Side]) -> list[str]:
        check_defined_on(spec, names)
        _check_rows(sides)
        return []

    return check


def _check_rows(sides: Sequence[Side]) -> None:
    """Refuse sets that hold mean and covariance only."""
    for side in sides:
        if isinstance(side.stored, GaussianStatistics):
            raise InputError(
                f"{side.label}: holds mean and covariance only, and a test needs every picture's features; "
                "make it with `cmmd embed` without --stats"
            )


def check_pairing(gathered: Gathered) -> None:
    """Raise InputError unless the generated sets hold pictures of equal names in equal order."""
    first, *others = gathered.sides[1:]
    for side in others:
        if len(_names(first)) != len(_names(side)):
            counts = f"has {len(_names(side))} pictures and {first.label} has {len(_names(first))}"
            raise InputError(f"{side.label}: {counts}, so they are no pairs; leave out --paired")
        if _names(first) != _names(side):
            here, there = next(pair for pair in zip(_names(side), _names(first), strict=True) if pair[0] != pair[1])
            raise InputError(f"{side.label}: {here} would be paired with {there} of {first.label}; leave out --paired")


def _names(side: Side) -> list[str]:
    if side.summary is not None:
        return list(side.summary.names)
    assert isinstance(side.stored, Features)
    return list(side.stored.names) or [str(i) for i in range(len(side.stored))]


def _order(
    gathered: Gathered, backbone: int, metric: Metric, bandwidth: Bandwidth | None, paired: bool, alpha: float
) -> Order:
    names = [side.short for side in gathered.sides[1:]]
    scored = frechet_scores(gathered, backbone) if metric == "fd" else mmd_scores(gathered, backbone, bandwidth, paired)
    found = order_sets(names, scored, alpha=alpha, paired=paired)
    places = tuple(_place(names[i], scored[i], groups) for i, groups in zip(found.places, found.groups, strict=True))
    return Order(gathered.names[backbone], metric, places, found.pairs)


def mmd_scores(gathered: Gathered, backbone: int, bandwidth: Bandwidth | None, paired: bool) -> list[MmdScore]:
    """Every generated set under one backbone, with what relative tests need of it."""
    prepare: Callable[[Any], Any] = (lambda f: unit_rows(f.values)) if gathered.plan.normalize else (lambda f: f.values)
    reference, *generated = gathered.under(backbone)
    chosen = gathered.plan.bandwidth if bandwidth is None else bandwidth
    ruler = MmdReference(prepare(reference), chosen, "unbiased", gathered.options.seed)
    scores = (ruler.score(prepare(rows)) for rows in generated)
    kept = [kept_for_tests(score, paired) for score in scores]
    for side, score in zip(gathered.sides[1:], kept, strict=True):
        if score.estimate.standard_error is None:
            raise InputError(f"{side.label}: {score.estimate.no_error_reason}")
    return kept


def frechet_scores(gathered: Gathered, backbone: int) -> list[FrechetScore]:
    """Every generated set under one backbone, or an InputError for those too small for errors."""
    reference, *generated = gathered.under(backbone)
    fit = GaussianFit.of(reference, "reference")
    scores = [frechet.score(fit, GaussianFit.of(rows, "generated")) for rows in generated]
    for side, score in zip(gathered.sides[1:], scores, strict=True):
        if score.errors is None or score.estimate.standard_error is None:
            raise InputError(f"{side.label}: {score.estimate.no_error_reason}; rank by mmd")
    return scores


def _place(name: str, score: Score, groups: str) -> Place:
    estimate = score.estimate
    assert estimate.n_generated is not None
    assert estimate.standard_error is not None
    return Place(
        name,
        estimate.n_generated,
        without_bias(score),
        estimate.standard_error,
        estimate.interval,
        groups,
        estimate.value,
        estimate.no_error_reason,
    )


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
