"""`palette`: soft histograms of the three colours, by a module with weights."""

import torch
from torch import Tensor, nn


class Palette(nn.Module):
    """Uint8 pictures (B, 3, H, W) of any size to (B, 3 * bins): how much of each channel lies near each of `bins`."""

    def __init__(self, bins: int = 8) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.linspace(0, 1, bins))
        self.width = 1 / bins

    def forward(self, images: Tensor) -> Tensor:
        values = nn.functional.interpolate(images.float() / 255, (16, 16), mode="area").flatten(2)
        distance = (values[..., None] - self.centres) / self.width
        return torch.exp(-distance.square()).mean(dim=2).flatten(1)


def load_palette(weights: str | None = None) -> Palette:
    """The network, with the centres of a `torch.save` file where `weights` names one."""
    network = Palette()
    if weights is not None:
        network.load_state_dict(torch.load(weights, weights_only=True))
    return network
