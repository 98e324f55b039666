"""`plan`: from a pilot to the number of pictures that detects a difference."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from typing_extensions import Unpack

from ..common.arguments import check_alpha
from ..common.files import path_of
from ..common.text import plain
from ..common.urls import is_url, shown_url
from ..errors import ArgumentError, InputError
from ..estimation.kernel_device import kernels_on
from ..inference.sample_size import as_many_needed, check_power, images_needed, reference_needed
from ..metrics.mmd import Bandwidth, check_one_ruler
from ..pictures.sources import FILE_SUFFIXES, suffix_of
from ..report.plan import Need, Plan, Size
from ..sets.metric_names import MetricSpec, ranked_metric
from ..sets.named import as_sources
from ..sets.run import Run
from .pilots import Start, remarks_of, report_of, sets_of, start_from_sets, starts_from_report
from .rank import rankable_sets
from .run_options import RunOptions, takes

_MOST_MMD = 2
_OF_SETS = (*FILE_SUFFIXES, ".safetensors")


@takes(RunOptions)
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
    **options: Unpack[RunOptions],
) -> Plan:
    """How many pictures a generated set needs to detect a difference of a given size.

    One generated set stands for two models, one as far as it and one farther. The number depends on whether both fail
    in the same way, so it is given for both cases (`Size`). The observed difference of a pilot is too large on average
    (the winner's curse), so the plan for two sets is for the end of its interval that is nearer to zero.

    Args:
        pilot: the reference set; or, alone, a report of `compare` with standard errors, itself or its JSON file.
        generated: one set (two models like it) or two (these two models), as `compare`.
        differences: a number (0.01), or a share ("10%") of the pilot's distance, with two sets of their difference.
            Default: from 50 % down to 5 %; with two sets the nearer end of the interval of their difference, and the
            difference they show, without shares where it may be zero.
        power, alpha: probability of detecting the difference, level of the two-sided relative test.
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
    alpha = check_alpha(alpha)
    power = check_power(power, alpha)
    if bandwidth is not None:
        check_one_ruler(bandwidth)
    run = Run(**options)
    if generated is None or (isinstance(generated, (list, tuple)) and not generated):
        _check_no_set(pilot)
        if paired or run.backbones:
            raise ArgumentError("a report has its backbones and no pairs; leave out `backbone` and `paired`")
        name, report = report_of(pilot)
        pilots = starts_from_report(name, report, None if metric is None else spec)
        about: tuple[Any, Any, Any] = (
            remarks_of(pilots),
            sets_of(report),
            {**run.made_now(), "report": report.get("provenance")},
        )
    else:
        _check_few(as_sources(generated), paired)
        with kernels_on(run.device):
            sets = rankable_sets(pilot, generated, run, spec, paired, bandwidth)
            pilots = [start_from_sets(sets, k, spec, bandwidth, paired) for k in range(len(sets.backbones))]
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


def _need(pilot: Start, wanted: list[tuple[float, bool]], power: float, alpha: float) -> Need:
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
