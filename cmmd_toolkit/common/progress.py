"""Progress on stderr: a live bar on a terminal, one closing line a set elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

Advance = Callable[[int], None]


class _SpeedColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} images/s")


@contextmanager
def show_progress(name: str, total: int | None) -> Iterator[Advance]:
    """Yield a function to call with each number of finished pictures."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), _SpeedColumn())
    start, done = time.perf_counter(), 0
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task(name, total=total)

        def advance(count: int) -> None:
            nonlocal done
            done += count
            bars.advance(task, count)

        yield advance
    if not console.is_terminal:
        seconds = max(time.perf_counter() - start, 1e-9)
        print(f"{name}: {done} images, {done / seconds:.1f} images/s", file=sys.stderr)
