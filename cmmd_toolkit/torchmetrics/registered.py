"""A backbone of the registry behind a metric."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..backbones.base import Backbone
from ..backbones.own_names import Own
from ..backbones.preprocess import Pixels
from ..backbones.registry import load_backbone
from ..common.threads import default_workers
from ..errors import ArgumentError
from .network import Network, check_dense, described

_BATCH = 32  # as in `compare`: the rounding of a network depends on how many pictures it is fed at a time
_shared: "WeakValueDictionary[tuple[str, ...], Backbone]" = WeakValueDictionary()  # one copy for all metrics


@dataclass
class Registered(Network):
    """A backbone by its name; it is loaded again on another device and after unpickling."""

    name: str
    weights: str | Path | None
    model: str | None
    dims: int | None
    preprocessing: str | None
    normalize: bool
    truncate: bool
    device: str
    own: Own | None = None
    loaded: Backbone | None = field(default=None, repr=False)

    @property
    def backbone(self) -> Backbone:
        if self.loaded is None or self.loaded.device != self.device:
            parts = (self.name, self.weights, self.model, self.dims, self.preprocessing, self.device)
            key = tuple(map(str, parts))
            self.loaded = (_shared.get(key) if self.own is None else None) or self._load()
            if self.own is None:  # names of the user's own may mean several networks
                _shared[key] = self.loaded
        return self.loaded

    def _load(self) -> Backbone:
        if self.own is not None:
            return self.own.load(self.device, self.weights)
        return load_backbone(
            self.name,
            weights=self.weights,
            model=self.model,
            dims=self.dims,
            device=self.device,
            preprocessing=self.preprocessing,
        )

    @property
    def dim(self) -> int:
        """The number of features."""
        return self.backbone.dim

    @property
    def classifier(self) -> NDArray[np.float32] | None:
        """As `Backbone.classifier`."""
        return self.backbone.classifier

    @property
    def title(self) -> str:
        return f"backbone {self.name}"

    @property
    def remarks(self) -> tuple[str, ...]:
        return self.backbone.remarks

    def ready(self) -> "Registered":
        """Loaded: what is wrong with its weights is said now."""
        _ = self.backbone
        return self

    def to(self, device: torch.device) -> None:
        self.device = str(device)

    def forward(self, images: Any) -> Tensor:
        pixels = _as_pixels(images, self.normalize, self.truncate)
        backbone = self.backbone
        parts = []
        with ThreadPoolExecutor(min(default_workers(), len(pixels))) as pool:
            for start in range(0, len(pixels), _BATCH):
                inputs = list(pool.map(backbone.preprocess, pixels[start : start + _BATCH]))
                parts.append(torch.from_numpy(backbone.embed(inputs)))
        return torch.cat(parts)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "loaded": None}


def _as_pixels(images: Any, normalize: bool, truncate: bool) -> Pixels:
    """uint8 (N, H, W, 3) from a tensor (N, 3, H, W), or an ArgumentError that says what was given."""
    check_dense(images, "images")
    wanted = "a float tensor (N, 3, H, W) in 0..1" if normalize else "a uint8 tensor (N, 3, H, W)"
    if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape:
        raise ArgumentError(
            f"images: expected {wanted}, got {described(images)}; grey ones become RGB by images.expand(-1, 3, -1, -1)"
        )
    if images.is_floating_point() != normalize or not (normalize or images.dtype == torch.uint8):
        other = "for uint8 give normalize=False" if normalize else "for floats in 0..1 give normalize=True"
        raise ArgumentError(f"images: expected {wanted}, got {described(images)}; {other}")
    if normalize:
        images = _quantised(images.detach().float(), truncate)
    pixels: Pixels = images.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pixels


def _quantised(images: Tensor, truncate: bool) -> Tensor:
    """0..1 to the nearest of 0..255; torchmetrics' own rule is to round down."""
    low, high = (float(value) for value in images.aminmax())
    if not (low >= 0 and high <= 1):
        raise ArgumentError(
            f"images: expected values in 0..1 (normalize=True), got {low:.4g} to {high:.4g}; "
            "clamp them, or rescale -1..1 by (images + 1) / 2"
        )
    scaled = images * 255
    return (scaled if truncate else scaled.round()).to(torch.uint8)
