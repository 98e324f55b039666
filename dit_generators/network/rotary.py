"""Rotary positions on a grid: queries and keys turn by angles of their row and their column."""

import torch
from torch import Tensor, nn

_BASE = 10000.0


class RotaryPositions(nn.Module):
    """Queries or keys (B, heads, N, head_dim) -> the same, pairs of neighbouring channels turned.

    Channels 2 i and 2 i + 1 turn by p w_i, w_i = 10000^(-2 i / (head_dim / 2)): p is the row in the first half of the
    channels and the column in the second (Su et al., arXiv 2104.09864, eq. 34, on two axes as in EVA-02, 2303.11331).
    The tables, (N, head_dim) in row-major order, are saved with the weights under the names of LightningDiT.
    """

    freqs_cos: Tensor
    freqs_sin: Tensor

    def __init__(self, head_dim: int, grid: tuple[int, int]) -> None:
        super().__init__()
        half = head_dim // 2
        frequencies = _BASE ** (-torch.arange(0, half, 2, dtype=torch.float64) / half)
        rows, columns = (torch.arange(length, dtype=torch.float64)[:, None] * frequencies for length in grid)
        axes = (rows[:, None].expand(*grid, -1), columns[None].expand(*grid, -1))
        angles = torch.cat(axes, dim=-1).repeat_interleave(2, dim=-1).flatten(0, 1)
        self.register_buffer("freqs_cos", angles.cos().float())
        self.register_buffer("freqs_sin", angles.sin().float())

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.unflatten(-1, (-1, 2)).unbind(-1)
        turned = torch.stack([-second, first], dim=-1).flatten(-2)
        return x * self.freqs_cos + turned * self.freqs_sin
