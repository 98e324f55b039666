"""Progress on stderr: a live bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

Advance = Callable[[float], None]
ShowProgress = Callable[[str, int | None], AbstractContextManager[Advance]]
_SECONDS_BETWEEN_LINES = 30.0


@contextmanager
def show_progress(name: str, total: int | None) -> Iterator[Advance]:
    """Yield a function to call with how many pictures, or what share of one, were finished since the last call."""
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
        of_total = "" if total is None else f"/{total}"
        speed = done / max(time.perf_counter() - start, 1e-9)
        return f"{int(done + 1e-6)}{of_total} images, {speed:.3g} images/s"

    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task(name, total=total, state="")

        def advance(count: float) -> None:
            nonlocal done, last_line
            done += count
            bars.update(task, advance=count, state=state())
            if not console.is_terminal and time.perf_counter() - last_line > _SECONDS_BETWEEN_LINES:
                last_line = time.perf_counter()
                left = "" if total is None else f", {(last_line - start) * (total - done) / done:.0f} s left"
                print(f"{name}: {state()}{left}", file=sys.stderr)

        yield advance
    if not console.is_terminal:
        print(f"{name}: {state()}", file=sys.stderr)


@contextmanager
def show_no_progress(_name: str, _total: int | None) -> Iterator[Advance]:
    """For who wants to see none."""
    yield lambda _count: None
