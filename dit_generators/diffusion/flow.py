"""Sampling a flow: from noise at time 1 to a picture at time 0, along its ODE or its SDE.

Every function is a generator of steps and gets the model as a function of x_t and of what it is told as time; `times`
are the numbers that it passes, from 1 to 0. Guidance sees them in thousandths, as it sees timesteps.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..network.process import Flow
from .paths import point_at, velocity_of
from .samplers import Draw, Predict, Step, model_at
from .schedule import NUM_TRAIN_TIMESTEPS

FLOW_SAMPLERS = ("euler", "heun", "dopri5", "sde")
_LAST_OF_VP = 1e-3
_LAST_TIME = 0.04  # where the SDE's last step, which draws no noise, begins: SiT and REPA


def last_time(flow: Flow) -> float:
    """Where its ODE ends: 0, but for the path "vp", whose velocity grows without bound there (SiT's scripts)."""
    return _LAST_OF_VP if flow.path == "vp" else 0.0


def ode_times(num_steps: int, shift: float = 1.0, end: float = 0.0) -> list[float]:
    """`num_steps` + 1 times from 1 to `end`, evenly spaced before the shift, which moves neither of these."""
    return [*_shifted(np.linspace(1, end, num_steps + 1)[:-1], shift, end), end]


def sde_times(num_steps: int, shift: float = 1.0, end: float = 0.0) -> list[float]:
    """The same for the SDE: the last step is the one from 0.04 to 0, the others are even."""
    return [*_shifted(np.linspace(1, _LAST_TIME, num_steps), shift, end), 0.0]


def _shifted(times: NDArray[np.float64], shift: float, end: float) -> list[float]:
    """t / (s (1 - t) + t): s (1 - t) / (1 + (s - 1)(1 - t)) in LightningDiT's time towards data (arXiv 2501.01423).

    A shift below 1 takes smaller steps near the noise; Stable Diffusion 3 calls 1 / s its shift (2403.03206, eq. 23).
    """
    moved: list[float] = np.maximum(times / (shift * (1 - times) + times), end).tolist()
    return moved


def euler(predict: Predict, x_t: Tensor, times: Sequence[float], flow: Flow) -> Iterator[Step]:
    """The probability flow ODE dx = v dt (SiT, section 2.1) by Euler's method: one evaluation a step."""
    for i, (now, then) in enumerate(pairwise(times)):
        velocity = _velocity(predict, x_t, now, now, flow)
        x_0 = point_at(flow, now).x_0(x_t, velocity)
        x_t = x_t + (then - now) * velocity
        yield Step(len(times) - 2 - i, x_t, x_0)


def heun(predict: Predict, x_t: Tensor, times: Sequence[float], flow: Flow) -> Iterator[Step]:
    """The same by Heun's method: two evaluations a step, one in the last (Karras et al., arXiv 2206.00364, alg. 1)."""
    for i, (now, then) in enumerate(pairwise(times)):
        velocity = _velocity(predict, x_t, now, now, flow)
        x_0 = point_at(flow, now).x_0(x_t, velocity)
        ahead = x_t + (then - now) * velocity
        if then > 0:
            corrected = _velocity(predict, ahead, then, now, flow)
            ahead = x_t + (then - now) * (velocity + corrected) / 2
        x_t = ahead
        yield Step(len(times) - 2 - i, x_t, x_0)


def sde(predict: Predict, x_t: Tensor, times: Sequence[float], flow: Flow, draw: Draw) -> Iterator[Step]:
    """The reverse SDE dx = (v - w s / 2) dt + sqrt(w) dW (SiT, section 2.1) by Euler and Maruyama; the last draws none.

    w is 2 sigma_t for networks that are told the time towards data, 2 t for the others: what the scripts of SiT and of
    REPA take. On the linear path the two are the same; the distribution is the same for any w.
    """
    for i, (now, then) in enumerate(pairwise(times)):
        point, step = point_at(flow, now), then - now
        velocity = _velocity(predict, x_t, now, now, flow)
        x_0 = point.x_0(x_t, velocity)
        half = float(point.sigma if flow.time_towards == "data" else now)  # w / 2
        # s = -noise / sigma, so - w s / 2 = (w / 2 / sigma) noise: finite at any time above 0.
        x_t = x_t + step * (velocity + half / point.sigma * point.noise(x_t, velocity))
        if then > 0:
            x_t = x_t + (2 * half * abs(step)) ** 0.5 * draw()
        yield Step(len(times) - 2 - i, x_t, x_0)


def _velocity(predict: Predict, x_t: Tensor, time: float, guided_at: float, flow: Flow) -> Tensor:
    """At one time for all rows, by the model function of `guided_at`."""
    model = model_at(predict, NUM_TRAIN_TIMESTEPS * guided_at)
    return velocity_of(model, x_t, x_t.new_full((len(x_t),), time), flow)
