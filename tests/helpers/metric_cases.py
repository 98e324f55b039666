"""Every torchmetrics class with the batches of a run."""

from typing import Any, NamedTuple

from metric_inputs import Identity, rows

from cmmd_toolkit.torchmetrics import CMMD, FrechetDistance, InceptionScore, KernelDistance, PrecisionRecall


class Case(NamedTuple):
    """A metric and the arguments of its updates."""

    make: Any
    batches: Any


def two_sided() -> list[tuple[Any, ...]]:
    """Real and fake in turn, of unequal sizes."""
    return [(rows(12 + i, i, shift=0.3 * (i % 2)), i % 2 == 0) for i in range(4)]


def one_sided() -> list[tuple[Any, ...]]:
    return [(rows(12 + i, i),) for i in range(4)]


CASES = {
    "fd": Case(lambda **more: FrechetDistance(Identity(), **more), two_sided),
    "mmd": Case(lambda **more: CMMD(Identity(), **more), two_sided),
    "kid": Case(lambda **more: KernelDistance(Identity(), subsets=4, subset_size=5, **more), two_sided),
    "kd": Case(lambda **more: KernelDistance(Identity(), subsets=None, **more), two_sided),
    "pr": Case(lambda **more: PrecisionRecall(Identity(), **more), two_sided),
    "is": Case(lambda **more: InceptionScore(Identity(), splits=3, **more), one_sided),
}


def updated(name: str, metric: Any | None = None, **more: Any) -> Any:
    case = CASES[name]
    metric = case.make(**more) if metric is None else metric
    for batch in case.batches():
        metric.update(*batch)
    return metric


def numbers(result: Any) -> list[float]:
    return [float(own) for own in (result if isinstance(result, tuple) else (result,))]
