"""`--fail-above` and `--fail-below`: what a script calls too bad. Imports nothing heavy."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING

from .errors import ArgumentError
from .metric_names import ALL, DEFAULTS, METRICS

if TYPE_CHECKING:
    from .report import Report

ABOVE, BELOW = "--fail-above", "--fail-below"


@dataclass(frozen=True)
class Limit:
    """The worst value of one metric that passes; distances have an upper limit, scores and shares a lower one."""

    option: str
    metric: str
    value: float

    def __str__(self) -> str:
        return f"{self.option} {self.metric}={self.value:g}"

    def failures(self, report: "Report") -> list[str]:
        """One sentence for each result beyond the limit. Raises ArgumentError when the metric was not computed."""
        results = [result for result in report.results if _number(result.metric) == _number(self.metric)]
        if not results:
            computed = ", ".join(dict.fromkeys(result.metric for result in report.results))
            raise ArgumentError(f"{self}: no such metric among the results ({computed})")
        side, sign = ("above", 1) if self.option == ABOVE else ("below", -1)
        return [
            f"{result.generated}: {result.metric} on {result.backbone} is {result.value:.6g}, {side} {self.value:g}"
            for result in results
            if sign * (result.value - self.value) > 0
        ]


def parse_limit(option: str, text: str, metrics: Sequence[str]) -> Limit:
    """A limit as typed, METRIC=VALUE. Raises ArgumentError, also for a metric that is not among those of the run."""
    name, separator, value = text.partition("=")
    try:
        limit = float(value)
    except ValueError:
        limit = float("nan")
    if not separator or isnan(limit):
        example = "fid=30" if option == ABOVE else "coverage=0.5"
        raise ArgumentError(f"{option} {text}: expected METRIC=VALUE, such as {example}")
    computed = {_number(metric) for metric in metrics or DEFAULTS}
    if _number(name) not in computed and (ALL not in metrics or name not in METRICS):
        listed = ", ".join(sorted(computed))
        raise ArgumentError(f"{option} {text}: {name} is not among the metrics of this run ({listed})")
    other = BELOW if option == ABOVE else ABOVE
    if name in METRICS and METRICS[name].higher_is_better != (option == BELOW):
        raise ArgumentError(f"{option} {text}: of {name} {METRICS[name].reading}; take {other} {text}")
    return Limit(option, name, limit)


def _number(name: str) -> str:
    return METRICS[name].number if name in METRICS else name
