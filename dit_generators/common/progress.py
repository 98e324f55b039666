"""Progress on stderr: a live bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

Advance = Callable[[float], None]
ShowProgress = Callable[[str, int], AbstractContextManager[Advance]]
_SECONDS_BETWEEN_LINES = 30.0


@contextmanager
def show_progress(name: str, total: int) -> Iterator[Advance]:
    """Yield a function to call with the share of pictures finished since the last call."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[state]}"),
        TimeRemainingColumn(),
    )
    start = last_line = time.perf_counter()
    done = 0.0

    def state() -> str:
        speed = done / max(time.perf_counter() - start, 1e-9)
        return f"{int(done + 1e-6)}/{total} images, {speed:.3g} images/s"

    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task(name, total=total, state="")

        def advance(count: float) -> None:
            nonlocal done, last_line
            done += count
            bars.update(task, advance=count, state=state())
            if not console.is_terminal and time.perf_counter() - last_line > _SECONDS_BETWEEN_LINES:
                last_line = time.perf_counter()
                left = (last_line - start) * (total - done) / done
                print(f"{name}: {state()}, {left:.0f} s left", file=sys.stderr)

        yield advance
    if not console.is_terminal:
        print(f"{name}: {state()}", file=sys.stderr)
