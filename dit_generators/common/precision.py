"""The arithmetic of a network: float32, or bfloat16 or float16 by autocast; and TF32, allowed and taken back."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, Literal

import torch

from cmmd_toolkit.common.devices import float32_operations

Precision = Literal["fp32", "bf16", "fp16"]
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[Any]:
    """The context in which a network runs in this precision."""
    return nullcontext() if precision == "fp32" else torch.autocast(device.type, TYPES[precision])


@contextmanager
def kept_casts(precision: Precision, device: torch.device) -> Iterator[None]:
    """Cast the weights once, not at every call: autocast forgets its copies where its outermost context ends.

    So this context lies around all calls. It leaves autocast as it is, off as a rule, for whatever else runs in it.
    """
    if precision == "fp32":
        yield
        return
    kind = device.type
    with torch.autocast(kind, torch.get_autocast_dtype(kind), enabled=torch.is_autocast_enabled(kind)):
        yield


@contextmanager
def float32_products(*, tf32: bool) -> Iterator[None]:
    """Whether GPUs may multiply float32 in TF32, in matrix products and in cuDNN; afterwards all is as it was."""
    operations = float32_operations(("cuda", "cudnn"))
    backends: Any = torch.backends
    old = () if operations else (backends.cuda.matmul, backends.cudnn)  # the names of torch 2.8
    with ExitStack() as settings:
        for place in operations:
            settings.callback(setattr, place, "fp32_precision", place.fp32_precision)
            place.fp32_precision = "tf32" if tf32 else "ieee"
        for place in old:
            settings.callback(setattr, place, "allow_tf32", place.allow_tf32)
            place.allow_tf32 = tf32
        yield
