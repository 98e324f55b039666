"""Bounds of squared distances on a device of torch: blocks stay there, and only pairs that may count come back."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ..common.devices import memory_of
from .blocks import Pair
from .device_rows import Uploaded, as_tensor
from .pair_distances import Bounds, Float, Index, Near, Pairs
from .streamed_rows import StreamedRows

if TYPE_CHECKING:
    from torch import Tensor

_ADVICE = "free some of it, or give `device='cpu'`"


class DeviceBounds(Bounds):
    """As `Bounds`, by products on a device."""

    def __init__(self, pairs: Pairs, dtype: type[np.floating[Any]], device: str) -> None:
        super().__init__(pairs, dtype)
        self.device = device
        with memory_of(device, _ADVICE):
            first = self._placed(self.sides[0])
            self.placed = first, first if pairs.first is pairs.second else self._placed(self.sides[1])
            self.placed_lows = [as_tensor(own).to(device) for own in self.lows]

    def _placed(self, rows: Any) -> Uploaded:
        return Uploaded(StreamedRows(rows, self.centre.astype(np.float64), self.dtype, self.scale), self.device)

    def block(self, part: Pair) -> "Tensor":
        i, j = part
        with memory_of(self.device, _ADVICE):
            block = self.placed[0][i] @ self.placed[1][j].T
        block *= -2.0
        block += self.placed_lows[0][i, None]
        block += self.placed_lows[1][j]
        return block

    def leave_out(self, block: Any, rows: Index, columns: Index) -> None:
        block[as_tensor(rows).to(self.device), as_tensor(columns).to(self.device)] = np.inf

    def kth_smallest(self, block: Any, gaps: Any, k: int) -> Float:
        with memory_of(self.device, _ADVICE):
            kth = (block + as_tensor(gaps).to(self.device)).kthvalue(k, dim=1).values
        found: Float = kth.cpu().numpy().astype(np.float64)
        return found

    def within(self, block: Any, part: Pair, limits: Float) -> Near:
        with memory_of(self.device, _ADVICE):
            near = block <= as_tensor(self.scaled(limits)).to(self.device)
            i, j = near.nonzero(as_tuple=True)
            lower = block[i, j].cpu().numpy()
        return self.bounded(part, i.cpu().numpy(), j.cpu().numpy(), lower)
