"""Several processes, started by torchrun or accelerate launch: who am I, what is my share, what have all found.

Nothing is shared unless asked: a training job of eight processes may score with one of them. `shared_work` shares what
is computed inside it, and every process has to come there.
"""

import gc
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import count as count_from, islice
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import ProcessError
from .text import first_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T")
_STORE_WAIT = timedelta(seconds=5)
_JOIN_WAIT = timedelta(minutes=10)
_LONGEST_WAIT = timedelta(days=365)  # one may score for hours while the others wait; a dead one ends the wait at once
_TELLS_FIRST = 2.0  # seconds in which the one that ended may say why
_PART = 1 << 26  # bytes of rows that are sent at a time
_meetings = count_from()  # every process comes to them in the same order


@dataclass(frozen=True)
class Processes:
    """This process's rank among `count`; `group` is torch's, for what lies in the CPU's memory.

    Every process has to call the same methods in the same order. Where another one has ended, they raise `error`.
    """

    rank: int
    count: int
    group: Any = None
    error: type[Exception] = ProcessError

    @property
    def is_main(self) -> bool:
        """Whether this process writes what is common to all."""
        return self.rank == 0

    def share(self, items: Iterable[T]) -> Iterable[T]:
        """This process's part of the items: each `count`-th."""
        return items if self.count == 1 else islice(items, self.rank, None, self.count)

    def wait(self) -> None:
        """Return when every process has come here."""
        self.gather(None)  # a barrier that needs no GPU

    def by_main(self, work: Callable[[], T]) -> T | None:
        """What `work` gives in the main process, alone, once all are here; the others wait for it and get None."""
        self.wait()
        with _as_current(ALONE):
            result = work() if self.is_main else None
        self.wait()
        return result

    def sum(self, *arrays: "NDArray[Any]") -> None:
        """Add up each array over the processes, in place."""
        if self.count > 1:
            import torch

            with self._others_alive():
                for array in arrays:
                    torch.distributed.all_reduce(torch.from_numpy(array), group=self.group)

    def gather(self, found: T) -> list[T]:
        """What every process found, by rank; for records, since each becomes bytes."""
        if self.count == 1:
            return [found]
        import torch

        every: list[Any] = [None] * self.count
        with self._others_alive():
            torch.distributed.all_gather_object(every, found, group=self.group)
        return every

    def gather_rows(self, rows: "NDArray[Any]", lengths: Iterable[int]) -> "Iterator[tuple[int, int, NDArray[Any]]]":
        """The rows (n, D) of every process in parts of bounded size: rank, the first row's number, the part.

        `lengths` are the numbers of rows, by rank; width and type are the same everywhere.
        """
        if self.count == 1:
            yield 0, 0, rows
            return
        import numpy as np
        import torch

        height = max(1, _PART // max(1, rows.itemsize * rows.shape[1]))
        for rank, length in enumerate(lengths):
            for first in range(0, length, height):
                shape = min(height, length - first), rows.shape[1]
                own = rank == self.rank
                part = rows[first : first + height].copy() if own else np.empty(shape, rows.dtype)
                with self._others_alive():
                    source = torch.distributed.get_global_rank(self.group, rank) if self.group else rank
                    torch.distributed.broadcast(torch.from_numpy(part), source, group=self.group)
                yield rank, first, part

    @contextmanager
    def _others_alive(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # gloo: connection closed by peer, or reset
            time.sleep(_TELLS_FIRST)
            raise self.error("another process of this run has ended; run the same command again to resume") from error


ALONE = Processes(0, 1)
_current = ALONE


def current_processes() -> Processes:
    """Those that share what is computed now: this one alone, unless `shared_work` is open."""
    return _current


@contextmanager
def _as_current(processes: Processes) -> Iterator[None]:
    global _current
    before, _current = _current, processes
    try:
        yield
    finally:
        _current = before


@contextmanager
def shared_work() -> Iterator[Processes]:
    """Share what is computed inside among the processes of this launch; every process must enter, and gets all results.

    Started by torchrun or accelerate launch, each embeds its part of the pictures and computes its part of the kernel
    blocks; each needs the memory for all features. One process alone computes as it always does.

    Raises:
        ProcessError: another process has ended.
    """
    with joined_processes() as processes, _as_current(processes):
        yield processes


@contextmanager
def joined_processes(error: type[Exception] = ProcessError) -> Iterator[Processes]:
    """The processes of this launch, which take their own GPUs: one, unless the launcher set WORLD_SIZE."""
    if os.environ.get("WORLD_SIZE", "1") == "1":
        yield Processes(0, 1, error=error)
        return
    import torch

    backend = "gloo"
    if torch.cuda.is_available():
        backend = "cpu:gloo,cuda:nccl"
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    if torch.distributed.is_initialized():  # by the program that calls, for whatever is on its devices
        group = torch.distributed.new_group(backend="gloo", timeout=_LONGEST_WAIT)
        try:
            yield Processes(torch.distributed.get_rank(), torch.distributed.get_world_size(), group, error)
        finally:
            torch.distributed.destroy_process_group(group)
        return
    rank, count = _join(backend, error)
    try:
        yield (processes := Processes(rank, count, None, error))
        processes.wait()  # else the launcher ends the others when one leaves with another code than 0
    finally:
        gc.collect()  # a wrapped model, a circle of references, holds the group: freed at exit it aborts the process
        torch.distributed.destroy_process_group()


def _join(backend: str, error: type[Exception]) -> tuple[int, int]:
    from torch.distributed import PrefixStore, init_process_group, rendezvous  # type: ignore[attr-defined]

    try:
        store, rank, count = next(rendezvous("env://", timeout=_JOIN_WAIT))
        store = PrefixStore(f"cmmd-{_attempt()}-{next(_meetings)}", store)
        store.set(f"here-{rank}", "")
        store.wait([f"here-{other}" for other in range(count)], _JOIN_WAIT)  # gloo would wait as long as for a result
        init_process_group(backend, store=store, rank=rank, world_size=count, timeout=_LONGEST_WAIT)
    except (RuntimeError, ValueError) as reason:
        size, why = os.environ["WORLD_SIZE"], first_line(reason)
        advice = "start with torchrun or accelerate launch, or unset WORLD_SIZE"
        raise error(f"the {size} processes of WORLD_SIZE did not meet ({why}); {advice}") from reason
    return rank, count


def _attempt() -> str:
    """How often torchrun has started these processes again; its store keeps what the earlier ones left there."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")


def is_first_to_tell(program: str) -> bool:
    """Whether no other process of this launch has said yet why it ends: all fail together, and one says why."""
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return True
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    try:
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        store = TCPStore(address, port, is_master=False, timeout=_STORE_WAIT)
        return store.add(f"{program}-told-{_attempt()}", 1) == 1
    except (RuntimeError, KeyError, ValueError):  # the launcher itself is gone: the first process speaks for all
        return os.environ.get("RANK", "0") == "0"
