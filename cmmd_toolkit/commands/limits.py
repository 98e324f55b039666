"""`--fail-above` and `--fail-below`: what a script calls too bad. Imports nothing heavy."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING

from ..common.text import beyond_text, p_text, plain
from ..errors import ArgumentError
from ..sets.metric_names import ALL, DEFAULTS, METRICS

if TYPE_CHECKING:
    from ..report import Report, Result

ABOVE, BELOW = "--fail-above", "--fail-below"
FORM = "[BACKBONE:]METRIC[:corrected]=VALUE"
_CORRECTED = "corrected"
_JOINT = "joint"  # the p-value of the joint test, which is of all backbones together


@dataclass(frozen=True)
class Limit:
    """The worst value of one metric that passes; distances have an upper limit, scores and shares a lower one.

    Attributes:
        option: --fail-above or --fail-below.
        backbone: the one whose results are meant, None in a run with one backbone.
        metric: its name.
        corrected: whether the value without bias is meant.
        value: the limit.
    """

    option: str
    backbone: str | None
    metric: str
    corrected: bool
    value: float

    def __str__(self) -> str:
        backbone = "" if self.backbone is None else f"{self.backbone}:"
        corrected = f":{_CORRECTED}" if self.corrected else ""
        return f"{self.option} {backbone}{self.metric}{corrected}={plain(self.value)}"

    def check_backbones(self, names: Sequence[str]) -> None:
        """Raise ArgumentError unless it is clear which backbone of a run is meant."""
        known = ", ".join(names)
        if self.backbone is None and self.metric != _JOINT and len(set(names)) > 1:
            corrected = f":{_CORRECTED}" if self.corrected else ""
            raise ArgumentError(
                f"{self}: this run has several backbones ({known}), each with its own scale; name one of "
                f"them: {self.option} {names[0]}:{self.metric}{corrected}={plain(self.value)}"
            )
        if self.backbone is not None and self.backbone not in names:
            raise ArgumentError(f"{self}: {self.backbone} is not among the backbones of this run ({known})")

    def failures(self, report: "Report") -> list[str]:
        """One sentence for each result beyond the limit.

        Raises ArgumentError when the metric was not computed, or its value without bias is not known.
        """
        if self.metric == _JOINT:
            return self._joint_failures(report)
        results = [
            result
            for result in report.results
            if _number(result.metric) == _number(self.metric) and self.backbone in (None, result.backbone)
        ]
        if not results:
            computed = ", ".join(dict.fromkeys(result.metric for result in report.results))
            raise ArgumentError(f"{self}: no such metric among the results ({computed})")
        sign = 1 if self.option == ABOVE else -1
        return [self._sentence(result) for result in results if sign * (self._value_of(result) - self.value) > 0]

    def _joint_failures(self, report: "Report") -> list[str]:
        found = []
        for own in report.joint:
            p_value = own.p_adjusted if self.backbone is None else own.test.p_by_backbone.get(self.backbone, 1.0)
            if p_value < self.value:
                where = "over all backbones" if self.backbone is None else f"on {self.backbone}"
                shown = f"{p_text(p_value)}, below {plain(self.value)}"
                found.append(f"{own.generated}: the joint test {where} gives {shown}: the sets differ")
        return found

    def _value_of(self, result: "Result") -> float:
        if not self.corrected:
            return result.value
        if result.corrected is None:
            reason = "" if result.no_error_reason is None else f": {result.no_error_reason}"
            raise ArgumentError(
                f"{self}: {result.metric} on {result.backbone} is not known without bias for {result.generated}{reason}"
            )
        return result.corrected

    def _sentence(self, result: "Result") -> str:
        side = "above" if self.option == ABOVE else "below"
        start = f"{result.generated}: {result.metric} on {result.backbone}"
        if METRICS[result.metric].is_test:
            return f"{start} is {p_text(result.value)}, {side} {plain(self.value)}: the sets differ"
        shown = beyond_text(self._value_of(result), self.value, result.standard_error)
        value, corrected, *_ = result.estimate_texts
        if self.corrected:
            other = f" ({value} as other tools print it)" if result.is_biased else ""
            return f"{start} without bias is {shown}{other}, {side} {plain(self.value)}"
        other = f" ({corrected} without bias)" if result.is_biased else ""
        return f"{start} is {shown}{other}, {side} {plain(self.value)}"


def parse_limit(option: str, text: str, metrics: Sequence[str], test: str | None = None) -> Limit:
    """A limit as typed. Raises ArgumentError, also for a metric, or the test, that is not among those of the run."""
    left, separator, value = text.rpartition("=")
    try:
        limit = float(value)
    except ValueError:
        limit = float("nan")
    if not separator or isnan(limit):
        example = "fid=30" if option == ABOVE else "coverage=0.5"
        raise ArgumentError(f"{option} {text}: expected {FORM}, such as {example}")
    backbone, name, corrected = _parts(left)
    computed = {_number(metric) for metric in metrics or DEFAULTS} | ({test} if test else set())
    if _number(name) not in computed and (ALL not in metrics or name not in METRICS):
        known = ", ".join(sorted(computed))
        advice = f"; add --test {_JOINT}" if name == _JOINT else ""
        raise ArgumentError(f"{option} {text}: {name} is not among the metrics of this run ({known}){advice}")
    if name == _JOINT:
        _check_test(option, text, name, corrected, limit)
    elif name in METRICS or _is_own(name):
        _check_direction(option, text, name, corrected, limit)
    return Limit(option, backbone, name, corrected, limit)


def _is_own(name: str) -> bool:
    """Whether a metric comes from another package; looked up here, since --help is to import nothing heavy."""
    from ..sets.own_metrics import own_metric

    return own_metric(name) is not None


def _parts(left: str) -> tuple[str | None, str, bool]:
    """Backbone, metric, and whether the number without bias is meant; a backbone's name may hold colons itself."""
    rest, _, last = left.rpartition(":")
    corrected = last == _CORRECTED
    backbone, separator, name = (rest if corrected else left).rpartition(":")
    return backbone if separator else None, name, corrected


def _check_direction(option: str, text: str, name: str, corrected: bool, limit: float) -> None:
    spec, other = METRICS[name], BELOW if option == ABOVE else ABOVE
    if spec.is_test:
        _check_test(option, text, name, corrected, limit)
    elif spec.higher_is_better != (option == BELOW):
        raise ArgumentError(f"{option} {text}: for {name}, {spec.reading.words}; use {other} {text}")


def _check_test(option: str, text: str, name: str, corrected: bool, limit: float) -> None:
    if corrected:
        raise ArgumentError(f"{option} {text}: {name} is the result of a test, which has no bias")
    if option == ABOVE:
        raise ArgumentError(
            f"{option} {text}: {name} is a test, not a score: a large one shows no difference, which is not a fault; "
            f"to fail when the sets differ, use {BELOW} {name}=0.05"
        )
    if not 0 < limit <= 1:
        raise ArgumentError(f"{option} {text}: a p-value is between 0 and 1; use {BELOW} {name}=0.05")


def _number(name: str) -> str:
    return METRICS[name].number if name in METRICS else name
