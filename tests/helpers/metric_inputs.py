"""Networks and batches for the tests of the torchmetrics classes."""

from typing import Any

import numpy as np
import torch
from pictures import gaussian
from torch import Tensor, nn


class Identity(nn.Module):
    """Features are the images; each row depends on its own image alone."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.num_features = width

    def forward(self, images: Tensor) -> Tensor:
        return images


class Pooled(nn.Module):
    """A module without `num_features`, with dropout and a weight that a parent could reach."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 4)
        self.dropout = nn.Dropout(0.9)

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.dropout(self.layer(images.float().mean(dim=(2, 3)) / 255))
        return result


def pictures(count: int, seed: int) -> Tensor:
    coarse = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (count, 3, 5, 4), dtype=np.uint8))
    return coarse.repeat_interleave(7, dim=2).repeat_interleave(9, dim=3)


def filled(metric: Any, real: Tensor, fake: Tensor, batch: int = 1000) -> Any:
    for images, is_real in ((real, True), (fake, False)):
        for part in images.split(batch):
            metric.update(part, real=is_real)
    return metric


def rows(count: int, seed: int, **options: float) -> Tensor:
    return torch.from_numpy(gaussian(count, 6, seed=seed, **options))


def unit(features: Tensor) -> np.ndarray:
    values = features.float().numpy()
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def exact(metric: Any) -> float:
    """The value in float64; `compute` returns the default type."""
    return float(metric.estimate())
