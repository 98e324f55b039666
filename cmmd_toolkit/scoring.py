"""Features to results: which metrics, under which names, with which caveats."""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from . import checks
from .backbones.registry import SPECS
from .errors import ArgumentError
from .features import Features, GaussianStatistics
from .gathering import Gathered
from .inputs import Stored
from .metrics import frechet
from .metrics.estimate import Estimate
from .metrics.gaussian import GaussianFit
from .metrics.mmd import Bandwidth, MmdReference
from .recipes import Recipe
from .report import Result

METRICS = ("fd", "fid", "mmd", "cmmd")
_FRECHET = ("fd", "fid")
Scorer = Callable[[Stored], Estimate]


def check_metrics(
    asked: list[str], plan: Recipe, backbones: Sequence[str], stored: Sequence[Stored | None]
) -> tuple[list[str], list[str]]:
    """The metrics of this run, and remarks on those left out. Raises ArgumentError for what cannot be computed."""
    statistics = any(isinstance(side, GaussianStatistics) for side in stored)
    remarks = []
    metrics = asked or list(plan.metrics)
    for name in metrics:
        _check_metric(name, plan, backbones)
    if statistics and not asked and "mmd" in metrics:
        metrics = [name for name in metrics if name != "mmd"]
        remarks.append("mmd was left out: mean and covariance are not enough for it, it needs every picture's features")
    if statistics and (needy := [name for name in metrics if name not in _FRECHET]):
        raise ArgumentError(
            f"{needy[0]}: one side holds mean and covariance only, and MMD needs every picture's features; "
            "use --metric fd, or features from `cmmd embed` without --stats"
        )
    return metrics, remarks


def _check_metric(name: str, plan: Recipe, backbones: Sequence[str]) -> None:
    if name not in METRICS:
        near = difflib.get_close_matches(name.lower(), METRICS, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ArgumentError(f"unknown metric {name!r}; {hint}choose from {', '.join(METRICS)}")
    family = "fd" if name in _FRECHET else "mmd"
    if family not in plan.metrics:
        raise ArgumentError(f"recipe {plan.name} does not define {name}; it computes {', '.join(plan.metrics)}")
    for backbone in backbones:
        spec = SPECS.get(backbone.split(":")[0])
        about = "CMMD" if name == "cmmd" else "FID"
        if name in ("fid", "cmmd") and spec is not None and spec.about != about:
            raise ArgumentError(f"{name} is not defined on {backbone}; use --metric {family}")


def score_all(
    gathered: Gathered, metrics: Sequence[str], bandwidth: Bandwidth | None
) -> tuple[list[Result], list[str]]:
    """Every generated set under every backbone and metric, set by set; the reference's own part is computed once."""
    parts = [_score(gathered, k, metrics, bandwidth) for k in range(len(gathered.names))]
    by_set = [results for own in zip(*(results for results, _ in parts), strict=True) for results in own]
    return [result for results in by_set for result in results], [remark for _, own in parts for remark in own]


def _score(
    gathered: Gathered, backbone: int, metrics: Sequence[str], bandwidth: Bandwidth | None
) -> tuple[list[list[Result]], list[str]]:
    sides, (reference, *generated) = gathered.sides, gathered.under(backbone)
    plan, seed = gathered.plan, gathered.options.seed
    score = {
        metric: _frechet_scorer(reference) if metric in _FRECHET else _mmd_scorer(reference, plan, bandwidth, seed)
        for metric in metrics
    }
    results = [
        [
            _result(sides[0].label, side.label, gathered.names[backbone], metric, score[metric](own))
            for metric in metrics
        ]
        for side, own in zip(sides[1:], generated, strict=True)
    ]
    flat = [result for own in results for result in own]
    remarks = checks.negative_warnings([result for result in flat if result.metric not in _FRECHET])
    remarks += checks.interval_warnings(flat)
    if not set(metrics) & set(_FRECHET):
        return results, remarks
    counts = [(side.short, side_count(own)) for side, own in zip(sides, gathered.under(backbone), strict=True)]
    return results, remarks + checks.rank_warnings(counts, reference.dim)


def side_count(features: Stored) -> int | None:
    """The number of pictures behind stored features or statistics."""
    return features.n if isinstance(features, GaussianStatistics) else len(features)


def _frechet_scorer(reference: Stored) -> Scorer:
    fit = GaussianFit.of(reference, "reference")
    return lambda generated: frechet.score(fit, GaussianFit.of(generated, "generated")).estimate


def _mmd_scorer(reference: Stored, plan: Recipe, bandwidth: Bandwidth | None, seed: int) -> Scorer:
    chosen = plan.bandwidth if bandwidth is None else bandwidth
    mmd = MmdReference(_mmd_rows(reference, plan), chosen, plan.estimator, seed)
    return lambda generated: _scaled(mmd.distance(_mmd_rows(generated, plan)), plan)


def _mmd_rows(features: Stored, plan: Recipe) -> NDArray[np.float32]:
    assert isinstance(features, Features)
    return unit_rows(features.values) if plan.normalize else features.values


def unit_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each row divided by its Euclidean length; a zero row stays zero."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: NDArray[np.float32] = (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32, copy=False)
    return unit


def _scaled(estimate: Estimate, plan: Recipe) -> Estimate:
    error, interval = estimate.standard_error, estimate.interval
    return replace(
        estimate,
        value=estimate.value * plan.scale,
        parameters={**estimate.parameters, "scale": plan.scale, "normalized": plan.normalize},
        standard_error=None if error is None else error * plan.scale,
        interval=None if interval is None else (interval[0] * plan.scale, interval[1] * plan.scale),
    )


def _result(reference: str, generated: str, backbone: str, metric: str, estimate: Estimate) -> Result:
    return Result(
        reference,
        generated,
        backbone,
        metric,
        float(estimate),
        estimate.standard_error,
        estimate.interval,
        estimate.n_reference,
        estimate.n_generated,
        dict(estimate.parameters),
        estimate.caveats,
    )
