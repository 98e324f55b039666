"""What is odd about results, and what it does to how they are read, in words."""

from collections.abc import Mapping, Sequence

from ..common.text import first_names
from ..report import Result
from ..sets.metric_names import METRICS


def rank_warnings(sides: Sequence[tuple[str, int | None]], dim: int) -> list[str]:
    """A warning about sets whose covariance of `dim` dimensions is estimated from no more than `dim` pictures."""
    few = [f"{name} {n:,}" for name, n in sides if n is not None and n <= dim]
    if not few:
        return []
    return [
        f"fewer pictures than the {dim:,} feature dimensions ({', '.join(few)}): the covariance is singular and the "
        "Frechet distance is biased upwards; compare it only with values of the same n, or use mmd"
    ]


def negative_warnings(results: Sequence[Result]) -> list[str]:
    """A warning when an unbiased squared MMD is negative; a biased one is so by rounding only."""
    below = [r.metric for r in results if r.value < 0 and r.parameters.get("estimator") == "unbiased"]
    if not below:
        return []
    return [
        f"negative {', '.join(dict.fromkeys(below))}: the unbiased estimate scatters around zero when these "
        "pictures show no difference; read it as zero"
    ]


def interval_warnings(results: Sequence[Result]) -> list[str]:
    """Why results have no error or no interval, one sentence a reason."""
    reasons: dict[tuple[str, str, str], list[str]] = {}
    for result in results:
        if result.no_error_reason is not None and not METRICS[result.metric].is_test:
            missing = "no error and no interval" if result.standard_error is None else "no interval"
            which = reasons.setdefault((result.backbone, missing, result.no_error_reason), [])
            which.append(result.metric)
    return [
        f"{', '.join(dict.fromkeys(which))} on {backbone}: {missing}: {reason}"
        for (backbone, missing, reason), which in reasons.items()
    ]


def frequency_warnings(results: Sequence[Result]) -> list[str]:
    """That numbers were estimated with random frequencies, and the largest error that these add."""
    added: dict[tuple[str, str, int], float] = {}
    for result in results:
        if (count := result.parameters.get("num_frequencies")) is not None:
            which = result.metric, result.backbone, int(count)
            added[which] = max(added.get(which, 0.0), float(result.parameters["frequency_error"]))
    return [
        f"{metric} on {backbone}: estimated with {count:,} random frequencies, which add a standard error of up to "
        f"{error:.2g}; it is in the error and the interval"
        for (metric, backbone, count), error in added.items()
    ]


def class_warnings(
    sets: Sequence[tuple[str, Mapping[str, Sequence[int]]]], counts: Sequence[int], least: int
) -> list[str]:
    """What is left out class by class; each set by name with the rows of its classes, and its number of pictures."""
    (name, reference), *others = sets
    warnings = []
    for other, own in others:
        for side, absent in ((other, reference.keys() - own.keys()), (name, own.keys() - reference.keys())):
            if absent:
                beside = name if side == other else other
                warnings.append(f"per class: {side} has no {first_names(sorted(absent))}, which {beside} has; left out")
    for (side, own), count in zip(sets, counts, strict=True):
        if outside := count - sum(map(len, own.values())):
            word = "picture" if outside == 1 else "pictures"
            warnings.append(f"per class: {side} has {outside} {word} outside any folder; left out")
        if few := [label for label, rows in own.items() if len(rows) < least]:
            warnings.append(f"per class: {side} has fewer than two pictures of {first_names(few)}; left out")
    return warnings


def class_rank_warnings(results: Mapping[str, Sequence[Result]], dims: Mapping[str, int]) -> list[str]:
    """A warning about Frechet distances of classes that have no more pictures than there are dimensions."""
    few = [
        name
        for name, own in results.items()
        if any(r.metric in ("fd", "fid") and _least_n(r) <= dims[r.backbone] for r in own)
    ]
    if not few:
        return []
    return [
        f"per class: no more pictures than feature dimensions in {first_names(few)}: the Frechet distance of a class "
        "is biased upwards; compare it only with values of the same n, or use mmd"
    ]


def _least_n(result: Result) -> int:
    return min(n for n in (result.n_reference, result.n_generated) if n is not None)
