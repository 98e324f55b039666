"""Positions, timesteps and labels as vectors."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

_MAX_PERIOD = 10000
_FREQUENCY_SIZE = 256


def position_table(hidden_size: int, grid: tuple[int, int]) -> NDArray[np.float64]:
    """(rows * columns, D) sine-cosine table: the first D/2 dimensions hold the column, the others the row."""
    rows, columns = np.meshgrid(np.arange(grid[0]), np.arange(grid[1]), indexing="ij")
    return np.concatenate([_sines(hidden_size // 2, columns), _sines(hidden_size // 2, rows)], axis=1)


def _sines(size: int, positions: NDArray[np.int64]) -> NDArray[np.float64]:
    """[sin(p w_i), cos(p w_i)] with w_i = 10000^(-i / (size / 2)), float64."""
    frequencies = _MAX_PERIOD ** (-np.arange(size // 2, dtype=np.float64) / (size / 2))
    angles = positions.reshape(-1, 1) * frequencies
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def timestep_frequencies(timesteps: Tensor, size: int = _FREQUENCY_SIZE) -> Tensor:
    """float32 (B, size): [cos(t f_i), sin(t f_i)] with f_i = exp(-ln(10000) i / (size / 2))."""
    half = size // 2
    steps = torch.arange(half, dtype=torch.float32, device=timesteps.device)
    angles = timesteps[:, None].float() * torch.exp(-math.log(_MAX_PERIOD) * steps / half)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class TimestepEmbedder(nn.Module):
    """Timesteps (B,) -> vectors (B, D) through two linear layers."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(_FREQUENCY_SIZE, hidden_size), nn.SiLU(), nn.Linear(hidden_size, hidden_size)
        )

    def forward(self, timesteps: Tensor) -> Tensor:
        return self.mlp(timestep_frequencies(timesteps).to(next(self.parameters()).dtype))


class LabelEmbedder(nn.Module):
    """Labels (B,) -> vectors (B, D); row num_classes of the table is the null label, where dropout needs one."""

    def __init__(self, num_classes: int, hidden_size: int, dropout_prob: float) -> None:
        super().__init__()
        table = torch.zeros(num_classes + (dropout_prob > 0), hidden_size)  # DiT.initialise draws it
        self.embedding_table = nn.Embedding.from_pretrained(table, freeze=False)
        self.num_classes = num_classes
        self.dropout_prob = dropout_prob

    def forward(self, labels: Tensor, drop: Tensor | None = None) -> Tensor:
        """`drop` (B,), true where the label becomes the null label; by chance when training and not given."""
        if drop is None and self.training and self.dropout_prob > 0:
            drop = torch.rand(len(labels), device=labels.device) < self.dropout_prob
        if drop is not None:
            labels = torch.where(drop.bool(), self.num_classes, labels)
        return self.embedding_table(labels)
