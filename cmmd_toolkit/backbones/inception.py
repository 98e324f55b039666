"""The FID Inception network of pytorch-fid, folded and laid out for speed.

The parameter names are pytorch-fid's, so its checkpoint loads as it is. Batch normalisation is folded
into the convolutions and the memory is channels-last; on the CPU pictures go through four at a time, which keeps the
activations in the cache, in a thread for each four (docs/performance.md has what each of these is worth).
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..common.files import sha256
from ..common.text import first_line
from ..errors import ArgumentError, WeightsError
from .base import Backbone, is_weight
from .files import INCEPTION_NAME as _WEIGHTS_NAME, torch_hub
from .inception_network import Conv, grid_8, grid_17, grid_35, to_grid_8, to_grid_17
from .preprocess import INCEPTION_PREPROCESSES

_CPU_CHUNK = 4
FID_WEIGHTS_URL = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{_WEIGHTS_NAME}"
_POOL = "pool"
_LAYERS: dict[str, Callable[[], nn.Module]] = {
    "Conv2d_1a_3x3": lambda: Conv(3, 32, 3, stride=2),
    "Conv2d_2a_3x3": lambda: Conv(32, 32, 3),
    "Conv2d_2b_3x3": lambda: Conv(32, 64, 3, padding=1),
    "Conv2d_3b_1x1": lambda: Conv(64, 80, 1),
    "Conv2d_4a_3x3": lambda: Conv(80, 192, 3),
    "Mixed_5b": lambda: grid_35(192, 32),
    "Mixed_5c": lambda: grid_35(256, 64),
    "Mixed_5d": lambda: grid_35(288, 64),
    "Mixed_6a": lambda: to_grid_17(288),
    "Mixed_6b": lambda: grid_17(128),
    "Mixed_6c": lambda: grid_17(160),
    "Mixed_6d": lambda: grid_17(160),
    "Mixed_6e": lambda: grid_17(192),
    "Mixed_7a": to_grid_8,
    "Mixed_7b": lambda: grid_8(1280, takes_maximum=False),
    "Mixed_7c": lambda: grid_8(2048, takes_maximum=True),
    _POOL: lambda: nn.MaxPool2d(3, 2),
}
_STAGES: dict[int, tuple[str, ...]] = {
    64: ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", _POOL),
    192: ("Conv2d_3b_1x1", "Conv2d_4a_3x3", _POOL),
    768: (*(f"Mixed_{s}" for s in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e")),),
    2048: ("Mixed_7a", "Mixed_7b", "Mixed_7c"),
}


def load(
    name: str, weights: Path | None, model: str | None, dims: int | None, device: str, preprocessing: str | None
) -> Backbone:
    """See `load_backbone`."""
    dim = 2048 if dims is None else dims
    if dim not in _STAGES:
        raise ArgumentError(f"dims: inception has {', '.join(map(str, _STAGES))}, got {dim}")
    path = find_weights(weights)
    state = _read_state(path)
    network = build(state, dim, path).to(device)
    recipe = preprocessing or "pytorch-fid"

    def encode(inputs: torch.Tensor) -> torch.Tensor:
        maps: torch.Tensor = network(inputs.contiguous(memory_format=torch.channels_last))
        return maps.float().mean(dim=(2, 3))

    classifier = _classifier(state, dim, path)
    provenance = {
        "backbone": name,
        "model": "pt_inception-2015-12-05",
        "dim": dim,
        "weights": path.name,
        "weights_sha256": sha256(path),
        "preprocessing": recipe,
    }
    return Backbone(
        name,
        "inception-2015-12-05",
        dim,
        INCEPTION_PREPROCESSES[recipe],
        encode,
        device,
        provenance,
        chunk=_CPU_CHUNK if device == "cpu" else None,
        side_by_side=device == "cpu",
        read_classifier=None if classifier is None else lambda: classifier,
    )


def _classifier(state: Mapping[str, torch.Tensor], dim: int, path: Path) -> NDArray[np.float32] | None:
    """The last layer without its bias, which makes torch-fidelity's `logits_unbiased` of 2048 features."""
    weight = state.get("fc.weight")
    if weight is None or weight.ndim != 2 or weight.shape[1] != dim:
        return None
    if not weight.isfinite().all():
        raise WeightsError(f"{path}: NaN or infinity in fc.weight; fetch {_WEIGHTS_NAME} again")
    return weight.float().numpy()


