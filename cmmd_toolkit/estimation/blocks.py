"""The pairs of two sets in blocks of rows: which there are, and work on them in parallel."""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from itertools import product
from typing import TypeVar

from threadpoolctl import ThreadpoolController

from ..common.processes import current_processes

Pair = tuple[slice, slice]
BLOCK = 1024
_AHEAD = 4  # blocks a thread
Task = TypeVar("Task")
Outcome = TypeVar("Outcome")


def blocks(length: int) -> list[slice]:
    """Slices of at most BLOCK rows."""
    return parts(slice(0, length), BLOCK)


def parts(whole: slice, height: int) -> list[slice]:
    """A slice in slices of at most `height` rows."""
    return [slice(i, min(i + height, whole.stop)) for i in range(whole.start, whole.stop, height)]


def in_parallel(work: Callable[[Task], Outcome], tasks: Iterable[Task]) -> Iterable[Outcome]:
    """Results for this process's share of the blocks, in order. One thread a block and one BLAS thread each: a tenth
    faster than threads within a block, and sums that do not depend on the thread count."""
    controller = _blas()
    threads = max((library["num_threads"] for library in controller.info()), default=1)
    waiting: deque[Future[Outcome]] = deque()  # not all pairs at once: a million rows have half a million
    with controller.limit(limits=1), ThreadPoolExecutor(threads) as pool:
        for task in current_processes().share(tasks):
            waiting.append(pool.submit(work, task))
            if len(waiting) > _AHEAD * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


def upper_pairs(slices: list[slice]) -> list[Pair]:
    """The pairs of blocks on and above the diagonal."""
    return [(i, j) for i, j in product(slices, slices) if i.start <= j.start]
