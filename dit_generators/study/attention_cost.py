"""What attention costs on the machine of a study: the operation and a block, and the whole model within a time."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ..bench.chart import draw_bench
from ..bench.measure import Measurement, measure
from ..bench.results import to_dict
from ..bench.settings import BenchSettings
from ..common.precision import Precision
from ..network.config import DiTConfig
from ..sampling.quiet import Say
from .options import StudyOptions

_ATTENTION = ("naive", "full", "xformers", "swa")
_BATCHES = (10, 50, 100, 200)  # the report's
_REPEATS = 2  # of the whole model


def operation_and_block(options: StudyOptions, device: torch.device, chart: Path, say: Say) -> dict[str, Any]:
    """The results as JSON values, and their chart."""
    settings = BenchSettings(
        name=options.bench_model,
        config=DiTConfig.preset(options.bench_model),
        attention=_ATTENTION,
        batch_sizes=_BATCHES,
        levels=("operation", "block"),
        device=device,
    )
    results = _measured(settings, say)
    draw_bench(settings, results, chart)
    return to_dict(settings, results)


def whole_model(options: StudyOptions, device: torch.device, operation: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """The same of the whole model, in float32 and by autocast, for at most `bench_minutes`; no results for 0.

    Of the kinds that ran as an `operation`, which are results of `operation_and_block`.
    """
    ran = {cell["attention"] for cell in operation["results"] if cell["seconds"] is not None}
    settings = BenchSettings(
        name=options.bench_model,
        config=DiTConfig.preset(options.bench_model),
        attention=tuple(kind for kind in _ATTENTION if kind in ran),
        batch_sizes=_BATCHES,
        levels=("model",),
        device=device,
        precisions=precisions_of(options.training.settings.precision, device),
        repeats=_REPEATS,
        limit_seconds=60 * options.bench_minutes,
    )
    results = _measured(settings, say) if options.bench_minutes else []
    return to_dict(settings, results) | {"minutes": options.bench_minutes}


def precisions_of(trained: Precision, device: torch.device) -> tuple[str, ...]:
    """float32, and autocast: of the training, else bf16; on a CPU, where that is slow, only of the training."""
    if trained == "fp32" and device.type == "cpu":
        return ("fp32",)
    return "fp32", f"{'bf16' if trained == 'fp32' else trained}-autocast"


def _measured(settings: BenchSettings, say: Say) -> Sequence[Measurement]:
    results, left_out = [], set()
    for result in measure(settings):
        results.append(result)
        place = f"bench, {result.level}, {result.precision}, batch {result.batch_size}"
        if result.seconds is not None:
            say(f"{place}, {result.attention}")
            continue
        reason = f"bench, {result.attention} is not measured: {result.note}"
        if settings.limit_seconds is not None:  # it is of all kinds
            reason = f"{place}, is not measured: {result.note}"
        if reason not in left_out:
            left_out.add(reason)
            say(reason)
    return results
