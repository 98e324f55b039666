"""Progress on stderr: a live bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import PurePath

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn

from .text import printable, without_middle

Advance = Callable[[float], None]
ShowProgress = Callable[[str, int | None], AbstractContextManager[Advance]]
_SECONDS_BETWEEN_LINES = 30.0
_STATE = 48  # cells of count, rate and time left
_BAR, _LEAST_BAR, _LEAST_NAME = 40, 6, 8


@contextmanager
def show_progress(name: str, total: int | None) -> Iterator[Advance]:
    """Yield a function to call with how many pictures, or what share of one, were finished since the last call."""
    console = Console(stderr=True)
    label, bar = _layout(name, console.width)
    columns: list[ProgressColumn] = [
        TextColumn("{task.description}", markup=False),
        TextColumn("{task.fields[state]}", markup=False),
    ]
    if bar:
        columns.insert(1, BarColumn(bar_width=bar))
    start = last_line = time.perf_counter()
    done, is_live = 0.0, console.is_terminal

    def state() -> str:
        seconds = max(time.perf_counter() - start, 1e-9)
        of_total = "" if total is None else f"/{total}"
        left = "" if total is None or not 0 < done < total else f", {_time_text(seconds * (total - done) / done)} left"
        return f"{int(done + 1e-6)}{of_total} images, {_rate_text(done / seconds)} images/s{left}"

    with Progress(*columns, console=console, disable=not is_live) as bars:
        task = bars.add_task(label, total=total, state="")

        def advance(count: float) -> None:
            nonlocal done, last_line
            done += count
            if is_live:
                bars.update(task, advance=count, state=state())
            elif time.perf_counter() - last_line > _SECONDS_BETWEEN_LINES:
                last_line = time.perf_counter()
                print(f"{printable(name)}: {state()}", file=sys.stderr)

        yield advance
    if not is_live:
        print(f"{printable(name)}: {state()}", file=sys.stderr)


def _layout(name: str, width: int) -> tuple[str, int]:
    """The base name, shortened, and the width of the bar, so that count, rate and time left always fit beside them."""
    room = width - _STATE
    label = without_middle(printable(PurePath(name).name or name), max(_LEAST_NAME, room // 2))
    bar = min(_BAR, room - len(label) - 2)
    return label, bar if bar >= _LEAST_BAR else 0


def _rate_text(rate: float) -> str:
    """Three digits, and never an exponent."""
    return f"{float(f'{rate:.3g}'):,.0f}" if rate >= 99.95 else f"{rate:.3g}"


def _time_text(seconds: float) -> str:
    """Whole seconds, minutes or hours, by their size."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


@contextmanager
def show_no_progress(_name: str, _total: int | None) -> Iterator[Advance]:
    """For who wants to see none."""
    yield lambda _count: None
