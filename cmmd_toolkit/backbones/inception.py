"""The FID Inception network of pytorch-fid, folded and laid out for speed.

The modules and parameter names are pytorch-fid's, so its checkpoint loads as it is. Batch normalisation is folded
into the convolutions and the memory is channels-last; on the CPU pictures go through four at a time, which keeps the
activations in the cache (docs/performance.md has what each of these is worth).
"""

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_fid.inception import (
    FID_WEIGHTS_URL,
    FIDInceptionA,
    FIDInceptionC,
    FIDInceptionE_1,
    FIDInceptionE_2,
)
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.inception import BasicConv2d, Inception3

from ..common.files import sha256
from ..common.text import first_line
from ..errors import ArgumentError, WeightsError
from .base import Backbone, is_weight
from .files import INCEPTION_NAME as _WEIGHTS_NAME, torch_hub
from .preprocess import INCEPTION_PREPROCESSES

_CPU_CHUNK = 4
_POOL = "pool"
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
    with torch.device("meta"):
        network = Inception3(num_classes=1008, aux_logits=False, init_weights=False)
        for stage, patched in (
            ("Mixed_5b", FIDInceptionA(192, 32)),
            ("Mixed_5c", FIDInceptionA(256, 64)),
            ("Mixed_5d", FIDInceptionA(288, 64)),
            ("Mixed_6b", FIDInceptionC(768, 128)),
            ("Mixed_6c", FIDInceptionC(768, 160)),
            ("Mixed_6d", FIDInceptionC(768, 160)),
            ("Mixed_6e", FIDInceptionC(768, 192)),
            ("Mixed_7b", FIDInceptionE_1(1280)),
            ("Mixed_7c", FIDInceptionE_2(2048)),
        ):
            setattr(network, stage, patched)
    stages = [stage for width, names in _STAGES.items() if width <= dim for stage in names]
    _load_stages(network, [stage for stage in stages if stage != _POOL], state, dim, path)
    modules = OrderedDict(
        (f"{i}_{stage}", nn.MaxPool2d(3, 2) if stage == _POOL else _folded(getattr(network, stage)))
        for i, stage in enumerate(stages)
    )
    return nn.Sequential(modules).eval().requires_grad_(False).to(memory_format=torch.channels_last)


def _load_stages(
    network: nn.Module, stages: list[str], state: Mapping[str, torch.Tensor], dim: int, path: Path
) -> None:
    for stage in stages:
        prefix = stage + "."
        part = {key[len(prefix) :]: value.float() for key, value in state.items() if key.startswith(prefix)}
        module = network.get_submodule(stage)
        wanted = {key for key in module.state_dict() if not key.endswith("num_batches_tracked")}
        if absent := sorted(wanted - set(part)):
            raise WeightsError(
                f"{path}: lacks {prefix}{absent[0]}, which {dim} dimensions need; {_dims_that_work(state)}"
            )
        try:
            module.load_state_dict({key: part[key] for key in wanted}, strict=False, assign=True)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise WeightsError(f"{path}: {stage} is of another network ({reason})") from error
        for batch_norm in (m for m in module.modules() if isinstance(m, nn.BatchNorm2d)):
            batch_norm.num_batches_tracked = torch.tensor(0)


def _dims_that_work(state: Mapping[str, torch.Tensor]) -> str:
    complete = []
    for width, names in _STAGES.items():
        if not all(stage == _POOL or any(key.startswith(stage + ".") for key in state) for stage in names):
            break
        complete.append(width)
    return f"use `dims={complete[-1]}`" if complete else f"give a checkpoint with the names of {_WEIGHTS_NAME}"


def _folded(module: nn.Module) -> nn.Module:
    """Fold every batch normalisation into its convolution, in place."""
    module.eval()
    for block in (m for m in module.modules() if isinstance(m, BasicConv2d)):
        block.conv = fuse_conv_bn_eval(block.conv, block.bn)
        block.bn = nn.Identity()
    return module


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
