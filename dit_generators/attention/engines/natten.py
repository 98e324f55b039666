"""Window attention by NATTEN's kernels, where that package is installed: border shift only."""

import importlib.util
import sys

import torch
from torch import Tensor

from ...errors import AttentionError
from ..neighbours import Window
from .foreign import imported, probe, reasoned


def natten_window(query: Tensor, key: Tensor, value: Tensor, window: Window, dilation: int = 1) -> Tensor:
    """(B, heads, N, head_dim) -> the same shape; a dilated window is one call, on the whole grid."""
    check_natten(window, query.device, query.dtype)
    with reasoned("NATTEN", "swa"):
        return _attend(query, key, value, window, dilation)


def check_natten(window: Window, device: torch.device, dtype: torch.dtype = torch.float32) -> None:
    """Raise with the reason and what to use instead: after one tiny call on this device."""
    if window.border != "shift":
        raise AttentionError(f"NATTEN supports border shift only, not {window.border}; use attention swa")
    if min(window.size) == 1:
        raise AttentionError("NATTEN takes windows of 2 tokens or more along each axis; use attention swa")
    with imported("NATTEN", "swa", "pip install natten"):
        import natten  # noqa: F401
    tiny_window = Window((4, 4), (3, 3), "shift")
    probe("NATTEN", "swa", lambda tiny: _attend(tiny, tiny, tiny, tiny_window), device, dtype)


def natten_may_work(device: torch.device, window: Window) -> bool:
    """Whether NATTEN is installed and has kernels of its own (not its slow fallback) for this."""
    installed = "natten" in sys.modules or importlib.util.find_spec("natten") is not None
    return device.type == "cuda" and window.border == "shift" and min(window.size) > 1 and installed


def _attend(query: Tensor, key: Tensor, value: Tensor, window: Window, dilation: int = 1) -> Tensor:
    from natten import na2d

    # NATTEN's layout is (B, rows, columns, heads, head_dim); what its kernels want contiguous it copies itself.
    inputs = (x.transpose(1, 2).unflatten(1, window.grid) for x in (query, key, value))
    result: Tensor = na2d(*inputs, kernel_size=window.size, dilation=dilation)
    return result.flatten(1, 2).transpose(1, 2)
