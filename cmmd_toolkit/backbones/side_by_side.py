"""Parts of a batch through a network on the CPU, each in a thread of its own.

Threads that share one product wait for each other many times a picture, in loops that take a whole core; where another
program or a decoding thread has that core, the wait is long. Threads with a part each never wait.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """`function` of every item, in their order; torch's threads are shared out among those that run at a time."""
    import torch

    threads = torch.get_num_threads()
    running = min(threads, len(items))
    if running < 2:
        return [function(item) for item in items]
    try:
        with ThreadPoolExecutor(running, initializer=torch.set_num_threads, initargs=(threads // running,)) as pool:
            return list(pool.map(function, items))
    finally:
        torch.set_num_threads(threads)
