"""How many digits a network computes with: float32, or half of them by torch's autocast."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args

from ..common.arguments import text
from ..common.text import first_line
from ..errors import ArgumentError

Precision = Literal["fp32", "bf16", "fp16"]
FULL: Precision = "fp32"
_CPU_INSTRUCTIONS = ("avx512_bf16", "amx_bf16")  # of x86
_NAMES: tuple[Precision, ...] = get_args(Precision)


def check_precision(precision: Any) -> Precision:
    """The precision as it is, or an ArgumentError."""
    if text(precision, "precision") not in _NAMES:
        raise ArgumentError(f"precision: expected {', '.join(_NAMES[:-1])} or {_NAMES[-1]}, got {precision!r}")
    return precision  # type: ignore[no-any-return]


def check_usable(precision: Precision, device: str) -> None:
    """Raise ArgumentError where this device does not compute with it."""
    if precision == FULL:
        return
    kind = device.split(":")[0]
    if precision == "fp16" and kind == "cpu":
        raise ArgumentError("precision: fp16 runs on GPUs only, and this is a CPU; use bf16 or fp32")
    import torch

    try:
        with warnings.catch_warnings():  # where autocast does not know the type it says so and does nothing
            warnings.simplefilter("ignore")
            with torch.autocast(kind, _dtype(precision)):
                reason = "" if torch.is_autocast_enabled(kind) else "torch has no autocast to it there"
    except RuntimeError as error:
        reason = first_line(error)
    if reason:
        raise ArgumentError(f"precision: {precision} is not usable on {device} ({reason}); use fp32")


def remarks_on(precision: Precision, device: str) -> tuple[str, ...]:
    """What the user should know about it on this device."""
    if precision != "bf16" or device != "cpu":
        return ()
    import torch

    capabilities: Any = getattr(torch.cpu, "get_capabilities", dict)()  # of torch 2.11 and later
    if not capabilities.get("avx2") or any(capabilities.get(name) for name in _CPU_INSTRUCTIONS):
        return ()
    return ("bf16: this CPU has no instructions for it and takes longer than in fp32; use fp32 here",)


@contextmanager
def computing_in(precision: Precision, device: str) -> Iterator[None]:
    """The products and convolutions of a network in this precision; what a program cast to before does not count."""
    import torch

    kind = device.split(":")[0]
    if precision == FULL and not torch.is_autocast_enabled(kind):
        yield
        return
    dtype = None if precision == FULL else _dtype(precision)
    with torch.autocast(kind, dtype, enabled=precision != FULL):
        yield


def _dtype(precision: Precision) -> Any:
    import torch

    return torch.bfloat16 if precision == "bf16" else torch.float16
