"""Devices: which one a name means, and products in full float32 on each."""

import ctypes
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ..errors import ArgumentError, DeviceError
from .arguments import text
from .text import first_line

NO_FLOAT64 = ("mps",)
# of NVIDIA, of NVIDIA's boards, of AMD, and of Windows below a Linux
_DRIVERS = ("/dev/nvidiactl", "/dev/nvidia0", "/sys/module/nvidia", "/dev/nvmap", "/dev/kfd", "/dev/dxg")


def resolve_device(device: str) -> str:
    """ "auto" takes CUDA, then MPS, then the CPU; anything else must exist. Imports torch only where it has to."""
    if text(device, "device") == "cpu" or (device == "auto" and "torch" not in sys.modules and _has_only_a_cpu()):
        return "cpu"
    import torch

    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0].split(". ")[0]
        known = "" if reason.startswith("Expected one of") else f" ({reason})"
        raise ArgumentError(
            f"device {device}: not usable here{known}; expected auto, cpu, cuda, cuda:1 or mps"
        ) from error
    return device


def _has_only_a_cpu() -> bool:
    """Whether no torch could find another device: a Linux without a driver for one, and without CUDA's library."""
    if sys.platform != "linux" or any(Path(place).exists() for place in _DRIVERS):
        return False
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return True
    return False


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch says that a device has no memory left: CUDA by the type of the error, MPS by its text."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "out of memory" in str(error).lower()
    )


@contextmanager
def memory_of(device: str, advice: str) -> Iterator[None]:
    """Turn what torch raises where a device has no memory left into a DeviceError of one line."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise DeviceError(f"device {device}: not enough memory ({first_line(error)}); {advice}") from error


@contextmanager
def full_float32() -> Iterator[None]:
    """Products of float32 in float32, whatever the program allows elsewhere: TF32 and bfloat16 show in the third digit
    of a FID. On leaving, everything is as it was."""
    import torch

    operations = float32_operations()
    with ExitStack() as settings:  # what is first here is set back last, since the old names also change the new ones
        for operation in operations:
            settings.callback(setattr, operation, "fp32_precision", operation.fp32_precision)
        _switch_off_by_old_names(settings)
        for operation in operations:
            operation.fp32_precision = "ieee"
        cudnn: Any = torch.backends.cudnn
        for name, wanted in (("deterministic", True), ("benchmark", False)):
            settings.callback(setattr, cudnn, name, getattr(cudnn, name))
            setattr(cudnn, name, wanted)
        yield


def float32_operations(rooms: Sequence[str] = ("cuda", "cudnn", "mkldnn")) -> list[Any]:
    """What in these rooms has a precision of its own for float32; nothing in torch 2.8, with its old names only."""
    import torch

    backends: Any = torch.backends
    own = ("cuda.matmul", "cudnn.conv", "cudnn.rnn", "mkldnn.matmul", "mkldnn.conv", "mkldnn.rnn")
    places = [place for place in own if place.partition(".")[0] in rooms]
    found = [getattr(getattr(backends, room), name, None) for room, name in (place.split(".") for place in places)]
    return [own for own in found if hasattr(own, "fp32_precision")]


def _switch_off_by_old_names(settings: ExitStack) -> None:
    """The same through torch's older settings, which other code may read meanwhile. They refuse to be read where a
    program has used the new ones, and are then left alone."""
    import torch

    cudnn: Any = torch.backends.cudnn
    setters: tuple[tuple[Callable[[], Any], Callable[[Any], None], Any], ...] = (
        (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest"),
        (lambda: cudnn.allow_tf32, lambda value: setattr(cudnn, "allow_tf32", value), False),
    )
    for read, write, wanted in setters:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                before = read()
            except RuntimeError:
                continue
            settings.callback(_quietly, write, before)
            write(wanted)


def _quietly(write: Callable[[Any], None], value: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write(value)
