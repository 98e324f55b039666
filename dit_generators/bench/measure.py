"""How long attention takes: the operation alone, one block, and the whole model, in one precision, synchronised."""

import itertools
import json
import math
import platform
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from cmmd_toolkit.common.writing import remove_leftovers, replacing

from ..attention.choose import measure_seconds
from ..attention.engines.foreign import describe
from ..attention.settings import AttentionSettings
from ..common.peak_memory import peak_bytes
from ..common.precision import TYPES, float32_products
from ..errors import ArgumentError
from ..network.config import DiTConfig
from ..network.model import DiT
from ..network.multiply_adds import attention_multiply_adds, attention_share, multiply_adds

Level = Literal["operation", "block", "model"]
LEVELS: tuple[Level, ...] = ("operation", "block", "model")


@dataclass(frozen=True)
class BenchSettings:
    """What is measured, on which device; `backward` adds the gradient of every input and weight.

    Raises ArgumentError for what cannot be measured.
    """

    name: str
    config: DiTConfig
    attention: tuple[str, ...]
    batch_sizes: tuple[int, ...]
    levels: tuple[Level, ...]
    device: torch.device
    precision: str = "fp32"
    repeats: int = 3
    backward: bool = False
    tf32: bool = False

    def __post_init__(self) -> None:
        if unknown := next((level for level in self.levels if level not in LEVELS), None):
            raise ArgumentError(f"`level={unknown}`: expected some of {', '.join(LEVELS)}")
        if self.precision not in TYPES:
            raise ArgumentError(f"`precision={self.precision}`: expected one of {', '.join(TYPES)}")
        if min(self.batch_sizes) < 1 or self.repeats < 1:
            raise ArgumentError("bench: expected batch sizes and repeats of 1 or more")
        for kind in self.attention:
            replace(self.config.attention_settings, pattern=kind).check(self.config.depth, self.config.grid)


@dataclass(frozen=True)
class Measurement:
    """One cell: seconds (least of the repeats) and bytes on top of what was there, or why it did not run."""

    level: Level
    attention: str
    batch_size: int
    seconds: float | None
    memory_bytes: int | None
    note: str = ""


def measure(settings: BenchSettings) -> Iterator[Measurement]:
    """Yield every cell of levels x batch sizes x attention, in that order."""
    torch.manual_seed(0)
    dtype = TYPES[settings.precision]
    model = _random_model(settings.config).to(settings.device, dtype).requires_grad_(settings.backward)
    for level, batch in itertools.product(settings.levels, settings.batch_sizes):
        with float32_products(tf32=settings.tf32):
            results = _measure_all(model, level, batch, settings)
        yield from results


def _measure_all(model: DiT, level: Level, batch: int, settings: BenchSettings) -> list[Measurement]:
    """Every kind of attention at one level and batch size."""
    calls, notes = {}, {}
    for kind in settings.attention:
        try:
            calls[kind] = _call(model, level, kind, batch, settings)
        except Exception as error:  # an engine of another package may fail in any way
            notes[kind] = describe(error)
    seconds = _least_seconds(calls, notes, settings)
    memory = {kind: peak_bytes(calls[kind], settings.device) for kind in seconds}
    return [
        Measurement(level, kind, batch, seconds.get(kind), memory.get(kind), notes.get(kind, ""))
        for kind in settings.attention
    ]


def _least_seconds(
    calls: dict[str, Callable[[], object]], notes: dict[str, str], settings: BenchSettings
) -> dict[str, float]:
    """In turns, one call of each after the other, so that all see the same state of the machine."""
    least: dict[str, float] = {}
    for _, (kind, call) in itertools.product(range(settings.repeats), calls.items()):
        if kind in notes:
            continue
        try:
            warm_up = kind not in least
            least[kind] = min(least.get(kind, math.inf), measure_seconds(call, settings.device, 1, warm_up=warm_up))
        except Exception as error:
            notes[kind] = "out of memory" if isinstance(error, torch.OutOfMemoryError) else describe(error)
            least.pop(kind, None)
    return least


def write_results(settings: BenchSettings, results: Sequence[Measurement], target: Path) -> None:
    """Write `to_dict` as JSON, atomically."""
    remove_leftovers(target.parent, [target.name])
    with replacing(target) as temporary:
        temporary.write_text(json.dumps(to_dict(settings, results), indent=1) + "\n")


