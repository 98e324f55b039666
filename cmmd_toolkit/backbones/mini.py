"""`mini`: a small network whose weights come with the package, for watching a run at a hundredth of the usual cost.

It was trained to predict the FID Inception's 768 features from 64 x 64 pixels (benchmarks/train_mini.py). Its numbers
rank sets much as FID does (docs/mini.md) and are comparable with nothing but themselves.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..common.files import sha256
from ..common.text import first_line
from ..errors import ArgumentError, WeightsError
from .base import Backbone, cpu_threads, is_weight
from .files import BUNDLED as BUNDLED
from .mini_network import DIM, INPUT_SIZE, ConvNorm, MiniNetwork
from .preprocess import NetworkInput, Pixels
from .remarks import MINI_REMARK

_CPU_CHUNK = 16


def load(
    name: str, weights: Path | None, model: str | None, dims: int | None, device: str, preprocessing: str | None
) -> Backbone:
    """See `load_backbone`. `weights` is a file of benchmarks/train_mini.py, None for the bundled one."""
    if model is not None:
        raise ArgumentError("model: mini has one network; leave out `model`")
    path = weights or BUNDLED
    network = _load_network(path).to(device)
    threads = max(1, torch.get_num_threads() // 2)

    def encode(inputs: torch.Tensor) -> torch.Tensor:
        with cpu_threads(threads):
            embeddings = network(inputs.contiguous(memory_format=torch.channels_last))
        return torch.nn.functional.normalize(embeddings.float(), dim=1)

    provenance = {
        "backbone": name,
        "model": "mini 1",
        "dim": DIM,
        "weights": path.name,
        "weights_sha256": sha256(path),
        "preprocessing": f"bicubic {INPUT_SIZE} x {INPUT_SIZE}",
    }
    chunk = _CPU_CHUNK if device == "cpu" else None
    return Backbone(name, "mini 1", DIM, preprocess, encode, device, provenance, (MINI_REMARK,), chunk)


def preprocess(pixels: Pixels) -> NetworkInput:
    """Antialiased bicubic to 64 x 64 on 8 bits, scaled to -1..1."""
    size = (INPUT_SIZE, INPUT_SIZE)
    small = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC), np.float32)
    return np.ascontiguousarray(small.transpose(2, 0, 1)) / np.float32(127.5) - np.float32(1)


def _load_network(path: Path) -> nn.Module:
    network = MiniNetwork()
    if path.is_dir():
        raise WeightsError(f"{path}: is a folder; give a file of mini's weights, or leave out `weights`")
    try:
        state = {key: value.float() for key, value in load_file(path).items() if is_weight(key, value)}
        counters = {key: value for key, value in network.state_dict().items() if key.endswith("num_batches_tracked")}
        network.load_state_dict({**counters, **state})
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        reason = first_line(error)
        raise WeightsError(
            f"{path}: not weights of mini ({reason}); leave out `weights` for the bundled ones"
        ) from error
    return _folded(network).requires_grad_(False).to(memory_format=torch.channels_last)


def _folded(network: nn.Module) -> nn.Module:
    """Fold each batch normalisation into its convolution."""
    network.eval()
    for layer in (module for module in network.modules() if isinstance(module, ConvNorm)):
        convolution, norm = layer
        assert isinstance(convolution, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        layer[0], layer[1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
    return network
