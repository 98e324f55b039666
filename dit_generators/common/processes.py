"""Several processes, started by torchrun or accelerate launch: who am I, wait for the others, fail with one line."""

import gc
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from ..errors import ArgumentError, ProcessError

T = TypeVar("T")
_DEVICE = re.compile(r"(?:cpu|cuda|mps|xpu)(?::[0-9]+)?")
_STORE_WAIT = timedelta(seconds=5)
_LONGEST_WAIT = timedelta(days=365)  # one may score for hours while the others wait; a dead one ends the wait at once


@dataclass(frozen=True)
class Processes:
    """This process's rank among `count`."""

    rank: int
    count: int

    @property
    def is_main(self) -> bool:
        """Whether this process writes what is common to all."""
        return self.rank == 0

    def wait(self) -> None:
        """Return when every process has come here; raises ProcessError when one has ended instead."""
        if self.count > 1:
            flags = [torch.zeros(1) for _ in range(self.count)]
            try:
                torch.distributed.all_gather(flags, torch.zeros(1))  # a barrier that needs no GPU
            except RuntimeError as error:  # gloo: connection closed by peer, or reset
                raise ProcessError(
                    "another process of this run has ended; run the same command again to resume"
                ) from error

    def by_main(self, work: Callable[[], T]) -> T | None:
        """What `work` gives in the main process once all are here; the others wait for it and get None."""
        self.wait()
        result = work() if self.is_main else None
        self.wait()
        return result


def is_first_to_tell() -> bool:
    """Whether no other process of this launch has said yet why it ends: all fail together, and one says why."""
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return True
    try:
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        store = TCPStore(address, port, is_master=False, timeout=_STORE_WAIT)
        return store.add(f"dit-gen-told-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", 1) == 1
    except (RuntimeError, KeyError, ValueError):  # the launcher itself is gone
        return True


ALONE = Processes(0, 1)


@contextmanager
def joined_processes() -> Iterator[Processes]:
    """The processes of this launch: one, unless the launcher set WORLD_SIZE."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes(0, 1)
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    torch.distributed.init_process_group(backend, timeout=_LONGEST_WAIT)
    try:
        yield Processes(torch.distributed.get_rank(), count)
    finally:
        gc.collect()  # a wrapped model, a circle of references, holds the group: freed at exit it aborts the process
        torch.distributed.destroy_process_group()


def pick_device(name: str) -> torch.device:
    """`auto` is this process's own GPU, else the CPU. Raises ArgumentError for a device that is not here."""
    if name != "auto":
        return _named_device(name)
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def _named_device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        if not _DEVICE.fullmatch(name):
            raise ArgumentError(f"device: expected auto, cpu, cuda or cuda:1, got {name}") from error
        raise ArgumentError(f"device: {name} is not on this machine; take auto or cpu") from error
    return device
