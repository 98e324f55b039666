"""The exponential moving average of a model's weights: what is sampled."""

import copy

import torch

from ..network.model import DiT


def copy_model(model: DiT) -> DiT:
    """A copy in evaluation mode that takes no gradient: the average starts as the model itself."""
    return copy.deepcopy(model).eval().requires_grad_(False)


@torch.no_grad()
def update_average(average: DiT, model: DiT, decay: float) -> None:
    """average = decay average + (1 - decay) model, for every weight."""
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)
