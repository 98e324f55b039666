"""The results of `dit-gen bench`: as JSON, as rows of a table, and what they mean in sentences."""

import itertools
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from cmmd_toolkit.common.text import first_names
from cmmd_toolkit.common.writing import remove_leftovers

from ..attention.settings import AttentionSettings
from ..common.files import write_json
from ..network.multiply_adds import attention_multiply_adds, attention_share, multiply_adds
from .measure import Measurement
from .settings import BenchSettings, Level

HEADINGS = ("level", "precision", "batch", "attention", "ms", "mean ± sd", "ms / image", "naive / this", "MB")


def write_results(settings: BenchSettings, results: Sequence[Measurement], target: Path) -> None:
    """Write `to_dict` as JSON, atomically."""
    remove_leftovers(target.parent, [target.name])
    write_json(to_dict(settings, results), target)


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
        "clock": "CUDA events" if settings.device.type == "cuda" else "clock of the process",
        "precision": settings.precisions[0],
        "precisions": list(settings.precisions),
        "tf32": settings.tf32,
        "backward": settings.backward,
        "repeats": settings.repeats,
        "steps": settings.steps,
        "multiply_adds": multiply_adds(config, AttentionSettings("full")),
        "attention_multiply_adds": attention_multiply_adds(config, AttentionSettings("full")),
        "attention_share": attention_share(config),
        "results": [asdict(result) | {"seconds_per_image": result.seconds_per_image} for result in results],
    }


def device_name(device: torch.device) -> str:
    """The name of the GPU or CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def rows_of(results: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Rows of text under `HEADINGS`, one a cell that ran; `results` as `to_dict` has them, of any version."""
    rows = []
    for group in _groups(results):
        cells = [result for result in group if result["seconds"] is not None]
        naive = next((cell["seconds"] for cell in cells if cell["attention"] == "naive"), None)
        for cell in cells:
            seconds, batch = cell["seconds"], cell["batch_size"]
            rows.append(
                [
                    cell["level"],
                    cell.get("precision", "fp32"),
                    str(batch),
                    cell["attention"],
                    _number(1000 * seconds, 4),
                    _mean(cell.get("mean_seconds"), cell.get("spread_seconds")),
                    _number(1000 * seconds / batch, 3),
                    f"{naive / seconds:.2f}" if naive else "-",
                    _number((cell["memory_bytes"] or 0) / 1e6, 3),
                ]
            )
    return rows


def _number(value: float, digits: int) -> str:
    """At least so many digits of a large number, without an exponent: 2.5, 19,790."""
    return f"{value:,.0f}" if value >= 10 ** (digits - 1) else f"{value:.{digits}g}"


def left_out(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """One sentence for each reason why cells did not run."""
    whose: dict[str, list[str]] = {}
    for cell in results:
        if cell["seconds"] is None:
            place = f"{cell['level']}, {cell.get('precision', 'fp32')}, batch {cell['batch_size']}"
            whose.setdefault(cell["note"], []).append(f"{cell['attention']} ({place})")
    return [f"Not measured: {first_names(cells, 3 if len(cells) > 4 else 4)}: {note}." for note, cells in whose.items()]


def _mean(mean: float | None, spread: float | None) -> str:
    if mean is None:
        return "-"
    if spread is None:
        return _number(1000 * mean, 4)
    digits = ".2g" if 1000 * spread < 100 else ",.0f"
    return f"{_number(1000 * mean, 4)} ± {1000 * spread:{digits}}"


def _groups(results: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Cells that differ in attention only."""
    grouped = itertools.groupby(results, key=lambda r: (r["level"], r.get("precision", "fp32"), r["batch_size"]))
    return [list(group) for _, group in grouped]


def explain(settings: BenchSettings, results: Sequence[Measurement]) -> str:
    """What the numbers mean, in sentences."""
    config, share = settings.config, attention_share(settings.config)
    lines = [
        f"Attention (Q K^T and the product with V) is {100 * share:.2g} % of the {multiply_adds(config) / 1e9:.3g} G "
        f"multiply-adds of {settings.name} at {config.num_tokens} tokens: an attention that cost nothing would make "
        f"the whole model at most {1 / (1 - share):.3g} times as fast by arithmetic."
    ]
    for level in settings.levels:
        if best := _best_ratio(results, level, None):
            lines.append(f"Measured, {level}: {best}.")
        if across := _best_ratio(results, level, settings.precisions[0]):
            lines.append(f"Across precisions, which compares more than attention, {level}: {across}.")
    return "\n".join(lines)


def _best_ratio(results: Sequence[Measurement], level: Level, baseline: str | None) -> str | None:
    """The largest speed-up over naive at equal batch: in the same precision, or over naive in that of `baseline`."""
    cells = {(r.precision, r.attention, r.batch_size): r.seconds for r in results if r.level == level and r.seconds}
    ratios: list[tuple[float, str, int]] = []
    for (precision, kind, batch), seconds in cells.items():
        naive = cells.get((baseline or precision, "naive", batch))
        is_other = precision != baseline if baseline else kind != "naive"
        if naive and is_other:
            ratios.append((naive / seconds, f"{kind} in {precision}" if baseline else kind, batch))
    if not ratios:
        return None
    ratio, kind, batch = max(ratios)
    over = f"naive in {baseline}" if baseline else "naive"
    return f"at most {ratio:.3g} times {over} ({kind}, batch {batch})"


def to_table(results: Sequence[Measurement], width: int | None = None) -> Any:
    """A rich table: a section for each level, precision and batch size, a row for each attention that ran.

    Without the columns that matter least where the terminal is narrower than all; None is as wide as needed.
    """
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    rows = rows_of([asdict(result) for result in results])
    several = len({result.precision for result in results}) > 1
    shown = _fitting(
        [place for place, heading in enumerate(HEADINGS) if several or heading != "precision"], rows, width
    )
    for place in shown:
        is_word = HEADINGS[place] in ("level", "precision", "attention")
        table.add_column(HEADINGS[place], justify="left" if is_word else "right", no_wrap=True)
    for row, following in itertools.zip_longest(rows, rows[1:]):
        table.add_row(*(row[place] for place in shown), end_section=following is None or following[:3] != row[:3])
    return table


def _fitting(places: list[int], rows: Sequence[Sequence[str]], width: int | None) -> list[int]:
    """Which columns are shown: one after the other is left out until the others fit."""
    wide = [max(len(row[place]) for row in [HEADINGS, *rows]) + 1 for place in range(len(HEADINGS))]
    for heading in ("ms / image", "mean ± sd", "MB"):
        if width is not None and sum(wide[place] for place in places) > width:
            places = [place for place in places if HEADINGS[place] != heading]
    return places
