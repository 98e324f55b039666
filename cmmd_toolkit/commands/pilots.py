"""What a plan starts from: the distance of a pilot and its parts, from embedded sets or from a report."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..backbones.remarks import REMARKS
from ..common.files import path_of
from ..common.text import number_text
from ..errors import ArgumentError, InputError
from ..inference.ordering import relative, without_bias
from ..inference.sample_size import Pilot, pilot_of_error, pilot_of_frechet, pilot_of_mmd, pilot_of_test
from ..metrics.mmd import Bandwidth, MmdScore
from ..report import Report
from ..report.document import read_object
from ..report.sound import is_description
from ..sets.embed_sets import EmbeddedSets
from ..sets.metric_names import METRICS, MetricSpec
from .rank import scores_on

_SHARES = (0.5, 0.2, 0.1, 0.05)
_MOST_PICTURES = 2**53
_AS_NUMBER = "give `differences` as a number"
_ROUGHER = "from a report, which is less precise than from the pictures themselves"


@dataclass(frozen=True)
class Start:
    """What a plan starts from; `defaults` are differences with what they are."""

    backbone: str
    metric: str
    about: str
    value: float
    interval: tuple[float, float] | None
    parts: Pilot
    defaults: tuple[tuple[float, str], ...]
    remark: str


def start_from_sets(
    sets: EmbeddedSets, backbone: int, spec: MetricSpec, bandwidth: Bandwidth | None, paired: bool
) -> Start:
    """The distance of one generated set, or the difference of two, on one backbone."""
    metric = spec.number
    scores = scores_on(sets, backbone, metric, bandwidth, paired)
    names, name = sets.shorts[1:], sets.backbones[backbone]
    if len(scores) == 1:
        (score,) = scores
        parts = pilot_of_mmd(score) if isinstance(score, MmdScore) else pilot_of_frechet(score)
        value, interval = without_bias(score), score.estimate.interval
        about, remark = f"{names[0]} and a second model like it", _doubt_of_one(value, interval)
        return Start(name, metric, about, value, interval, parts, _shares(value), remark)
    test = relative(*scores, paired=paired)
    if test.difference == 0:
        raise InputError(f"{names[0]} and {names[1]} score the same; plan for one of them with `differences`")
    about = f"{names[0]} minus {names[1]}" + (", paired" if paired else "")
    remark = _doubt(test.interval, "the difference")
    nearer = min(map(abs, test.interval))
    safe = () if remark else ((nearer, "the nearer end of its interval"),)
    observed = (abs(test.difference), "as observed; such a number is too large on average")
    defaults = (*safe, observed, *(() if remark else _shares(test.difference)))
    return Start(name, metric, about, test.difference, test.interval, pilot_of_test(test), defaults, remark)


def _shares(value: float) -> tuple[tuple[float, str], ...]:
    return tuple((abs(value) * share, f"{100 * share:.3g} % of the value") for share in _SHARES)


def _doubt_of_one(value: float, interval: Sequence[float] | None) -> str:
    """Of the distance of one set, of which there is no share where it is not above zero."""
    if value <= 0 and interval is None:
        return f"the value {number_text(value)} is not above zero, so a share of it means nothing; {_AS_NUMBER}"
    return _doubt(interval, "the distance")


def _doubt(interval: Sequence[float] | None, what: str) -> str:
    if interval is None or not interval[0] <= 0 <= interval[1]:
        return ""
    low, high = (number_text(end, significant=2) for end in interval)
    example = number_text(max(map(abs, interval)), significant=1)
    return (
        f"{what} may be zero (95 % interval {low} to {high}), so shares of it mean nothing; "
        f"{_AS_NUMBER}, such as {example}"
    )


def starts_from_report(name: str, report: Mapping[str, Any], spec: MetricSpec | None) -> list[Start]:
    """The results that have a standard error, of one metric or all; raises InputError for none."""
    try:
        found = [_from_result(result) for result in report["results"] if result.get("standard_error")]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(_no_report(name)) from error
    fitting = [one for one in found if spec is None or METRICS[one.metric].number == spec.number]
    if not fitting:
        raise InputError(f"{name}: no result of this metric in this report has a standard error; compare more pictures")
    return fitting


def report_of(report: Any) -> tuple[str, Mapping[str, Any]]:
    """A report's name and JSON form, of any schema version, read from its file where it is one."""
    if isinstance(report, Report):
        return "the report", report.to_dict()
    if not isinstance(report, (str, os.PathLike)):
        raise ArgumentError(
            f"pilot: expected a report of compare where no generated set is given, got {type(report).__name__}; "
            "give one or two generated sets"
        )
    path = path_of(report)
    document = read_object(path, _no_report(path))
    if not isinstance(document.get("results"), list):
        raise InputError(_no_report(path))
    return str(path), document


def remarks_of(pilots: Sequence[Start]) -> tuple[str, ...]:
    """What must be said of the backbones, also where their numbers are read from a report."""
    return tuple(dict.fromkeys(REMARKS[own.backbone] for own in pilots if own.backbone in REMARKS))


def sets_of(report: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """The descriptions of its sets."""
    sets = report.get("sets")
    return tuple(own for own in sets if is_description(own)) if isinstance(sets, list) else ()


def _no_report(name: str | Path) -> str:
    return (
        f"{name}: no readable report of `cmmd compare --json`; make it again, or give a reference and one or two "
        "generated sets"
    )


def _from_result(result: Mapping[str, Any]) -> Start:
    corrected = result.get("corrected")  # absent before schema version 3
    value = float(result["value"] if corrected is None else corrected)
    error, n, m = float(result["standard_error"]), int(result["n_reference"]), int(result["n_generated"])
    ends = result["interval"]
    interval = None if ends is None else (float(ends[0]), float(ends[1]))
    numbers = (value, error, *(interval or ()))
    if not all(map(math.isfinite, numbers)) or error <= 0 or min(n, m) < 2 or max(n, m) > _MOST_PICTURES:
        raise ValueError("no result of compare")
    about = f"{result['generated']} and a second model like it"
    doubt = _doubt_of_one(value, interval)
    remark = f"{doubt}; {_ROUGHER}" if doubt else _ROUGHER
    metric = result["metric"]
    if metric not in METRICS:
        raise ValueError("no metric of this package")
    parts = pilot_of_error(value, error, min(n, m), n)
    return Start(str(result["backbone"]), metric, about, value, interval, parts, _shares(value), remark)
