"""Window attention by gathering each query's neighbours: the fewest operations, the most copies."""

import torch
from torch import Tensor

from ..neighbours import Window, additive
from ..tables import made_once


def gather_window(query: Tensor, key: Tensor, value: Tensor, window: Window) -> Tensor:
    """(B, heads, N, head_dim) -> the same shape; K and V are copied once per key in the window."""
    index, mask = _index(window, query.device), _mask(window, query.dtype, query.device)
    tokens, seen = index.shape
    lead, width = query.shape[:2], query.shape[-1]

    def gathered(x: Tensor) -> Tensor:
        return x.index_select(2, index.reshape(-1)).reshape(*lead, tokens, seen, width)

    scores = (gathered(key) @ (query * width**-0.5).unsqueeze(-1)).squeeze(-1) + mask
    return (scores.softmax(dim=-1).unsqueeze(-2) @ gathered(value)).squeeze(-2)


@made_once
def _index(window: Window, device: torch.device) -> Tensor:
    """Token numbers (N, S) of the keys of every query; S is the most that any query sees."""
    return _neighbours(window)[0].to(device)


@made_once
def _mask(window: Window, dtype: torch.dtype, device: torch.device) -> Tensor:
    """0 or -inf (N, S) for each of them: -inf where a query sees fewer."""
    return additive(_neighbours(window)[1], dtype).to(device)


def _neighbours(window: Window) -> tuple[Tensor, Tensor]:
    visible = window.mask()
    seen = int(visible.sum(dim=1).max())
    order = visible.int().sort(dim=1, descending=True, stable=True)
    return order.indices[:, :seen], order.values[:, :seen].bool()
