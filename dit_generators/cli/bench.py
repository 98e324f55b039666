"""`dit-gen bench` from its options to the table, the JSON and the chart."""

from pathlib import Path
from typing import Any, cast

import click
from rich.console import Console

from ..attention.neighbours import Border
from ..bench.chart import draw_bench
from ..bench.measure import measure
from ..bench.results import device_name, explain, to_table, write_results
from ..bench.settings import BenchSettings, Level
from ..common.processes import pick_device
from ..common.shell import parse_list, say
from ..errors import ArgumentError
from ..network.config import DiTConfig

_WIDE = 200  # of a file, which breaks no line


def bench_settings(
    *,
    model: str,
    input_size: int,
    batch_size: str,
    attention: str,
    level: str,
    window: int,
    border: Border,
    precision: str,
    limit_minutes: float | None,
    device: str,
    **same: Any,
) -> BenchSettings:
    """The record of what click gives."""
    return BenchSettings(
        name=model,
        config=DiTConfig.preset(model, input_size=input_size, window=window, window_border=border),
        attention=tuple(attention.split(",")),
        batch_sizes=parse_list(batch_size, "--batch-size", int),
        levels=cast(tuple[Level, ...], tuple(level.split(","))),
        device=pick_device(device),
        precisions=tuple(precision.split(",")),
        limit_seconds=None if limit_minutes is None else 60 * limit_minutes,
        **same,
    )


def check_target(out: str | None) -> None:
    """Raise ArgumentError for a NAME whose NAME.json and NAME.png could not be written."""
    if out is None:
        return
    if not out or any(Path(f"{out}.{kind}").is_dir() for kind in ("json", "png")):
        raise ArgumentError(f"--out {out}: expected a name for NAME.json and NAME.png")
    if not Path(out).parent.is_dir():
        raise ArgumentError(f"--out {out}: the folder {Path(out).parent} does not exist; create it first")


def run_bench(settings: BenchSettings, out: str | None) -> None:
    """Measure, print as it goes on stderr, then the table on stdout."""
    results, said = [], set()
    for result in measure(settings):
        results.append(result)
        if out is not None:
            write_results(settings, results, Path(f"{out}.json"))
        if result.seconds is not None:
            cell = f"{result.level}, {result.precision}, batch {result.batch_size}, {result.attention}"
            say(f"{cell}: {1000 * result.seconds:.4g} ms")
        elif result.note not in said:
            said.add(result.note)
            say(f"{result.attention}: not measured: {result.note}")
    if out is not None:
        draw_bench(settings, results, Path(f"{out}.png"))
    console = Console()
    width = console.width if console.is_terminal else None
    if width is None:
        console.width = _WIDE
    with console.capture() as table:
        console.print(
            f"{settings.name}, {', '.join(settings.precisions)}, {device_name(settings.device)}", highlight=False
        )
        console.print(to_table(results, width))
    click.echo(table.get(), nl=False)
    click.echo(_fitting(explain(settings, results), console))
    if out is not None:
        click.echo(f"{out}.json\n{out}.png")


def _fitting(text: str, console: Console) -> str:
    """Sentences in lines that fit the terminal; as they are where there is none."""
    from cmmd_toolkit.report.screen.cells import wrapped

    if not console.is_terminal:
        return text
    return "\n".join(part for line in text.splitlines() for part in wrapped(line, console.width))
