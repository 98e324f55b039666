"""Attention of every token to every token by xformers' memory-efficient kernel (CUDA only since release 0.0.22)."""

import torch
from torch import Tensor

from ..errors import AttentionError


def xformers_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The same result as `full_attention`; raises AttentionError where xformers cannot run."""
    check_xformers(query.device)
    from xformers.ops import memory_efficient_attention

    tokens_first = (x.transpose(1, 2).contiguous() for x in (query, key, value))
    result: Tensor = memory_efficient_attention(*tokens_first)
    return result.transpose(1, 2)


def check_xformers(device: torch.device) -> None:
    """Raise with the reason and what to use instead."""
    if device.type != "cuda":
        raise AttentionError(
            f"xformers has kernels for CUDA GPUs only and this runs on {device.type}; "
            "use attention full, which computes the same"
        )
    try:
        from xformers.ops import memory_efficient_attention  # noqa: F401
    except ImportError as error:
        raise AttentionError(
            f"xformers cannot be used here ({error}); pip install 'cmmd-toolkit[xformers]', "
            "or use attention full, which computes the same"
        ) from error
