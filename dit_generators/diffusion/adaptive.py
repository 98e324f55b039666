"""The ODE of a flow by Dormand and Prince's method: each image takes the steps that its own error asks for."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ..errors import SamplingError
from ..network.process import Flow
from .flow import last_time
from .paths import point_at, velocity_of
from .samplers import Predict, Step

# Dormand & Prince 1980, table 2: where the slopes after the first are taken, from which before, and the weights
# of the fifth order, in which the last slope is the next step's first; less those of the fourth order.
_AT = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_FROM: tuple[tuple[float, ...], ...] = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
_SAFETY, _SLOWEST, _FASTEST = 0.9, 0.2, 10.0  # how a step follows the one before
_SMALLEST = 1e-6  # step: times are float32
_MOST = 1e9  # steps that are left


def dopri5(predict: Predict, x_t: Tensor, flow: Flow, rtol: float = 1e-3, atol: float = 1e-6) -> Iterator[Step]:
    """The probability flow ODE by the pair of fifth and fourth order (Dormand & Prince 1980; Hairer et al., II.4).

    A step is taken where the root mean square of error / (atol + rtol |x|) over an image is 1 or less. Images do not
    wait for each other's error: each has a time of its own. Six evaluations a step; the number of steps that are left,
    a step's index, is a guess until it is 0.

    Raises SamplingError where no step is small enough.
    """
    times, end = x_t.new_ones(len(x_t)), last_time(flow)
    slope = velocity_of(predict, x_t, times, flow)
    sizes = torch.minimum(_first_size(predict, x_t, times, slope, flow, rtol, atol), times - end)
    refused = torch.zeros_like(times, dtype=torch.bool)
    while True:
        slopes, ahead = _stages(predict, x_t, times, sizes, slope, flow)
        error = -_wide(sizes) * sum(weight * k for weight, k in zip(_ERROR, slopes, strict=True))
        ratio = _norm(error, x_t, ahead, rtol, atol)
        taken = ~(ratio > 1)  # what is not finite goes on to its end, where it is told
        x_0 = point_at(flow, _wide(times)).x_0(x_t, slope)
        x_t, slope = torch.where(_wide(taken), ahead, x_t), torch.where(_wide(taken), slopes[-1], slope)
        times = torch.where(taken, times - sizes, times)
        factor = torch.nan_to_num(_SAFETY * ratio**-0.2, nan=_FASTEST).clamp(_SLOWEST, _FASTEST)
        sizes = sizes * torch.where(taken & ~refused, factor, factor.clamp(max=1.0))
        refused = ~taken
        left = (times - end).clamp(min=0)
        most, smallest = _least(left, sizes)
        if most and smallest < _SMALLEST:
            raise SamplingError(
                f"dopri5: even the smallest step exceeds rtol {rtol:g} and atol {atol:g}; use larger ones, "
                'precision="fp32", or heun'
            )
        sizes = torch.minimum(sizes, left)
        yield Step(most, x_t, x_0)
        if not most:
            return


def _least(left: Tensor, sizes: Tensor) -> tuple[int, float]:
    """Steps that are left at least, and the smallest size: what a step reads from the device, at once."""
    todo = left > _SMALLEST
    steps, used = torch.where(todo, left / sizes, 0.0), torch.where(todo, sizes, 1.0)
    most, smallest = torch.stack([steps.max(), used.min()]).tolist()
    return math.ceil(min(most, _MOST)), smallest


def _stages(
    predict: Predict, x_t: Tensor, times: Tensor, sizes: Tensor, slope: Tensor, flow: Flow
) -> tuple[list[Tensor], Tensor]:
    """The seven slopes of a step, the first of which is known, and where the step leads."""
    slopes, ahead = [slope], x_t
    for at, weights in zip(_AT, _FROM, strict=True):
        ahead = x_t - _wide(sizes) * sum(weight * k for weight, k in zip(weights, slopes, strict=True))
        slopes.append(velocity_of(predict, ahead, (times - at * sizes).clamp(min=0), flow))
    return slopes, ahead


def _first_size(
    predict: Predict, x_t: Tensor, times: Tensor, slope: Tensor, flow: Flow, rtol: float, atol: float
) -> Tensor:
    """Of each image by the sizes of the state, its slope and how that changes (Hairer et al., II.4, p. 169)."""
    state, first = _norm(x_t, x_t, x_t, rtol, atol), _norm(slope, x_t, x_t, rtol, atol)
    tried = torch.nan_to_num(0.01 * state / first, nan=1.0).clamp(_SMALLEST, 1.0)
    then = velocity_of(predict, x_t - _wide(tried) * slope, times - tried, flow)
    second = _norm(then - slope, x_t, x_t, rtol, atol) / tried
    size = (0.01 / torch.maximum(first, second)) ** 0.2
    return torch.nan_to_num(torch.minimum(100 * tried, size), nan=1.0).clamp(min=10 * _SMALLEST)


def _norm(error: Tensor, before: Tensor, after: Tensor, rtol: float, atol: float) -> Tensor:
    """(B,) root mean square of what is 1 at the tolerance; image by image, so that none depends on its batch."""
    ratios = error / (atol + rtol * torch.maximum(before.abs(), after.abs()))
    return torch.stack([ratio.square().mean().sqrt() for ratio in ratios])


def _wide(values: Tensor) -> Tensor:
    return values.reshape(-1, 1, 1, 1)
