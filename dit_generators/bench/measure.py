"""What attention costs, level by level: every kind in turns, in one arithmetic at a time, synchronised."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import fmean, stdev

import torch

from cmmd_toolkit.common.text import number_text

from ..attention.engines.foreign import describe
from ..common.peak_memory import peak_bytes
from ..common.precision import float32_products, kept_casts
from ..common.stopwatch import seconds_of
from ..network.config import DiTConfig
from ..network.model import DiT
from .calls import call_of
from .settings import Arithmetic, BenchSettings, Level

_Calls = dict[str, Callable[[], object]]


@dataclass(frozen=True)
class Measurement:
    """One cell, or why it did not run.

    Attributes:
        seconds: least of the repeats; of one call, hence of `batch_size` pictures.
        memory_bytes: at most, on top of what was there.
        precision: its arithmetic; see `Arithmetic`.
        mean_seconds, spread_seconds: over the repeats; the standard deviation of one call, None of a single one.
    """

    level: Level
    attention: str
    batch_size: int
    seconds: float | None
    memory_bytes: int | None
    note: str = ""
    precision: str = "fp32"
    mean_seconds: float | None = None
    spread_seconds: float | None = None

    @property
    def seconds_per_image(self) -> float | None:
        """The least, shared by the pictures of the batch."""
        return None if self.seconds is None else self.seconds / self.batch_size


def measure(settings: BenchSettings) -> Iterator[Measurement]:
    """Yield every cell of precisions x levels x batch sizes x attention, in that order."""
    torch.manual_seed(0)
    start = time.perf_counter()
    model = _random_model(settings.config).to(settings.device).requires_grad_(settings.backward)
    for name, level in itertools.product(settings.precisions, settings.levels):
        arithmetic, per_image = Arithmetic(name), None
        model.to(arithmetic.weights)
        for batch in settings.batch_sizes:
            results: list[Measurement] = []
            with _arithmetic(arithmetic, settings):
                note, per_image = _beyond(model, level, batch, arithmetic, settings, per_image, start)
                if not note:
                    results = _measure_all(model, level, batch, arithmetic, settings)
                    known = [result.seconds for result in results if result.seconds is not None]
                    per_image = fmean(known) / batch if known else per_image
            if note:
                results = [Measurement(level, kind, batch, None, None, note, name) for kind in settings.attention]
            yield from results


def _arithmetic(arithmetic: Arithmetic, settings: BenchSettings) -> ExitStack:
    """TF32 on or off; casts of weights are kept as sampling keeps them, not where a gradient goes through them."""
    contexts = ExitStack()
    contexts.enter_context(float32_products(tf32=settings.tf32 or arithmetic.name == "tf32"))
    if not settings.backward:
        contexts.enter_context(kept_casts(arithmetic.autocast, settings.device))
    return contexts


def _beyond(
    model: DiT,
    level: Level,
    batch: int,
    arithmetic: Arithmetic,
    settings: BenchSettings,
    per_image: float | None,
    start: float,
) -> tuple[str, float | None]:
    """Why this batch is left out, and seconds a picture: of the batch before, or of one call on one picture."""
    if arithmetic.name == "tf32" and settings.device.type == "cpu":
        return "TF32 exists only on GPUs; a CPU multiplies in float32", None
    if settings.limit_seconds is None:
        return "", per_image
    limit = f"of the limit of {number_text(settings.limit_seconds, significant=2)} seconds"
    left = settings.limit_seconds - (time.perf_counter() - start)
    if left <= 0:
        return f"no time is left {limit}", per_image
    if per_image is None:
        try:
            call = call_of(model, level, settings.attention[0], 1, arithmetic, settings)
            per_image = min(seconds_of(call, settings.device) for _ in range(2))
        except Exception as error:  # as in _measure_all
            return describe(error), None
    forecast = per_image * batch * len(settings.attention) * (settings.repeats + 2)  # warms up; memory
    if forecast <= left:
        return "", per_image
    needed, there = (number_text(seconds, significant=2) for seconds in (forecast, left))
    return f"would take {needed} seconds, {there} are left {limit}", per_image


def _measure_all(
    model: DiT, level: Level, batch: int, arithmetic: Arithmetic, settings: BenchSettings
) -> list[Measurement]:
    """Every kind of attention at one level and batch size."""
    calls: _Calls = {}
    notes: dict[str, str] = {}
    for kind in settings.attention:
        try:
            calls[kind] = call_of(model, level, kind, batch, arithmetic, settings)
        except Exception as error:  # an engine of another package may fail in any way
            notes[kind] = describe(error)
    seconds = _all_seconds(calls, notes, settings)
    memory = {kind: peak_bytes(calls[kind], settings.device) for kind in seconds}
    return [
        _cell(level, kind, batch, arithmetic, seconds.get(kind, []), memory.get(kind), notes.get(kind, ""))
        for kind in settings.attention
    ]


def _cell(
    level: Level, kind: str, batch: int, arithmetic: Arithmetic, seconds: list[float], memory: int | None, note: str
) -> Measurement:
    if not seconds:
        return Measurement(level, kind, batch, None, None, note, arithmetic.name)
    spread = stdev(seconds) if len(seconds) > 1 else None
    return Measurement(level, kind, batch, min(seconds), memory, note, arithmetic.name, fmean(seconds), spread)


def _all_seconds(calls: _Calls, notes: dict[str, str], settings: BenchSettings) -> dict[str, list[float]]:
    """In turns, one call of each after the other, so that all see the same state of the machine."""
    found: dict[str, list[float]] = {}
    for turn, (kind, call) in itertools.product(range(settings.repeats), calls.items()):
        if kind in notes:
            continue
        try:
            if turn == 0:
                call()  # warms up
            found.setdefault(kind, []).append(seconds_of(call, settings.device))
        except Exception as error:
            notes[kind] = "out of memory" if isinstance(error, torch.OutOfMemoryError) else describe(error)
            found.pop(kind, None)
    return found


def _random_model(config: DiTConfig) -> DiT:
    """Zero-initialised gates would let a compiler drop the attention: every weight is random."""
    model = DiT(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    return model
