"""The path of a flow from a picture to noise: its weights at a time, and what follows from a velocity on it."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from ..network.process import Flow
from .samplers import Predict

TimestepSampling = Literal["uniform", "logit-normal"]
_BETA_MIN, _BETA_MAX = 0.1, 20.0  # of the path "vp"
_FIRST_OF_VP = 1e-5  # its velocity grows without bound at 0


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
    if flow.path == "vp":
        return _variance_preserving(time)
    sine, cosine = (torch.sin, torch.cos) if isinstance(time, Tensor) else (math.sin, math.cos)
    quarter = math.pi / 2
    alpha, sigma = cosine(quarter * time), sine(quarter * time)
    return Point(alpha, sigma, -quarter * sigma, quarter * alpha)


def _variance_preserving(time: Any) -> Point:
    """log alpha = -t^2 (20 - 0.1) / 4 - 0.1 t / 2, sigma^2 = 1 - alpha^2 (Song et al., arXiv 2011.13456, eq. 33)."""
    library: Any = torch if isinstance(time, Tensor) else math
    log_alpha = -(time**2) * (_BETA_MAX - _BETA_MIN) / 4 - time * _BETA_MIN / 2
    alpha, sigma = library.exp(log_alpha), library.sqrt(-library.expm1(2 * log_alpha))
    alpha_rate = -alpha * (time * (_BETA_MAX - _BETA_MIN) + _BETA_MIN) / 2
    return Point(alpha, sigma, alpha_rate, -alpha * alpha_rate / sigma)


def training_times(uniform: Tensor, flow: Flow, sampling: TimestepSampling = "uniform") -> Tensor:
    """The times (B,) that a flow is trained at, from uniform numbers in [0, 1).

    As they are; or "logit-normal", 1 / (1 + exp(-z)) with z standard normal, more of them in the middle (Stable
    Diffusion 3, arXiv 2403.03206, eq. 19; LightningDiT). The path "vp" begins at 1e-5, as in SiT's code.
    """
    times = uniform
    if sampling == "logit-normal":
        times = torch.sigmoid(torch.special.ndtri(uniform.double())).to(uniform.dtype)
    return _FIRST_OF_VP + (1 - _FIRST_OF_VP) * times if flow.path == "vp" else times


def velocity_of(predict: Predict, x_t: Tensor, times: Tensor, flow: Flow) -> Tensor:
    """The velocity towards noise at times (B,), by a network that may count time, and point, towards the data.

    Channels beyond those of x_t, the variance that SiT's published network has and never trained, are left out.
    """
    if flow.time_towards == "noise":
        return predict(x_t, times)[:, : x_t.shape[1]]
    return -predict(x_t, 1 - times)[:, : x_t.shape[1]]
