"""Which keys a query sees: the window, described for each axis of the token grid on its own."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Border = Literal["shift", "truncate"]


@dataclass(frozen=True)
class Window:
    """A 2-D sliding window over a grid of tokens; a query sees the product of its row and column neighbours.

    border "shift": near an edge the window moves inwards, so that every query sees rows x columns keys
    (NATTEN, Hassani et al. 2023). "truncate": the window stays centred and what lies outside is left out.
    """

    grid: tuple[int, int]
    size: tuple[int, int]
    border: Border

    @property
    def tokens(self) -> int:
        """Number of tokens N."""
        return self.grid[0] * self.grid[1]

    def visible(self, axis: int) -> Tensor:
        """bool (L, L): entry [q, k] says whether position q sees position k along the axis."""
        length, size = self.grid[axis], self.size[axis]
        positions = torch.arange(length)
        centres = positions.clamp(size // 2, length - 1 - size // 2) if self.border == "shift" else positions
        return (positions[None, :] - centres[:, None]).abs() <= size // 2

    def mask(self) -> Tensor:
        """bool (N, N): entry [q, k] says whether token q sees token k (tokens in row-major order)."""
        rows, columns = self.visible(0), self.visible(1)
        return (rows[:, None, :, None] & columns[None, :, None, :]).reshape(self.tokens, self.tokens)


def additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where the mask is true, -inf elsewhere: what softmax adds to its scores."""
    return torch.zeros(mask.shape, dtype=dtype).masked_fill_(~mask, float("-inf"))
