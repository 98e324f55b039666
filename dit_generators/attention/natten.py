"""Window attention by NATTEN's kernels, where that package is installed: border shift only."""

import torch
from torch import Tensor

from ..errors import AttentionError
from .foreign import reasoned
from .neighbours import Window


def natten_window(query: Tensor, key: Tensor, value: Tensor, window: Window) -> Tensor:
    """(B, heads, N, head_dim) -> the same shape."""
    check_natten(window)
    with reasoned("NATTEN", "swa"):
        return _attend(query, key, value, window)


def check_natten(window: Window) -> None:
    """Raise with the reason and what to use instead."""
    if window.border != "shift":
        raise AttentionError(f"NATTEN shifts the window at borders and has no {window.border}; use attention swa")
    try:
        import natten  # noqa: F401
    except Exception as error:  # a wheel for another torch fails in many ways
        raise AttentionError(
            f"NATTEN cannot be used here ({error}); pip install natten, or use attention swa, which computes the same"
        ) from error


def natten_works(device: torch.device, window: Window) -> bool:
    """Whether NATTEN's own kernels (not its slow fallback) can run."""
    if device.type != "cuda":
        return False
    try:
        check_natten(window)
    except AttentionError:
        return False
    return True


def _attend(query: Tensor, key: Tensor, value: Tensor, window: Window) -> Tensor:
    from natten import na2d

    rows, columns = window.grid
    # NATTEN's layout is (B, rows, columns, heads, head_dim); its kernels want contiguous inputs.
    inputs = (x.transpose(1, 2).unflatten(1, (rows, columns)).contiguous() for x in (query, key, value))
    result: Tensor = na2d(*inputs, kernel_size=window.size)
    return result.flatten(1, 2).transpose(1, 2)
