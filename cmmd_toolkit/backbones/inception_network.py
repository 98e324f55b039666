"""The layers of the FID Inception network, under the parameter names of pytorch-fid's checkpoint.

Inception v3 as TensorFlow's graph of 2015-12-05 has it: averages leave out the border, and the last block takes a
maximum in place of an average.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Size = int | tuple[int, int]


class Conv(nn.Module):
    """Convolution, batch normalisation until it is folded, ReLU."""

    def __init__(self, width: int, out: int, kernel: Size, stride: int = 1, padding: Size = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, out, kernel, stride, padding, bias=False)
        self.bn: nn.Module = nn.BatchNorm2d(out, eps=0.001)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:  # (B, width, H, W)
        return nn.functional.relu_(self.linear(maps))

    def linear(self, maps: torch.Tensor) -> torch.Tensor:
        """All but the ReLU."""
        normalised: torch.Tensor = self.bn(self.conv(maps))
        return normalised

    def fold(self) -> None:
        """Make the batch normalisation part of the convolution, in evaluation mode."""
        assert isinstance(self.bn, nn.BatchNorm2d)
        self.conv, self.bn = fuse_conv_bn_eval(self.conv.eval(), self.bn.eval()), nn.Identity()


class AveragedConv(Conv):
    """A 1 x 1 convolution of 3 x 3 averages: averaged after it, where there are fewer channels, which is the same."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        averaged = nn.functional.avg_pool2d(self.linear(maps), 3, stride=1, padding=1, count_include_pad=False)
        return nn.functional.relu_(averaged)


class Block(nn.Module):
    """Branches of layers side by side, their outputs stacked; a common beginning is computed once."""

    def __init__(self, layers: Mapping[str, nn.Module], branches: Sequence[Sequence[str]]) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self._branches = [tuple(branch) for branch in branches]

    def forward(self, maps: torch.Tensor) -> torch.Tensor:  # (B, C, H, W) -> (B, sum of branches, H, W)
        known: dict[tuple[str, ...], torch.Tensor] = {(): maps}
        for branch in self._branches:
            for length in range(1, len(branch) + 1):
                path = branch[:length]
                if path not in known:
                    known[path] = self.get_submodule(path[-1])(known[path[:-1]])
        return torch.cat([known[branch] for branch in self._branches], 1)


def grid_35(width: int, pooled: int) -> Block:
    """Mixed_5b to Mixed_5d: kernels of 1, 5 and twice 3."""
    layers = {
        "branch1x1": Conv(width, 64, 1),
        "branch5x5_1": Conv(width, 48, 1),
        "branch5x5_2": Conv(48, 64, 5, padding=2),
        **_double_3x3(width),
        "branch_pool": AveragedConv(width, pooled, 1),
    }
    return Block(layers, [["branch1x1"], ["branch5x5_1", "branch5x5_2"], _names("branch3x3dbl", 3), ["branch_pool"]])


def to_grid_17(width: int) -> Block:
    """Mixed_6a: half the height and width."""
    layers = {
        "branch3x3": Conv(width, 384, 3, stride=2),
        **_double_3x3(width, stride=2),
        "pool": nn.MaxPool2d(3, 2),
    }
    return Block(layers, [["branch3x3"], _names("branch3x3dbl", 3), ["pool"]])


def grid_17(inner: int) -> Block:
    """Mixed_6b to Mixed_6e: kernels of 7 in two steps."""
    layers = {
        "branch1x1": Conv(768, 192, 1),
        "branch7x7_1": Conv(768, inner, 1),
        "branch7x7_2": _flat(inner, inner),
        "branch7x7_3": _tall(inner, 192),
        "branch7x7dbl_1": Conv(768, inner, 1),
        "branch7x7dbl_2": _tall(inner, inner),
        "branch7x7dbl_3": _flat(inner, inner),
        "branch7x7dbl_4": _tall(inner, inner),
        "branch7x7dbl_5": _flat(inner, 192),
        "branch_pool": AveragedConv(768, 192, 1),
    }
    return Block(layers, [["branch1x1"], _names("branch7x7", 3), _names("branch7x7dbl", 5), ["branch_pool"]])


def to_grid_8() -> Block:
    """Mixed_7a: half the height and width."""
    layers = {
        "branch3x3_1": Conv(768, 192, 1),
        "branch3x3_2": Conv(192, 320, 3, stride=2),
        "branch7x7x3_1": Conv(768, 192, 1),
        "branch7x7x3_2": _flat(192, 192),
        "branch7x7x3_3": _tall(192, 192),
        "branch7x7x3_4": Conv(192, 192, 3, stride=2),
        "pool": nn.MaxPool2d(3, 2),
    }
    return Block(layers, [_names("branch3x3", 2), _names("branch7x7x3", 4), ["pool"]])


def grid_8(width: int, takes_maximum: bool) -> Block:
    """Mixed_7b and Mixed_7c: kernels of 3 in two directions side by side."""
    pool = ["pool", "branch_pool"] if takes_maximum else ["branch_pool"]
    layers: dict[str, nn.Module] = {
        "branch1x1": Conv(width, 320, 1),
        "branch3x3_1": Conv(width, 384, 1),
        "branch3x3_2a": Conv(384, 384, (1, 3), padding=(0, 1)),
        "branch3x3_2b": Conv(384, 384, (3, 1), padding=(1, 0)),
        "branch3x3dbl_1": Conv(width, 448, 1),
        "branch3x3dbl_2": Conv(448, 384, 3, padding=1),
        "branch3x3dbl_3a": Conv(384, 384, (1, 3), padding=(0, 1)),
        "branch3x3dbl_3b": Conv(384, 384, (3, 1), padding=(1, 0)),
        "pool": nn.MaxPool2d(3, 1, padding=1),
        "branch_pool": Conv(width, 192, 1) if takes_maximum else AveragedConv(width, 192, 1),
    }
    twice = _names("branch3x3dbl", 2)
    forks = [["branch3x3_1", "branch3x3_2a"], ["branch3x3_1", "branch3x3_2b"]]
    forks += [[*twice, "branch3x3dbl_3a"], [*twice, "branch3x3dbl_3b"]]
    return Block(layers, [["branch1x1"], *forks, pool])


def _double_3x3(width: int, stride: int = 1) -> dict[str, nn.Module]:
    return {
        "branch3x3dbl_1": Conv(width, 64, 1),
        "branch3x3dbl_2": Conv(64, 96, 3, padding=1),
        "branch3x3dbl_3": Conv(96, 96, 3, stride, padding=1 if stride == 1 else 0),
    }


def _flat(width: int, out: int) -> Conv:
    return Conv(width, out, (1, 7), padding=(0, 3))


def _tall(width: int, out: int) -> Conv:
    return Conv(width, out, (7, 1), padding=(3, 0))


def _names(stem: str, count: int) -> list[str]:
    return [f"{stem}_{step}" for step in range(1, count + 1)]
