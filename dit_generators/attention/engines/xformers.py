"""Attention of every token to every token by xformers' memory-efficient kernel (CUDA only since release 0.0.22)."""

import torch
from torch import Tensor

from ...errors import AttentionError
from .foreign import imported, probe, reasoned


def xformers_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The same result as `full_attention`; raises AttentionError where xformers cannot run."""
    check_xformers(query.device, query.dtype)
    with reasoned("xformers", "full"):
        return _attend(query, key, value)


def check_xformers(device: torch.device, dtype: torch.dtype = torch.float32) -> None:
    """Raise with the reason and what to use instead: after one tiny call on this device."""
    if device.type != "cuda":
        raise AttentionError(
            f"xformers has kernels for CUDA GPUs only and this runs on {device.type}; "
            "use attention full, which computes the same"
        )
    with imported("xformers", "full", "pip install xformers"):
        from xformers.ops import memory_efficient_attention  # noqa: F401
    probe("xformers", "full", lambda tiny: _attend(tiny, tiny, tiny), device, dtype)


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    from xformers.ops import memory_efficient_attention

    # Its layout is (B, N, heads, head_dim), strides as they are where those of a head's numbers are 1: views of a qkv
    # layer go in without a copy (xformers/ops/fmha: "we only require the last dimension's stride to be 1").
    views = (x.transpose(1, 2) for x in (query, key, value))
    result: Tensor = memory_efficient_attention(*(x if x.stride(-1) == 1 else x.contiguous() for x in views))
    return result.transpose(1, 2)