def to_dict(settings: BenchSettings, results: Sequence[Measurement]) -> dict[str, Any]:
    """All numbers, with the device, the versions and the arithmetic beside them."""
    config = settings.config
    return {
        "model": settings.name,
        "tokens": config.num_tokens,
        "config": asdict(config),
        "device": device_name(settings.device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "precision": settings.precision,
        "tf32": settings.tf32,
        "backward": settings.backward,
        "repeats": settings.repeats,
        "multiply_adds": multiply_adds(config, AttentionSettings("full")),
        "attention_multiply_adds": attention_multiply_adds(config, AttentionSettings("full")),
        "attention_share": attention_share(config),
        "results": [asdict(result) for result in results],
    }


def device_name(device: torch.device) -> str:
    """The name of the GPU or CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def _random_model(config: DiTConfig) -> DiT:
    """Zero-initialised gates would let a compiler drop the attention: every weight is random."""
    model = DiT(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    return model


def _call(model: DiT, level: Level, kind: str, batch: int, settings: BenchSettings) -> Callable[[], object]:
    """A function that runs one cell once."""
    config, like = model.config, model.pos_embed
    attention = model.attention_functions(replace(config.attention_settings, pattern=kind))

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, device=like.device, dtype=like.dtype, requires_grad=settings.backward)

    run: Callable[[], Tensor]
    if level == "operation":
        query, key, value = (random(batch, config.num_heads, config.num_tokens, config.head_dim) for _ in range(3))
        run = partial(attention[0], query, key, value)
    elif level == "block":
        x, c = random(batch, config.num_tokens, config.hidden_size), random(batch, config.hidden_size)
        run = partial(model.blocks[0], x, c, attention[0])
    else:
        images = random(batch, config.in_channels, config.input_size, config.input_size)
        timesteps = torch.full((batch,), 500, device=like.device)
        labels = torch.zeros_like(timesteps) if config.num_classes else None
        run = partial(model, images, timesteps, labels, attention=attention)
    if settings.backward:
        return lambda: run().sum().backward()

    def without_gradient() -> Tensor:
        with torch.no_grad():
            return run()

    return without_gradient


def explain(settings: BenchSettings, results: Sequence[Measurement]) -> str:
    """What the numbers mean, in sentences."""
    config, share = settings.config, attention_share(settings.config)
    lines = [
        f"Attention (Q K^T and the product with V) is {100 * share:.2g} % of the {multiply_adds(config) / 1e9:.3g} G "
        f"multiply-adds of {settings.name} at {config.num_tokens} tokens: an attention that cost nothing would make "
        f"the whole model at most {1 / (1 - share):.3g} times as fast by arithmetic."
    ]
    for level in settings.levels:
        if best := _best_ratio(results, level):
            lines.append(f"Measured, {level}: {best}.")
    return "\n".join(lines)


def _best_ratio(results: Sequence[Measurement], level: Level) -> str | None:
    """The largest speed-up over naive at equal batch, precision and device."""
    cells = {(r.attention, r.batch_size): r.seconds for r in results if r.level == level and r.seconds}
    ratios: list[tuple[float, str, int]] = [
        (cells["naive", batch] / seconds, kind, batch)
        for (kind, batch), seconds in cells.items()
        if kind != "naive" and ("naive", batch) in cells
    ]
    if not ratios:
        return None
    ratio, kind, batch = max(ratios)
    return f"at most {ratio:.3g} times naive ({kind}, batch {batch})"


def to_table(results: Sequence[Measurement]) -> Any:
    """A rich table: a section for each level and batch size, a row for each attention that ran."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("level", "batch", "attention", "ms", "naive / this", "MB"):
        is_word = heading in ("level", "attention")
        table.add_column(heading, justify="left" if is_word else "right", no_wrap=not is_word)
    for (level, batch), group in itertools.groupby(results, key=lambda r: (r.level, r.batch_size)):
        cells = [result for result in group if result.seconds is not None]
        naive = next((result.seconds for result in cells if result.attention == "naive"), None)
        for result in cells:
            seconds, memory = result.seconds or 0.0, result.memory_bytes or 0
            ratio = f"{naive / seconds:.2f}" if naive else "-"
            row = (level, str(batch), result.attention, f"{1000 * seconds:.4g}", ratio, f"{memory / 1e6:.3g}")
            table.add_row(*row, end_section=result is cells[-1])
    return table
