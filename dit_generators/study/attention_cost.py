"""What attention costs on the machine of a study: the operation and a block, and the whole model, within a time."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..bench.chart import draw_bench
from ..bench.measure import Measurement, measure
from ..bench.results import to_dict
from ..bench.settings import BenchSettings, Level
from ..common.precision import Precision
from ..network.config import DiTConfig
from ..sampling.quiet import Say
from .options import StudyOptions

_ATTENTION = ("naive", "full", "xformers", "swa")
_BATCHES = (10, 50, 100, 200)  # the report's
_REPEATS = 2  # of the whole model


def operation_and_block(options: StudyOptions, device: torch.device, chart: Path, say: Say) -> dict[str, Any]:
    """The results as JSON values, and their chart, for at most `bench_minutes`; none of them for 0."""
    settings = _settings(options, device, _ATTENTION, ("operation", "block"))
    results = _measured(settings, say) if options.bench_minutes else []
    chart.unlink(missing_ok=True)
    if _ran(results):
        draw_bench(settings, results, chart)
    return to_dict(settings, results)


def whole_model(options: StudyOptions, device: torch.device, operation: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """The same of the whole model, in float32 and by autocast, for at most `bench_minutes`; no results for 0.

    Of the kinds that ran as an `operation`, which are results of `operation_and_block`.
    """
    ran = {cell["attention"] for cell in operation["results"] if cell["seconds"] is not None}
    settings = replace(
        _settings(options, device, tuple(kind for kind in _ATTENTION if kind in ran), ("model",)),
        precisions=precisions_of(options.training.precision, device),
        repeats=_REPEATS,
    )
    results = _measured(settings, say) if options.bench_minutes and ran else []
    return to_dict(settings, results) | {"minutes": options.bench_minutes}


def _settings(
    options: StudyOptions, device: torch.device, kinds: tuple[str, ...], levels: tuple[Level, ...]
) -> BenchSettings:
    config, seconds = DiTConfig.preset(options.bench_model), 60 * options.bench_minutes
    return BenchSettings(options.bench_model, config, kinds, _BATCHES, levels, device, limit_seconds=seconds)


def precisions_of(trained: Precision, device: torch.device) -> tuple[str, ...]:
    """float32, and autocast: of the training, else bf16; on a CPU, where that is slow, only of the training."""
    if trained == "fp32" and device.type == "cpu":
        return ("fp32",)
    return "fp32", f"{'bf16' if trained == 'fp32' else trained}-autocast"


def _measured(settings: BenchSettings, say: Say) -> Sequence[Measurement]:
    """Of every batch its cells; why some are left out is said once."""
    results: list[Measurement] = []
    said: set[str] = set()
    for place, found in itertools.groupby(measure(settings), lambda r: (r.level, r.precision, r.batch_size)):
        cells = list(found)
        results += cells
        named = "bench, {}, {}, batch {}".format(*place)
        if len(notes := {cell.note for cell in cells if cell.seconds is None}) == 1 and not _ran(cells):
            lines = [f"{named} is not measured: {notes.pop()}"]
        else:
            lines = [
                f"bench, {cell.attention} is not measured: {cell.note}"
                if cell.seconds is None
                else f"{named}, {cell.attention}"
                for cell in cells
            ]
        for line in lines:
            if line not in said:
                say(line)
        said.update(lines)
    return results


def _ran(cells: Iterable[Measurement]) -> bool:
    return any(cell.seconds is not None for cell in cells)
