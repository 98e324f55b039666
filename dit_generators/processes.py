"""Several processes, started by torchrun or accelerate launch: who am I, and wait for the others."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from .errors import ArgumentError


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
        """Return when every process has come here."""
        if self.count > 1:
            torch.distributed.barrier()


@contextmanager
def joined_processes() -> Iterator[Processes]:
    """The processes of this launch: one, unless the launcher set WORLD_SIZE."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes(0, 1)
        return
    torch.distributed.init_process_group("gloo")
    try:
        yield Processes(torch.distributed.get_rank(), count)
    finally:
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
        raise ArgumentError(f"--device {name}: cannot be used here; give auto, cpu, cuda or cuda:1") from error
    return device
