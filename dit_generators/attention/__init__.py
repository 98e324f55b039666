"""Attention: one contract, several engines.

Contract: query, key, value (B, heads, N, head_dim) -> (B, heads, N, head_dim). Window engines take a `Window` too.
"""

from collections.abc import Callable

from torch import Tensor

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]
