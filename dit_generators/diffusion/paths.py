"""The path of a flow from a picture to noise: its weights at a time, and what follows from a velocity on it."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..network.process import Flow
from .samplers import Predict


@dataclass(frozen=True)
class Point:
    """A time of a path: x_t = alpha x_0 + sigma noise, and how fast both weights change there.

    Numbers, or tensors that broadcast with x_t. Source: SiT, arXiv 2401.08740, eq. 1.
    """

    alpha: Any
    sigma: Any
    alpha_rate: Any
    sigma_rate: Any

    def state(self, x_0: Tensor, noise: Tensor) -> Tensor:
        """x_t."""
        return self.alpha * x_0 + self.sigma * noise

    def velocity(self, x_0: Tensor, noise: Tensor) -> Tensor:
        """dx_t / dt for this picture and noise: what the network learns."""
        return self.alpha_rate * x_0 + self.sigma_rate * noise

    def x_0(self, x_t: Tensor, velocity: Tensor) -> Tensor:
        """The picture that state and velocity stand for: both are linear in it and in the noise."""
        return (self.sigma_rate * x_t - self.sigma * velocity) / self._determinant

    def noise(self, x_t: Tensor, velocity: Tensor) -> Tensor:
        """The noise that they stand for; the score is minus this, divided by sigma."""
        return (self.alpha * velocity - self.alpha_rate * x_t) / self._determinant

    @property
    def _determinant(self) -> Any:
        return self.alpha * self.sigma_rate - self.alpha_rate * self.sigma


def point_at(flow: Flow, time: Any) -> Point:
    """The path at a time in [0, 1], a number or a tensor: 0 is the picture, 1 the noise."""
    if flow.path == "linear":
        return Point(1 - time, time, -1.0, 1.0)
    sine, cosine = (torch.sin, torch.cos) if isinstance(time, Tensor) else (math.sin, math.cos)
    quarter = math.pi / 2
    alpha, sigma = cosine(quarter * time), sine(quarter * time)
    return Point(alpha, sigma, -quarter * sigma, quarter * alpha)


def velocity_of(predict: Predict, x_t: Tensor, times: Tensor, flow: Flow) -> Tensor:
    """The velocity towards noise at times (B,), by a network that may count time, and point, towards the data.

    Channels beyond those of x_t, the variance that SiT's published network has and never trained, are left out.
    """
    if flow.time_towards == "noise":
        return predict(x_t, times)[:, : x_t.shape[1]]
    return -predict(x_t, 1 - times)[:, : x_t.shape[1]]
