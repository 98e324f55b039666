"""Attention with its softmax matrix written out: the baseline of published comparisons and the oracle of the tests."""

from torch import Tensor


def naive_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(Q K^T / sqrt(head_dim)) V for (B, heads, N, head_dim); memory grows with N squared."""
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
    return scores.softmax(dim=-1) @ value
