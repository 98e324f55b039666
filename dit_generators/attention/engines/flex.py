"""Window attention by torch's FlexAttention: compiled on first use; on a CPU for inference only."""

import os
import shutil
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ...errors import AttentionError
from ..neighbours import Window
from .foreign import probe, reasoned


def flex_window(query: Tensor, key: Tensor, value: Tensor, window: Window) -> Tensor:
    """(B, heads, N, head_dim) -> the same shape."""
    check_flex(query.device, query.dtype)
    needs_gradient = torch.is_grad_enabled() and any(x.requires_grad for x in (query, key, value))
    if query.device.type == "cpu" and needs_gradient:
        raise AttentionError("FlexAttention has no gradient on a CPU; use attention swa, which has one everywhere")
    with reasoned("FlexAttention", "swa"):
        return _attend(query, key, value, window)


def check_flex(device: torch.device, dtype: torch.dtype = torch.float32) -> None:
    """Raise with the reason and what to use instead: after one tiny call on this device, which is compiled."""
    if device.type == "cpu" and not any(map(shutil.which, (os.environ.get("CXX", "c++"), "g++", "clang++"))):
        raise AttentionError(
            "FlexAttention compiles itself and finds no C++ compiler; install g++, or use attention swa"
        )
    tiny_window = Window((4, 4), (3, 3), "shift")
    probe("FlexAttention", "swa", lambda tiny: _attend(tiny, tiny, tiny, tiny_window), device, dtype)


def _attend(query: Tensor, key: Tensor, value: Tensor, window: Window) -> Tensor:
    from torch._dynamo import maybe_mark_dynamic

    inputs = [x if x.stride(-1) == 1 else x.contiguous() for x in (query, key, value)]
    for x in inputs:
        maybe_mark_dynamic(x, 0)  # one kernel for all batches of two or more
    result: Tensor = _compiled()(*inputs, block_mask=_block_mask(window, query.device))
    return result


@lru_cache(maxsize=1)
def _compiled() -> Any:
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention, dynamic=False)


@lru_cache(maxsize=8)
def _block_mask(window: Window, device: torch.device) -> Any:
    from torch.nn.attention.flex_attention import create_block_mask

    rows, columns = window.visible(0).to(device), window.visible(1).to(device)
    width = window.grid[1]

    def sees(_batch: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return rows[query // width, key // width] & columns[query % width, key % width]

    return create_block_mask(sees, None, None, window.tokens, window.tokens, device=str(device))
