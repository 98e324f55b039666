"""`dit-gen bench` from its options to the table, the JSON and the chart."""

from pathlib import Path
from typing import Any

import click
import torch
from rich.console import Console

from ..bench.chart import draw_bench
from ..bench.measure import LEVELS, BenchSettings, device_name, explain, measure, to_table, write_results
from ..common.processes import pick_device
from ..common.shell import listed, say
from ..errors import ArgumentError
from ..network.config import DiTConfig


def run_bench(
    model: str,
    input_size: int,
    batch_size: str,
    attention: str,
    level: str,
    window: int,
    out: str | None,
    given: dict[str, Any],
) -> None:
    """Measure, print as it goes on stderr, then the table on stdout."""
    if out is not None and (not out or any(Path(f"{out}.{kind}").is_dir() for kind in ("json", "png"))):
        raise ArgumentError(f"--out {out}: expected a name for NAME.json and NAME.png")
    if out is not None and not Path(out).parent.is_dir():
        raise ArgumentError(f"--out {out}: the folder {Path(out).parent} does not exist; create it first")
    if given["tf32"]:
        torch.backends.cuda.matmul.allow_tf32 = True
    settings = BenchSettings(
        name=model,
        config=DiTConfig.preset(model, input_size=input_size, window=window),
        attention=tuple(attention.split(",")),
        batch_sizes=listed(batch_size, "--batch-size", int),
        levels=tuple(_level(name) for name in level.split(",")),
        device=pick_device(given["device"]),
        precision=given["precision"],
        repeats=given["repeats"],
        backward=given["backward"],
    )
    results, said = [], set()
    for result in measure(settings):
        results.append(result)
        if out is not None:
            write_results(settings, results, Path(f"{out}.json"))
        if result.seconds is not None:
            say(f"{result.level}, batch {result.batch_size}, {result.attention}: {1000 * result.seconds:.4g} ms")
        elif result.note not in said:
            said.add(result.note)
            say(f"{result.attention}: not measured: {result.note}")
    if out is not None:
        draw_bench(settings, results, Path(f"{out}.png"))
    console = Console()
    with console.capture() as table:
        console.print(f"{model}, {settings.precision}, {device_name(settings.device)}", highlight=False)
        console.print(to_table(results))
    click.echo(table.get(), nl=False)
    click.echo(explain(settings, results))
    if out is not None:
        click.echo(f"{out}.json\n{out}.png")


def _level(name: str) -> Any:
    if name not in LEVELS:
        raise ArgumentError(f"--level {name}: expected some of {', '.join(LEVELS)}")
    return name
