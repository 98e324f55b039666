"""`plan`: from a pilot to the number of pictures that detects a difference."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..backbones.precision import FULL, Precision
from ..backbones.remarks import REMARKS
from ..common.arguments import real_number
from ..common.files import path_of
from ..common.progress import ShowProgress
from ..common.text import number_text, plain
from ..common.urls import is_url, shown_url
from ..errors import ArgumentError, InputError
from ..estimation.kernel_device import kernels_on
from ..inference.ordering import Score, relative, without_bias
from ..inference.sample_size import (
    Pilot,
    as_many_needed,
    check_power,
    images_needed,
    pilot_of_error,
    pilot_of_frechet,
    pilot_of_mmd,
    pilot_of_test,
    reference_needed,
)
from ..metrics.mmd import Bandwidth, MmdScore
from ..pictures.decode import MAX_PIXELS
from ..pictures.sources import FILE_SUFFIXES, suffix_of
from ..report import Report
from ..report.document import read_object
from ..report.plan import Need, Plan, Size
from ..report.sound import is_description
from ..sets.embed_sets import EmbeddedSets
from ..sets.embedding import OnError
from ..sets.metric_names import METRICS, MetricSpec, ranked_metric
from ..sets.named import as_sources
from ..sets.run import Backbones, Paths, Run, StorePath
from .rank import check_one_ruler, checked_level, frechet_scores, mmd_scores, rankable_sets

SHARES = (0.5, 0.2, 0.1, 0.05)
_MOST_PICTURES = 2**53
_MOST_MMD = 2
_OF_SETS = (*FILE_SUFFIXES, ".safetensors")
_AS_NUMBER = "give `differences` as a number"
_ROUGHER = "from a report, which is rougher than from the pictures themselves"


def plan(
    pilot: Any,
    generated: Any = (),
    *,
    differences: float | str | Iterable[float | str] | None = None,
    power: float = 0.8,
    metric: str | None = None,
    bandwidth: Bandwidth | None = None,
    paired: bool = False,
    alpha: float = 0.05,
    backbone: Backbones = None,
    weights: Paths = None,
    model: str | Mapping[str, str] | None = None,
    dims: int | None = None,
    recipe: str | None = None,
    batch_size: int = 32,
    workers: int | None = None,
    device: str = "auto",
    precision: Precision = FULL,
    max_images: int | None = None,
    seed: int = 0,
    recursive: bool = True,
    on_error: OnError = "fail",
    max_pixels: int = MAX_PIXELS,
    store: StorePath = None,
    progress: ShowProgress | None = None,
    command: str | None = None,
) -> Plan:
    """How many pictures a generated set needs so that a difference of a given size is found.

    One set stands for two models, one as far as it and one farther. What they need depends on whether both fail in the
    same way: each number is given for both cases (`Size`). A difference that a pilot happened to show is too large on
    average (the winner's curse), so the plan for two sets is for the end of its interval that is nearer to zero.

    Args:
        pilot: the reference set; or, alone, a report of `compare` with standard errors, itself or its JSON file.
        generated: one set (two models like it) or two (these two models), as `compare`.
        differences: a number (0.01), or a share ("10%") of the pilot's distance, with two sets of their difference.
            Default: from 50 % down to 5 %; with two sets the nearer end of the interval of their difference, and the
            difference they show, without shares where it may be zero.
        power, alpha: chance to find it, level of the two-sided relative test.
        metric: "mmd" (default) or "fd", on their networks also "cmmd" and "fid"; of a report, the results to look at
            (default: all).
        bandwidth: of the MMD kernel, as `rank`.
        paired: with two sets, pictures of one name share a seed.
        others: as `compare`.

    Returns:
        Plan: one Need for each backbone (of a report: for each result).

    Raises:
        CmmdError: as `compare`; a report without standard errors, more than two sets.
    """
    wanted = [_parse_difference(text) for text in _several(differences)]
    spec = ranked_metric("mmd" if metric is None else metric)
    _check_possible(wanted, spec)
    alpha, power = checked_level(alpha), real_number(power, "power", "a number between alpha and 1")
    check_power(power, alpha)
    check_one_ruler(bandwidth)
    run = Run(
        backbone=backbone,
        weights=weights,
        model=model,
        dims=dims,
        recipe=recipe,
        batch_size=batch_size,
        workers=workers,
        device=device,
        precision=precision,
        max_images=max_images,
        seed=seed,
        recursive=recursive,
        on_error=on_error,
        max_pixels=max_pixels,
        store=store,
        progress=progress,
        command=command,
    )
    if generated is None or (isinstance(generated, (list, tuple)) and not generated):
        _check_no_set(pilot)
        if paired or backbone:
            raise ArgumentError("a report has its backbones and no pairs; leave out `backbone` and `paired`")
        name, report = _report_of(pilot)
        pilots = _from_report(name, report, None if metric is None else spec)
        about: tuple[Any, Any, Any] = (
            _remarks_of(pilots),
            _sets_of(report),
            {**run.made_now(), "report": report.get("provenance")},
        )
    else:
        _check_few(as_sources(generated), paired)
        with kernels_on(run.device):
            sets = rankable_sets(pilot, generated, run, spec, paired, bandwidth)
            pilots = [_from_sets(sets, k, spec, bandwidth, paired) for k in range(len(sets.backbones))]
            about = tuple(dict.fromkeys(sets.warnings)), sets.descriptions(), sets.provenance([spec.number])
    return Plan(tuple(_need(found, wanted, power, alpha) for found in pilots), power, alpha, *about)


def _check_possible(wanted: Sequence[tuple[float, bool]], spec: MetricSpec) -> None:
    """With a kernel of at most 1 a squared MMD is at most 2."""
    too_large = next((size for size, is_share in wanted if not is_share and size > _MOST_MMD), None)
    if spec.number == "mmd" and too_large is not None:
        shown = plain(too_large)
        raise ArgumentError(
            f"differences: a squared MMD is at most {_MOST_MMD}, got {shown}; for a share write {shown}%"
        )


def _check_no_set(pilot: Any) -> None:
    """Raise InputError for a reference whose generated set was forgotten."""
    if isinstance(pilot, (str, os.PathLike)) and (is_url(pilot) or _is_set(path_of(pilot))):
        shown = shown_url(str(pilot)) if is_url(pilot) else pilot
        raise InputError(f"{shown}: is a set, not a report; give a generated set, too: cmmd plan REFERENCE GENERATED")


def _is_set(path: Path) -> bool:
    return path.is_dir() or (path.is_file() and suffix_of(path) in _OF_SETS)


def _check_few(generated: Sequence[Any], paired: bool) -> None:
    if len(generated) > 2:
        raise ArgumentError(f"plan: expected one generated set or two, got {len(generated)}")
    if paired and len(generated) == 1:
        raise ArgumentError("paired: needs two generated sets")


@dataclass(frozen=True)
class _Pilot:
    """What a plan starts from; `defaults` are differences with what they are."""

    backbone: str
    metric: str
    about: str
    value: float
    interval: tuple[float, float] | None
    parts: Pilot
    defaults: tuple[tuple[float, str], ...]
    remark: str


def _from_sets(
    sets: EmbeddedSets, backbone: int, spec: MetricSpec, bandwidth: Bandwidth | None, paired: bool
) -> _Pilot:
    metric = spec.number
    if metric == "fd":
        scores: Sequence[Score] = frechet_scores(sets, backbone)
    else:
        scores = mmd_scores(sets, backbone, bandwidth, paired)
    names, name = [side.short for side in sets.sides[1:]], sets.backbones[backbone]
    if len(scores) == 1:
        (score,) = scores
        parts = pilot_of_mmd(score) if isinstance(score, MmdScore) else pilot_of_frechet(score)
        value, interval = without_bias(score), score.estimate.interval
        about, remark = f"{names[0]} and a second model like it", _doubt_of_one(value, interval)
        return _Pilot(name, metric, about, value, interval, parts, _shares(value), remark)
    test = relative(*scores, paired=paired)
    if test.difference == 0:
        raise InputError(f"{names[0]} and {names[1]} score the same; plan for one of them with `differences`")
    about = f"{names[0]} minus {names[1]}" + (", paired" if paired else "")
    remark = _doubt(test.interval, "the difference")
    nearer = min(map(abs, test.interval))
    safe = () if remark else ((nearer, "the nearer end of its interval"),)
    observed = (abs(test.difference), "as observed; such a number is too large on average")
    defaults = (*safe, observed, *(() if remark else _shares(test.difference)))
    return _Pilot(name, metric, about, test.difference, test.interval, pilot_of_test(test), defaults, remark)


def _shares(value: float) -> tuple[tuple[float, str], ...]:
    return tuple((abs(value) * share, f"{100 * share:.3g} % of the value") for share in SHARES)


def _doubt_of_one(value: float, interval: Sequence[float] | None) -> str:
    """Of the distance of one set, of which there is no share where it is not above zero."""
    if value <= 0 and interval is None:
        return f"the value is {number_text(value)} and no distance, so no share of it means anything; {_AS_NUMBER}"
    return _doubt(interval, "the distance")


def _doubt(interval: Sequence[float] | None, what: str) -> str:
    if interval is None or not interval[0] <= 0 <= interval[1]:
        return ""
    low, high = (number_text(end, significant=2) for end in interval)
    example = number_text(max(map(abs, interval)), significant=1)
    return (
        f"{what} may be zero (95 % interval {low} to {high}), and then shares of it mean nothing; "
        f"{_AS_NUMBER}, such as {example}"
    )


def _from_report(name: str, report: Mapping[str, Any], spec: MetricSpec | None) -> list[_Pilot]:
    try:
        found = [_from_result(result) for result in report["results"] if result.get("standard_error")]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(_no_report(name)) from error
    fitting = [one for one in found if spec is None or METRICS[one.metric].number == spec.number]
    if not fitting:
        raise InputError(f"{name}: no result of this metric in this report has a standard error; compare more pictures")
    return fitting


def _report_of(report: Any) -> tuple[str, Mapping[str, Any]]:
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


def _remarks_of(pilots: Sequence[_Pilot]) -> tuple[str, ...]:
    """What must be said of the backbones, also where their numbers are read from a report."""
    return tuple(dict.fromkeys(REMARKS[own.backbone] for own in pilots if own.backbone in REMARKS))


def _sets_of(report: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    sets = report.get("sets")
    return tuple(own for own in sets if is_description(own)) if isinstance(sets, list) else ()


def _no_report(name: str | Path) -> str:
    return (
        f"{name}: no readable report of `cmmd compare --json`; make it again, or give a reference and one or two "
        "generated sets"
    )


def _from_result(result: Mapping[str, Any]) -> _Pilot:
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
    return _Pilot(str(result["backbone"]), metric, about, value, interval, parts, _shares(value), remark)


def _need(pilot: _Pilot, wanted: list[tuple[float, bool]], power: float, alpha: float) -> Need:
    has_shares = pilot.parts.both or pilot.value > 0
    asked = [
        (abs(pilot.value) * size, f"{100 * size:.3g} % of the value") if relative else (size, "as asked")
        for size, relative in wanted
        if has_shares or not relative
    ]

    def size(difference: float, about: str) -> Size:
        parts, level = pilot.parts, {"power": power, "alpha": alpha}
        alike, unlike = (images_needed(parts, difference, **level, alike=alike) for alike in (True, False))
        references = (reference_needed(parts, difference, **level, alike=alike) for alike in (True, False))
        as_many = (as_many_needed(parts, difference, **level, alike=alike) for alike in (True, False))
        return Size(difference, about, alike, unlike, *references, *as_many)

    sizes = tuple(size(*one) for one in (asked if wanted else pilot.defaults if has_shares else ()))
    both = pilot.parts.both
    return Need(pilot.backbone, pilot.metric, pilot.about, pilot.value, pilot.interval, sizes, both, pilot.remark)


def _several(differences: Any) -> Iterable[float | str]:
    if differences is None:
        return ()
    return differences if isinstance(differences, Iterable) and not isinstance(differences, str) else (differences,)


def _parse_difference(text: float | str) -> tuple[float, bool]:
    """A number, and whether it is a share of the value."""
    relative = isinstance(text, str) and text.strip().endswith("%")
    try:
        size = float(str(text).strip().removesuffix("%"))
    except ValueError:
        size = float("nan")
    if not size > 0:
        raise ArgumentError(f"differences: expected a number > 0, or a share such as 10%, got {text}")
    return (size / 100, True) if relative else (size, False)
