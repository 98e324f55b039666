"""The same images over a grid of settings: attention, guidance scale and number of steps."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from cmmd_toolkit.common.progress import ShowProgress

from ..common.agreement import check_agreement
from ..common.files import locked, write_json
from ..common.processes import ALONE, Processes
from ..common.sheet import Headings, contact_sheet, save_image
from ..data.decode import read_picture
from ..errors import ArgumentError, OutputError
from ..weights.digest import weights_digest
from .folder import seconds_per_image
from .run import SampleRun, run_sampling

_SHOWN = 4  # images of a cell in the sheet
Switch = Callable[[str | None], None]
Run = tuple[str | None, SampleRun]


@dataclass(frozen=True)
class Sweep:
    """The values of each axis; attention None is the checkpoint's own."""

    attention: tuple[str | None, ...]
    scales: tuple[float, ...]
    steps: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("attention", "scales", "steps"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ArgumentError(f"sweep: {name} {', '.join(map(str, values))} has a value twice")


@dataclass(frozen=True)
class Cell:
    """One combination, its folder and the seconds per image; None when nothing was made now or before."""

    attention: str
    guidance_scale: float
    steps: str
    folder: str
    seconds_per_image: float | None

    def __str__(self) -> str:
        speed = "" if self.seconds_per_image is None else f": {self.seconds_per_image:.3g} s per image"
        return f"{self.folder}{speed}"


def run_sweep(
    base: SampleRun, plan: Sweep, switch: Switch, show_progress: ShowProgress, processes: Processes = ALONE
) -> list[Cell]:
    """Make every cell's folder in `base.out`, then sweep.png and sweep.json; several processes share the cells.

    Args:
        base: the run that every cell changes: attention, guidance scale, steps and folder.
        switch: sets the attention of the model; called with a kind, or None for the checkpoint's own.

    Every cell is checked before the first is made. Only the main process returns the cells.
    """
    base = replace(base, weights_sha256=weights_digest(base.model.state_dict()))  # once, not for every cell
    runs = [(attention, run) for attention in plan.attention for run in _cells(base, plan, attention)]
    _check(base, runs, switch)
    with ExitStack() as held:
        if processes.is_main:
            held.enter_context(locked(base.out))
        processes.wait()
        check_agreement(
            base.out, {**base.identity(), "num": base.num, "cells": [run.out.name for _, run in runs]}, processes
        )
        for attention, run in _share(runs, processes):
            switch(attention)
            run_sampling(run, ALONE, show_progress)
        return processes.by_main(lambda: _write_results(base, plan, runs)) or []


def _check(base: SampleRun, runs: Sequence[Run], switch: Switch) -> None:
    for attention, run in runs:
        switch(attention)
        run.settings.check(run.model)
    if base.out.is_file():
        raise OutputError(f"{base.out}: is a file; name a folder")
    if len({run.out for _, run in runs}) < len(runs):
        raise ArgumentError("sweep: two cells would have one folder; take values that differ in six digits")


def _share(runs: Sequence[Run], processes: Processes) -> list[Run]:
    """This process's cells: the longest first, each to the process with the least to do."""
    shares: list[list[Run]] = [[] for _ in range(processes.count)]
    loads = [0] * processes.count
    for attention, run in sorted(runs, key=lambda cell: -_cost(cell[1])):
        least = loads.index(min(loads))
        shares[least].append((attention, run))
        loads[least] += _cost(run)
    return sorted(shares[processes.rank], key=runs.index)


def _cost(run: SampleRun) -> int:
    """Passes through the network for one image."""
    settings = run.settings
    return settings.num_evaluations(run.model.process) * (1 if settings.guidance.scale in (0, 1) else 2)


def _write_results(base: SampleRun, plan: Sweep, runs: Sequence[Run]) -> list[Cell]:
    cells = []
    for attention, run in runs:
        seconds, settings = seconds_per_image(run.out), run.settings
        cells.append(Cell(_kind(base, attention), settings.guidance.scale, settings.steps, run.out.name, seconds))
    _write_sheet(plan, cells, base.out, min(base.num, _SHOWN))
    record = {"checkpoint": base.source, "num": base.num, "seed": base.settings.seed}
    write_json(record | {"cells": [asdict(cell) for cell in cells]}, base.out / "sweep.json")
    return cells


def _cells(base: SampleRun, plan: Sweep, attention: str | None) -> Iterator[SampleRun]:
    for scale, steps in itertools.product(plan.scales, plan.steps):
        settings = replace(base.settings, steps=steps, guidance=replace(base.settings.guidance, scale=scale))
        yield replace(base, settings=settings, out=base.out / _folder_name(_kind(base, attention), scale, steps))


def _kind(base: SampleRun, attention: str | None) -> str:
    return attention or base.model.config.attention


def _folder_name(attention: str, scale: float, steps: str) -> str:
    plain = attention.replace("*", "x").replace(",", "-").replace(":", "-")
    return f"{plain}_w{scale:g}_s{steps}"


def _write_sheet(plan: Sweep, cells: Sequence[Cell], out: Path, shown: int) -> None:
    """A row for each attention and guidance scale, a group of columns for each number of steps."""
    pictures = [read_picture(out / cell.folder / f"{i:06d}.png") for cell in cells for i in range(shown)]
    rows = [f"{cell.attention}\nguidance {cell.guidance_scale:g}" for cell in cells[:: len(plan.steps)]]
    columns = [f"{steps} steps" for steps in plan.steps]
    sheet = contact_sheet(pictures, len(columns) * shown, Headings(columns, rows, shown))
    save_image(sheet, out / "sweep.png")
