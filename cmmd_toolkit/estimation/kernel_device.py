"""Where sums over pairs are computed: by NumPy on the CPU, which is the reference, or by torch on a device."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from ..common.arrays import is_tensor
from ..common.devices import NO_FLOAT64, resolve_device
from ..common.processes import current_processes

NUMPY = "cpu"
WORTH_A_DEVICE = 1e10  # multiplications: a third of a second of two cores, about what the first use of a GPU takes

_asked: ContextVar[str] = ContextVar("where kernels are summed", default=NUMPY)


@contextmanager
def kernels_on(device: str) -> Iterator[None]:
    """Inside, sums over all pairs (squared MMD, kernel distances, neighbours) and covariances run on a device.

    The rows are copied there once; no block of pairs is copied back. Products are of the same type as on the
    CPU, float32 ones never in TF32, and sums are float64. MPS has no float64: only the float32 blocks of a large
    squared MMD are made there, and summed on the CPU.

    Args:
        device: "cpu" for NumPy; "cuda", "cuda:1", "mps"; or "auto": a CUDA GPU where there is one and the work is large
            (10^10 multiplications). Each of several processes takes its own GPU for "cuda" and "auto".

    Raises:
        ArgumentError: no such device here. Inside, DeviceError where it has too little memory.
    """
    before = _asked.set(device if device == "auto" else resolve_device(device))
    try:
        yield
    finally:
        _asked.reset(before)


@contextmanager
def kernels_beside(*values: Any) -> Iterator[None]:
    """On the device of the first tensor among the values that is on one; as before where none is."""
    devices = (str(value.device) for value in values if is_tensor(value))
    place = next((device for device in devices if device.split(":")[0] in ("cuda", "mps", "xpu")), None)
    if place is None:
        yield
        return
    with kernels_on(place):
        yield


def device_of_kernels(dtype: Any, multiplications: float) -> str | None:
    """The device for sums with products of this type, None for NumPy. Several processes take the same road, since each
    cuts the pairs into blocks of its own size."""
    asked = _asked.get()
    if asked == NUMPY or (asked == "auto" and multiplications < WORTH_A_DEVICE):
        return None
    device = resolve_device(asked)
    usable = device != NUMPY
    if device.split(":")[0] in NO_FLOAT64:
        usable = asked != "auto" and np.dtype(dtype) != np.float64
    return _numbered(device) if all(current_processes().gather(usable)) else None


def _numbered(device: str) -> str:
    """ "cuda" with its number, which other threads would not know to be this process's."""
    if device != "cuda":
        return device
    import torch

    return f"cuda:{torch.cuda.current_device()}"


def kernels_described() -> str:
    """Where large sums are computed here, for the record of a run."""
    asked = _asked.get()
    found = NUMPY if asked == NUMPY else resolve_device(asked)
    if asked != "auto" or found == NUMPY:
        return found
    return NUMPY if found in NO_FLOAT64 else f"{found}, small ones cpu"
