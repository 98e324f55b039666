"""`plan`: from a pilot to the number of pictures that tells a difference."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .embedding import OnError
from .errors import ArgumentError, InputError
from .gathering import Gathered, Networks, Options, Paths, Progress, gather
from .inference.relative import compare_frechet, compare_mmd
from .inference.sample_size import (
    Pilot,
    images_needed,
    pilot_of_error,
    pilot_of_frechet,
    pilot_of_mmd,
    pilot_of_test,
)
from .metric_names import METRICS
from .metrics.mmd import MmdScore
from .ordering import without_bias
from .ranking import Metric, check_pairing, check_rows, frechet_scores, mmd_scores
from .report.text import align, number_text

_MOST = 1_000_000_000
SHARES = (0.5, 0.2, 0.1, 0.05)


@dataclass(frozen=True)
class Need:
    """For one pilot (a set, or two sets with their relative test): pictures a set for each difference.

    Attributes:
        backbone, metric, about: what was looked at, in words.
        value: the pilot's distance, or the difference of its two sets.
        sizes: (difference in units of the distance, pictures in each generated set or None where none suffice).
        remark: what makes the numbers doubtful, or "".
    """

    backbone: str
    metric: str
    about: str
    value: float
    sizes: tuple[tuple[float, int | None], ...]
    remark: str = ""


@dataclass(frozen=True)
class Plan:
    """What `plan` returns; `power` and `alpha` of the two-sided test that it is for, and what is odd about the sets."""

    needs: tuple[Need, ...]
    power: float
    alpha: float
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines: list[str] = []
        for need in self.needs:
            share = [f"{difference / abs(need.value):.0%}" if need.value else "-" for difference, _ in need.sizes]
            rows = [("Difference", "of the value", "Pictures a set")]
            rows += [(number_text(d), part, _count(n)) for (d, n), part in zip(need.sizes, share, strict=True)]
            lines.append(f"{need.metric} on {need.backbone}: {need.about}, {number_text(need.value)}")
            lines += align(rows, left=())
            lines += [*([f"warning: {need.remark}"] if need.remark else []), ""]
        lines += [*(f"warning: {warning}" for warning in self.warnings), *([""] if self.warnings else [])]
        lines.append(
            f"Pictures in each generated set for a power of {self.power:.0%} at level {self.alpha:.0%} (two-sided, "
            "unpaired unless said), with the reference at hand; sets that share seeds need fewer."
        )
        return "\n".join(lines) + "\n"


def _count(n: int | None) -> str:
    if n is None:
        return "no number: the reference is too small"
    return f"{n:,}" if n <= _MOST else f"over {_MOST:,}"


def plan(
    pilot: Any,
    generated: Sequence[Any] = (),
    *,
    differences: Iterable[float | str] | None = None,
    power: float = 0.8,
    alpha: float = 0.05,
    metric: Metric | None = None,
    paired: bool = False,
    backbone: str | Iterable[str] | None = None,
    weights: Paths = None,
    model: Any = None,
    dims: int | None = None,
    recipe: str | None = None,
    batch_size: int = 32,
    workers: int | None = None,
    device: str = "auto",
    max_images: int | None = None,
    seed: int = 0,
    recursive: bool = True,
    on_error: OnError = "fail",
    progress: Progress | None = None,
) -> Plan:
    """How many pictures a generated set needs so that a difference of a given size is found.

    Args:
        pilot: the reference set; or, alone, a JSON report of `compare` with standard errors.
        generated: one set (two models like it) or two (these two models).
        differences: of the distance, absolute (0.01) or a share of the present value ("10%"). Default: from 50 % down
            to 5 %; with two sets also the difference they show.
        power, alpha: chance to find it, level of the two-sided relative test.
        metric: "mmd" (default) or "fd"; of a report, the results to look at (default: all).
        paired: with two sets, pictures of one name share a seed.
        others: as `compare`.

    Returns:
        Plan: one Need for each backbone (of a report: for each result).

    Raises:
        CmmdError: as `compare`; a report without standard errors, more than two sets.
    """
    wanted = [_parse_difference(text) for text in differences or ()]
    warnings: list[str] = []
    if metric not in (None, "mmd", "fd"):
        raise ArgumentError(f"metric: expected mmd or fd, got {metric!r}")
    if not generated:
        if paired or backbone:
            raise ArgumentError("a report has its backbones and no pairs; leave out backbone and paired")
        pilots = _from_report(Path(str(pilot)), metric)
    else:
        if len(generated) > 2:
            raise ArgumentError(f"plan: expected one generated set or two, got {len(generated)}")
        if paired and len(generated) == 1:
            raise ArgumentError("paired: needs two generated sets")
        gathered = gather(
            pilot,
            list(generated),
            Networks(backbone, recipe, weights, model, dims),
            Options(batch_size, workers, device, max_images, seed, recursive, on_error),
            check=check_rows,
            progress=progress,
        )
        if paired:
            check_pairing(gathered)
        warnings = gathered.warnings
        pilots = [_from_sets(gathered, k, metric or "mmd", paired) for k in range(len(gathered.names))]
    needs = tuple(_need(*found, wanted, power, alpha) for found in pilots)
    return Plan(needs, power, alpha, tuple(dict.fromkeys(warnings)))


Found = tuple[str, str, str, float, Pilot, tuple[float, ...], str]


def _from_sets(gathered: Gathered, backbone: int, metric: Metric, paired: bool) -> Found:
    scores = frechet_scores(gathered, backbone) if metric == "fd" else mmd_scores(gathered, backbone, None, paired)
    names, name = [side.short for side in gathered.sides[1:]], gathered.names[backbone]
    if len(scores) == 1:
        (score,) = scores
        pilot = pilot_of_mmd(score) if isinstance(score, MmdScore) else pilot_of_frechet(score)
        remark = _doubt(score.estimate.interval, "the distance")
        return name, metric, f"{names[0]} and another set like it", without_bias(score), pilot, SHARES, remark
    first, second = scores
    test = (
        compare_mmd(first, second, paired=paired)
        if isinstance(first, MmdScore) and isinstance(second, MmdScore)
        else compare_frechet(first, second, paired=paired)  # type: ignore[arg-type]
    )
    about = f"{names[0]} less {names[1]}" + (", paired" if paired else "")
    if test.difference == 0:
        raise InputError(f"{names[0]} and {names[1]} score the same; plan for one of them with --difference")
    return (
        name,
        metric,
        about,
        test.difference,
        pilot_of_test(test),
        (1.0, *SHARES),
        _doubt(test.interval, "the difference"),
    )


def _doubt(interval: Sequence[float] | None, what: str) -> str:
    if interval is None or not interval[0] <= 0 <= interval[1]:
        return ""
    low, high = (number_text(end, significant=2) for end in interval)
    return f"{what} may be zero (95 % interval {low} to {high}), and then shares of it mean nothing; give --difference"


def _from_report(path: Path, metric: Metric | None) -> list[Found]:
    if not path.exists():
        raise InputError(f"{path}: no such file; give a report, or a reference and one or two generated sets")
    try:
        results = json.loads(path.read_text(encoding="utf-8"))["results"]
        found = [_from_result(result) for result in results if result.get("standard_error")]
    except (ValueError, KeyError, TypeError, AttributeError, IsADirectoryError) as error:
        raise InputError(
            f"{path}: no readable report of `cmmd compare --json`; make it again, or give a reference and one or two "
            "generated sets"
        ) from error
    fitting = [one for one in found if metric is None or METRICS[one[1]].number == metric]
    if not fitting:
        raise InputError(f"{path}: no result of this metric in this report has a standard error; compare more pictures")
    return fitting


def _from_result(result: Mapping[str, Any]) -> Found:
    corrected = result.get("corrected")  # absent before schema version 3
    value = float(result["value"] if corrected is None else corrected)
    error = float(result["standard_error"])
    n = min(int(result["n_reference"]), int(result["n_generated"]))
    about = f"{result['generated']} and another set like it"
    pilot = pilot_of_error(value, error, n)
    remark = _doubt(result["interval"], "the distance")
    return str(result["backbone"]), str(METRICS[result["metric"]].name), about, value, pilot, SHARES, remark


def _need(
    backbone: str,
    metric: str,
    about: str,
    value: float,
    pilot: Pilot,
    shares: tuple[float, ...],
    remark: str,
    wanted: list[tuple[float, bool]],
    power: float,
    alpha: float,
) -> Need:
    asked = wanted or [(share, True) for share in shares]
    sizes = [abs(value) * size if relative else size for size, relative in asked]
    return Need(
        backbone,
        metric,
        about,
        value,
        tuple((size, images_needed(pilot, size, power=power, alpha=alpha)) for size in sizes),
        remark,
    )


def _parse_difference(text: float | str) -> tuple[float, bool]:
    """A number, and whether it is a share of the value."""
    relative = isinstance(text, str) and text.strip().endswith("%")
    try:
        size = float(str(text).strip().removesuffix("%"))
    except ValueError:
        size = float("nan")
    if not size > 0:
        raise ArgumentError(f"difference {text}: expected a number > 0, or a share such as 10%")
    return (size / 100, True) if relative else (size, False)
