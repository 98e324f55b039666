"""A module of the user's behind a metric."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from ..common.text import first_line
from ..errors import ArgumentError
from .network import Network, check_dense, described
from .refusals import WrongTypeError


class ModuleFeatures(Network):
    """A frozen copy of the user's network, fed the images as they come."""

    def __init__(self, module: nn.Module, probe_size: Sequence[int], probe_float: bool, device: torch.device) -> None:
        self.module = deepcopy(module).eval().requires_grad_(False).to(device)
        self.device = device
        self._probe = torch.zeros((1, *probe_size), dtype=torch.float32 if probe_float else torch.uint8)
        self._dim = _width(module)

    @property
    def dim(self) -> int:
        """The number of features: what the module says, else that of the first batch, else of a black picture."""
        if self._dim is None:
            try:
                self._dim = self._rows(self._probe).shape[1]
            except ArgumentError:
                raise
            except Exception as error:  # whatever a module raises that wants another input
                raise ArgumentError(
                    f"feature: cannot determine the number of features from a black picture of shape "
                    f"{tuple(self._probe.shape[1:])} ({first_line(error)}); set num_features on the module, or give "
                    "the shape that it takes as input_img_size"
                ) from error
        return self._dim

    def __repr__(self) -> str:
        return f"ModuleFeatures({self.module})"

    @property
    def title(self) -> str:
        return type(self.module).__name__

    def to(self, device: torch.device) -> None:
        self.device = device
        self.module.to(device)

    def forward(self, images: Any) -> Tensor:
        check_dense(images, "images")
        if not isinstance(images, Tensor) or images.ndim < 2 or len(images) == 0:
            raise ArgumentError(f"images: expected a tensor with one or more images, got {described(images)}")
        rows = self._rows(images)
        self._dim = rows.shape[1] if self._dim is None else self._dim
        if rows.shape != (len(images), self.dim):
            raise ArgumentError(
                f"feature: expected {(len(images), self.dim)} features of {len(images)} images, "
                f"got {tuple(rows.shape)}; return one row per image, and set num_features to its width"
            )
        return rows

    def _rows(self, images: Tensor) -> Tensor:
        rows = self.module(images.to(self.device))
        check_dense(rows, "feature")
        if not isinstance(rows, Tensor) or rows.ndim not in (1, 2):
            raise ArgumentError(f"feature: expected a module that returns (N, D), got {described(rows)}")
        if rows.dtype == torch.bool or rows.is_complex():
            raise ArgumentError(f"feature: expected real numbers, got {described(rows)}; return floats")
        rows = rows.float() if rows.dtype.itemsize < 2 else rows  # eighths have no arithmetic
        return rows[None] if rows.ndim == 1 else rows


def _width(module: nn.Module) -> int | None:
    """`num_features`, as torchmetrics reads it."""
    width = getattr(module, "num_features", None)
    if isinstance(width, Tensor) and width.numel() == 1:
        return int(width)
    if width is not None and not isinstance(width, int):
        raise WrongTypeError(f"num_features: expected a number or a tensor of one, got {described(width)}")
    return width