def find_weights(weights: Path | None) -> Path:
    """The checkpoint: the given path, else torch's cache (where pytorch-fid keeps it), else a download."""
    if weights is not None:
        if weights.is_dir():
            weights = weights / _WEIGHTS_NAME
        if not weights.is_file():
            raise WeightsError(f"{weights}: no such weights file; give the path of {_WEIGHTS_NAME} or a .safetensors")
        return weights
    cached = cached_weights()
    if not cached.is_file():
        _download(cached)
    return cached


def cached_weights() -> Path:
    """Where torch and pytorch-fid keep the downloaded checkpoint."""
    return torch_hub() / "checkpoints" / _WEIGHTS_NAME


def build(state: Mapping[str, torch.Tensor], dim: int, path: Path) -> nn.Module:
    """The network up to `dim`, with pytorch-fid's parameters, folded, channels-last, in evaluation mode."""
    stages = [stage for width, names in _STAGES.items() if width <= dim for stage in names]
    with torch.device("meta"):
        modules = [_LAYERS[stage]() for stage in stages]
    for stage, module in zip(stages, modules, strict=True):
        if stage != _POOL:
            _load_stage(module, stage, state, dim, path)
        for layer in (part for part in module.modules() if isinstance(part, Conv)):
            layer.fold()
    return nn.Sequential(*modules).eval().requires_grad_(False).to(memory_format=torch.channels_last)


def _load_stage(module: nn.Module, stage: str, state: Mapping[str, torch.Tensor], dim: int, path: Path) -> None:
    prefix = stage + "."
    part = {key[len(prefix) :]: value.float() for key, value in state.items() if key.startswith(prefix)}
    wanted = {key for key in module.state_dict() if not key.endswith("num_batches_tracked")}
    if absent := sorted(wanted - set(part)):
        raise WeightsError(f"{path}: lacks {prefix}{absent[0]}, which {dim} dimensions need; {_dims_that_work(state)}")
    try:
        module.load_state_dict({key: part[key] for key in wanted}, strict=False, assign=True)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise WeightsError(f"{path}: {stage} is of another network ({reason})") from error


def _dims_that_work(state: Mapping[str, torch.Tensor]) -> str:
    complete = []
    for width, names in _STAGES.items():
        if not all(stage == _POOL or any(key.startswith(stage + ".") for key in state) for stage in names):
            break
        complete.append(width)
    return f"use `dims={complete[-1]}`" if complete else f"give a checkpoint with the names of {_WEIGHTS_NAME}"


def _read_state(path: Path) -> Mapping[str, torch.Tensor]:
    """A checkpoint without ever unpickling code."""
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # UnpicklingError, SafetensorError, RuntimeError (damaged zip), EOFError, OSError
        reason = first_line(error)
        raise WeightsError(f"{path}: not a readable checkpoint ({reason}); fetch {_WEIGHTS_NAME} again") from error
    if not isinstance(state, Mapping) or not all(is_weight(key, value) for key, value in state.items()):
        raise WeightsError(
            f"{path}: expected a state dict of dense real tensors; give {_WEIGHTS_NAME} or a .safetensors file"
        )
    return state


def _download(target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(FID_WEIGHTS_URL, str(target), hash_prefix="6726825d", progress=False)
    except Exception as error:  # URLError, RuntimeError (wrong hash), OSError
        raise WeightsError(
            f"inception: no weights in {target} and no download ({error}); fetch {FID_WEIGHTS_URL} elsewhere and give "
            "`weights=PATH`, or use `backbone='mini'`, which needs neither"
        ) from error
