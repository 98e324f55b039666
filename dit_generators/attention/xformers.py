"""Attention of every token to every token by xformers' memory-efficient kernel (CUDA only since release 0.0.22)."""

from functools import lru_cache

import torch
from torch import Tensor

from ..errors import AttentionError
from .foreign import reasoned


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
    try:
        from xformers.ops import memory_efficient_attention  # noqa: F401
    except Exception as error:  # a wheel for another torch fails in many ways
        raise AttentionError(
            f"xformers cannot be used here ({error}); pip install 'cmmd-toolkit[xformers]', "
            "or use attention full, which computes the same"
        ) from error
    with reasoned("xformers", "full"):
        _probe(device, dtype)


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    from xformers.ops import memory_efficient_attention

    tokens_first = (x.transpose(1, 2).contiguous() for x in (query, key, value))
    result: Tensor = memory_efficient_attention(*tokens_first)
    return result.transpose(1, 2)


@lru_cache(maxsize=8)  # of successes; a failure is tried again
def _probe(device: torch.device, dtype: torch.dtype) -> None:
    tiny = torch.zeros(1, 1, 16, 32, device=device, dtype=dtype)
    _attend(tiny, tiny, tiny)
