"""Window attention by gathering each query's neighbours: the fewest operations, the most copies."""

from functools import lru_cache

import torch
from torch import Tensor

from ..neighbours import Window, additive


def gather_window(query: Tensor, key: Tensor, value: Tensor, window: Window) -> Tensor:
    """(B, heads, N, head_dim) -> the same shape; K and V are copied once per key in the window."""
    index, mask = _neighbours(window, query.dtype, query.device)
    tokens, seen = index.shape
    lead, width = query.shape[:2], query.shape[-1]

    def gathered(x: Tensor) -> Tensor:
        return x.index_select(2, index.reshape(-1)).reshape(*lead, tokens, seen, width)

    scores = (gathered(key) @ (query * width**-0.5).unsqueeze(-1)).squeeze(-1) + mask
    return (scores.softmax(dim=-1).unsqueeze(-2) @ gathered(value)).squeeze(-2)


@lru_cache(maxsize=8)
def _neighbours(window: Window, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Token numbers (N, S) of the keys of every query, and 0 or -inf for each: S is the most that any query sees."""
    with torch.inference_mode(False):
        visible = window.mask()
        seen = int(visible.sum(dim=1).max())
        order = visible.int().sort(dim=1, descending=True, stable=True)
        index, valid = order.indices[:, :seen], order.values[:, :seen].bool()
        return index.to(device), additive(valid, dtype).to(device)
