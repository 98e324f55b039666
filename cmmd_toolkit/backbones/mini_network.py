"""The network of `mini`: 64 x 64 RGB in, 256 numbers out, 1.2 million parameters."""

from itertools import pairwise

import torch
from torch import nn

INPUT_SIZE = 64
DIM = 256
WIDTHS = (24, 48, 96, 192)


class Block(nn.Module):
    """Two 3 x 3 convolutions around a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = ConvNorm(width, width)
        self.second = ConvNorm(width, width)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return torch.relu(maps + self.second(torch.relu(self.first(maps))))


class ConvNorm(nn.Sequential):
    """3 x 3 convolution and batch normalisation."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )


class MiniNetwork(nn.Module):
    """Four stages, each half the size of the one before; all but the first are averaged into the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvNorm(3, WIDTHS[0], stride=2)
        self.reduce = nn.ModuleList(ConvNorm(narrow, wide, stride=2) for narrow, wide in pairwise(WIDTHS))
        self.blocks = nn.ModuleList(Block(width) for width in WIDTHS[1:])
        self.head = nn.Linear(sum(WIDTHS[1:]), DIM)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (B, 3, 64, 64) in -1..1 to embeddings (B, 256), not normalised."""
        maps = torch.relu(self.stem(images))
        means = []
        for reduce, block in zip(self.reduce, self.blocks, strict=True):
            maps = block(torch.relu(reduce(maps)))
            means.append(maps.mean(dim=(2, 3)))
        embedding: torch.Tensor = self.head(torch.cat(means, dim=1))
        return embedding
