"""Several processes of one run, and the device of each."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from cmmd_toolkit.common import processes as shared
from cmmd_toolkit.common.processes import ALONE as ALONE, Processes as Processes

from ..errors import ArgumentError, ProcessError

_DEVICE = re.compile(r"(?:cpu|cuda|mps|xpu)(?::[0-9]+)?")


@contextmanager
def joined_processes() -> Iterator[Processes]:
    """The processes of this launch; where another one has ended, they raise this package's ProcessError."""
    with shared.joined_processes(ProcessError) as processes:
        yield processes


def pick_device(name: str) -> torch.device:
    """`auto` is this process's own GPU, else the CPU. Raises ArgumentError for a device that is not here."""
    if name != "auto":
        return _named_device(name)
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
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
