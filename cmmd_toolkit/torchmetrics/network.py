"""The network behind a metric: a backbone of the registry or a module of the caller's, never a submodule."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn
from torch.masked import is_masked_tensor

from ..backbones.base import Backbone
from ..backbones.preprocess import Pixels
from ..backbones.registry import load_backbone, spec_of
from ..common.threads import default_workers
from ..errors import ArgumentError
from ..sets.recipes import Recipe

_BATCH = 32  # as in `compare`: the rounding of a network depends on how many pictures it is fed at a time
_shared: "WeakValueDictionary[tuple[str, ...], Backbone]" = WeakValueDictionary()  # one copy for all metrics


@dataclass
class Registered:
    """A backbone of the registry; it is loaded again on another device and after unpickling."""

    name: str
    weights: str | Path | None
    model: str | None
    dims: int | None
    preprocessing: str | None
    normalize: bool
    truncate: bool
    device: str
    loaded: Backbone | None = field(default=None, repr=False)

    @property
    def backbone(self) -> Backbone:
        if self.loaded is None or self.loaded.device != self.device:
            parts = (self.name, self.weights, self.model, self.dims, self.preprocessing, self.device)
            key = tuple(map(str, parts))
            self.loaded = _shared.get(key) or load_backbone(
                self.name,
                weights=self.weights,
                model=self.model,
                dims=self.dims,
                device=self.device,
                preprocessing=self.preprocessing,
            )
            _shared[key] = self.loaded
        return self.loaded

    @property
    def dim(self) -> int:
        return self.backbone.dim

    @property
    def title(self) -> str:
        return f"backbone {self.name}"

    @property
    def remarks(self) -> tuple[str, ...]:
        return self.backbone.remarks

    def to(self, device: torch.device) -> None:
        self.device = str(device)

    def embed(self, images: Any) -> Tensor:
        pixels = _as_pixels(images, self.normalize, self.truncate)
        backbone = self.backbone
        parts = []
        with ThreadPoolExecutor(min(default_workers(), len(pixels))) as pool:
            for start in range(0, len(pixels), _BATCH):
                inputs = list(pool.map(backbone.preprocess, pixels[start : start + _BATCH]))
                parts.append(torch.from_numpy(backbone.embed(inputs)))
        return torch.cat(parts)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "loaded": None}


class ModuleFeatures:
    """A frozen copy of the user's network, fed the images as they come."""

    remarks: tuple[str, ...] = ()

    def __init__(self, module: nn.Module, probe_size: Sequence[int], probe_float: bool, device: torch.device) -> None:
        self.module = deepcopy(module).eval().requires_grad_(False).to(device)
        self.device = device
        width = getattr(module, "num_features", None)
        if width is None:
            probe = torch.zeros((1, *probe_size), dtype=torch.float32 if probe_float else torch.uint8)
            width = self._rows(probe).shape[1]
        self.dim = int(width)

    @property
    def title(self) -> str:
        return type(self.module).__name__

    def to(self, device: torch.device) -> None:
        self.device = device
        self.module.to(device)

    def embed(self, images: Any) -> Tensor:
        check_dense(images, "images")
        if not isinstance(images, Tensor) or images.ndim < 2 or len(images) == 0:
            raise ArgumentError(f"images: expected a tensor with one or more images, got {_described(images)}")
        rows = self._rows(images)
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
            raise ArgumentError(f"feature: expected a module that returns (N, D), got {_described(rows)}")
        if rows.dtype == torch.bool or rows.is_complex():
            raise ArgumentError(f"feature: expected real numbers, got {_described(rows)}; return floats")
        rows = rows.float() if rows.dtype.itemsize < 2 else rows  # eighths have no arithmetic
        return rows[None] if rows.ndim == 1 else rows


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


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
    return type(value).__name__


def _as_pixels(images: Any, normalize: bool, truncate: bool) -> Pixels:
    """uint8 (N, H, W, 3) from a tensor (N, 3, H, W), or an ArgumentError that says what was given."""
    check_dense(images, "images")
    wanted = "a float tensor (N, 3, H, W) in 0..1" if normalize else "a uint8 tensor (N, 3, H, W)"
    if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape:
        raise ArgumentError(
            f"images: expected {wanted}, got {_described(images)}; grey ones become RGB by images.expand(-1, 3, -1, -1)"
        )
    if images.is_floating_point() != normalize or not (normalize or images.dtype == torch.uint8):
        other = "for uint8 give normalize=False" if normalize else "for floats in 0..1 give normalize=True"
        raise ArgumentError(f"images: expected {wanted}, got {_described(images)}; {other}")
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


def network_of(
    feature: Any,
    recipe: Recipe,
    metric: str,
    default: str,
    options: dict[str, Any],
    normalize: bool,
    input_img_size: Sequence[int],
) -> Callable[[torch.device], Registered | ModuleFeatures]:
    """The network that the constructor's arguments name, to be put on a device; they are checked here."""
    if metric not in recipe.metrics:
        raise ArgumentError(f"recipe {recipe.name} does not define {metric}; it computes {', '.join(recipe.metrics)}")
    if isinstance(feature, nn.Module):
        given = [name for name, value in options.items() if value is not None]
        if given or recipe.backbone is not None:
            given = given or ["recipe"]
            raise ArgumentError(f"feature: expected a module alone, got {given[0]} too; leave one of them out")
        module = feature
        return lambda device: ModuleFeatures(module, input_img_size, normalize, device)
    name = options["backbone"] or recipe.backbone or default
    family = spec_of(name).name
    if recipe.backbone not in (None, family):
        raise ArgumentError(f"recipe {recipe.name} is defined on {recipe.backbone}, not on {name}; leave out backbone")
    if None not in (options["preprocessing"], recipe.preprocessing):
        raise ArgumentError(f"recipe {recipe.name} fixes the preprocessing; leave out recipe or preprocessing")
    return lambda device: Registered(
        name,
        options["weights"],
        options["model"] or recipe.model,
        _dims(feature, options["dims"]),
        options["preprocessing"] or recipe.preprocessing,
        normalize,
        recipe.name == "torchmetrics",
        str(device),
    )


def _dims(feature: Any, dims: int | None) -> int | None:
    """`feature` as a number is Inception's `dims`."""
    if feature is None:
        return dims
    if isinstance(feature, bool) or not isinstance(feature, int):
        raise ArgumentError(f"feature: expected 64, 192, 768, 2048 or an nn.Module, got {feature!r}")
    if dims not in (None, feature):
        raise ArgumentError(f"feature and dims: expected one of them, got {feature} and {dims}; leave out dims")
    return feature
