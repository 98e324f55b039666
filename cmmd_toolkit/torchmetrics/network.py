"""What turns images into features behind a metric: never a submodule, so no parent moves, casts, trains or saves it."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.masked import is_masked_tensor

from ..errors import ArgumentError


class Network(ABC):
    """What turns a batch of images into features. Called, as modules are: `FeatureShare` caches its `forward`."""

    training = False

    def __call__(self, images: Any) -> Tensor:
        return self.forward(images)

    @abstractmethod
    def forward(self, images: Any) -> Tensor:
        """Features (N, D)."""

    @abstractmethod
    def to(self, device: torch.device) -> None:
        """Go there."""

    @property
    @abstractmethod
    def dim(self) -> int:
        """The number of features."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What errors call it."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What must be said of its numbers."""
        return ()

    @property
    def classifier(self) -> NDArray[np.float32] | None:
        """The last layer, as `Backbone.classifier`."""
        return None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "forward"}  # a cache of FeatureShare's


def check_dense(tensor: Any, name: str) -> None:
    """Raise ArgumentError for a tensor whose numbers are not simply there; what is no tensor passes."""
    if not isinstance(tensor, Tensor):
        return
    kinds = {
        "nested": tensor.is_nested,
        "masked": is_masked_tensor(tensor),
        "sparse": tensor.layout != torch.strided,
        "quantised": tensor.is_quantized,
        "meta": tensor.is_meta,
    }
    for kind in (kind for kind, holds in kinds.items() if holds):
        raise ArgumentError(f"{name}: expected a dense tensor, got a {kind} one; convert it first")


def described(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
    return type(value).__name__
