"""Features to results: which metrics, under which names, with which caveats."""

import difflib
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from . import checks
from .backbones.registry import SPECS
from .errors import ArgumentError
from .features import Features, GaussianStatistics
from .inputs import Side, Stored
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
    backbone: str,
    sides: Sequence[Side],
    features: Sequence[Stored],
    metrics: Sequence[str],
    plan: Recipe,
    bandwidth: Bandwidth | None,
    seed: int,
) -> tuple[list[Result], list[str]]:
    """Every generated set under every metric; the reference's own part is computed once."""
    score = {
        metric: _frechet_scorer(features[0]) if metric in _FRECHET else _mmd_scorer(features[0], plan, bandwidth, seed)
        for metric in metrics
    }
    results = [
        _result(sides[0].label, side.label, backbone, metric, score[metric](own))
        for side, own in zip(sides[1:], features[1:], strict=True)
        for metric in metrics
    ]
    remarks = checks.negative_warnings([result for result in results if result.metric not in _FRECHET])
    if not set(metrics) & set(_FRECHET):
        return results, remarks
    counts = [
        (side.short, own.n if isinstance(own, GaussianStatistics) else len(own))
        for side, own in zip(sides, features, strict=True)
    ]
    return results, remarks + checks.rank_warnings(counts, features[0].dim)


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
    parameters = {**estimate.parameters, "scale": plan.scale, "normalized": plan.normalize}
    return Estimate(estimate.value * plan.scale, estimate.n_reference, estimate.n_generated, parameters)


def _result(reference: str, generated: str, backbone: str, metric: str, estimate: Estimate) -> Result:
    return Result(
        reference,
        generated,
        backbone,
        metric,
        float(estimate),
        estimate.n_reference,
        estimate.n_generated,
        dict(estimate.parameters),
    )
