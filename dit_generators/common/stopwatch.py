"""How long a call takes on the device that it runs on."""

import time
from collections.abc import Callable

import torch


def seconds_of(call: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call: on CUDA between two events of its stream, before and after which the device is idle.

    Elsewhere by the clock, which is right where a call has ended when it returns, as on a CPU.
    """
    if device.type != "cuda":
        start = time.perf_counter()
        call()
        return time.perf_counter() - start
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    stream = torch.cuda.current_stream(device)
    torch.cuda.synchronize(device)
    first.record(stream)
    call()
    last.record(stream)
    torch.cuda.synchronize(device)
    return float(first.elapsed_time(last)) / 1000
