"""From noise to images: samplers as generators that yield every state; the caller owns the loop.

A model function takes x_t (B, C, H, W) and original timesteps (B,) and returns (B, C or 2 C, H, W): the noise and,
where the variance is learned, its raw output v.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import ArgumentError
from ..network.process import DIT_PROCESS, Diffusion
from .schedule import Schedule, at

Predict = Callable[[Tensor, Tensor], Tensor]
Draw = Callable[[], Tensor]


@dataclass(frozen=True)
class PredictByStep:
    """A model function that is another one at some steps: `at` gives it for an original timestep, or 1000 t in a flow.

    The samplers know each step's timestep as a number and ask `at`, so that nothing is read back from a device.
    """

    at: Callable[[float], Predict]

    def __call__(self, x_t: Tensor, timesteps: Tensor) -> Tensor:
        """By the first timestep of (B,), which is read back."""
        return self.at(int(timesteps[0]))(x_t, timesteps)


@dataclass(frozen=True)
class Step:
    """The state after one step: `x`, and the clean image `x_0` that the model saw in the state before."""

    index: int
    x: Tensor
    x_0: Tensor


def ddpm(
    predict: Predict, x_t: Tensor, schedule: Schedule, draw: Draw, process: Diffusion = DIT_PROCESS
) -> Iterator[Step]:
    """Ancestral sampling (Ho et al. 2020, algorithm 2), with the variance that the process names."""
    for i, index, model in _steps(predict, x_t, schedule):
        output = model(x_t, schedule.on(x_t.device).timesteps[index])
        x_0, _ = predicted(output, x_t, schedule, index, process)
        x_t = ddpm_step(x_0, output, x_t, schedule, index, draw(), process.variance)
        yield Step(i, x_t, x_0)


def ddim(
    predict: Predict,
    x_t: Tensor,
    schedule: Schedule,
    draw: Draw,
    eta: float = 0.0,
    process: Diffusion = DIT_PROCESS,
) -> Iterator[Step]:
    """Denoising diffusion implicit models (Song et al., arXiv 2010.02502, eq. 12); eta = 0 is deterministic."""
    for i, index, model in _steps(predict, x_t, schedule):
        output = model(x_t, schedule.on(x_t.device).timesteps[index])
        x_0, epsilon = predicted(output, x_t, schedule, index, process)
        x_t = ddim_step(x_0, x_t, schedule, index, draw(), eta, epsilon)
        yield Step(i, x_t, x_0)


def ddpm_step(
    x_0: Tensor,
    output: Tensor,
    x_t: Tensor,
    schedule: Schedule,
    index: Tensor,
    noise: Tensor,
    variance: str = "learned",
) -> Tensor:
    """mean + exp(log variance / 2) noise, no noise at index 0; index (B,) counts steps of `schedule`."""
    # Ho et al., algorithm 2, line 4, with the mean of eq. 7 at the predicted x_0.
    mean = posterior_mean(x_0, x_t, schedule, index)
    deviation = torch.exp(0.5 * log_variance(output, x_t, schedule, index, variance))
    return mean + _not_last(index, x_t) * deviation * noise


def ddim_step(
    x_0: Tensor,
    x_t: Tensor,
    schedule: Schedule,
    index: Tensor,
    noise: Tensor,
    eta: float,
    epsilon: Tensor | None = None,
) -> Tensor:
    """x_0 sqrt(a_prev) + sqrt(1 - a_prev - sigma^2) eps + sigma noise, no noise at index 0."""
    tables = schedule.on(x_t.device)
    alpha, alpha_prev = at(tables.alphas_cumprod, index), at(tables.alphas_cumprod_prev, index)
    if epsilon is None:  # the noise is derived again from x_0, as published: the same up to rounding
        epsilon = (at(tables.inverse_signal, index) * x_t - x_0) / at(tables.noise_to_signal, index)
    # Song et al., eq. 16: sigma = eta sqrt((1 - a_prev) / (1 - a)) sqrt(1 - a / a_prev).
    sigma = eta * ((1 - alpha_prev) / (1 - alpha)).sqrt() * (1 - alpha / alpha_prev).sqrt()
    # Eq. 12: "predicted x_0", then "direction pointing to x_t"; the random noise comes last.
    mean = x_0 * alpha_prev.sqrt() + (1 - alpha_prev - sigma**2).sqrt() * epsilon
    return mean + _not_last(index, x_t) * sigma * noise


def predicted_x_0(output: Tensor, x_t: Tensor, schedule: Schedule, index: Tensor) -> Tensor:
    """sqrt(1 / a) x_t - sqrt(1 / a - 1) eps (Ho et al., eq. 15); never clipped."""
    tables, epsilon = schedule.on(x_t.device), output[:, : x_t.shape[1]]
    return at(tables.inverse_signal, index) * x_t - at(tables.noise_to_signal, index) * epsilon


def predicted(
    output: Tensor, x_t: Tensor, schedule: Schedule, index: Tensor, process: Diffusion
) -> tuple[Tensor, Tensor | None]:
    """The x_0 that an output stands for, within the process's limits, and the noise; None where x_0 says it.

    With limits the noise stays that of the output, as in diffusers (`use_clipped_model_output=False`).
    """
    first = output[:, : x_t.shape[1]]
    if process.prediction == "noise":
        x_0 = predicted_x_0(output, x_t, schedule, index)
        return (x_0, None) if not (process.clip or process.threshold) else (limited(x_0, process), first)
    tables = schedule.on(x_t.device)
    signal, noise = at(tables.signal, index), at(tables.noise, index)
    if process.prediction == "v":
        x_0, epsilon = signal * x_t - noise * first, signal * first + noise * x_t
    else:
        x_0, epsilon = first, (x_t - signal * first) / noise
    return limited(x_0, process), epsilon


def limited(x_0: Tensor, process: Diffusion) -> Tensor:
    """x_0 after dynamic thresholding, or clipped, or as it is."""
    if process.threshold:
        largest = torch.quantile(x_0.flatten(1).abs(), process.threshold, dim=1).clamp(1, process.threshold_max)
        largest = largest.reshape(-1, *[1] * (x_0.ndim - 1))
        return torch.clamp(x_0, -largest, largest) / largest
    return x_0.clamp(-process.clip, process.clip) if process.clip else x_0


def posterior_mean(x_0: Tensor, x_t: Tensor, schedule: Schedule, index: Tensor) -> Tensor:
    """Mean of q(x_{t-1} | x_t, x_0) (Ho et al., eq. 7)."""
    tables = schedule.on(x_t.device)
    return at(tables.posterior_mean_coef1, index) * x_0 + at(tables.posterior_mean_coef2, index) * x_t


def log_variance(output: Tensor, x_t: Tensor, schedule: Schedule, index: Tensor, variance: str = "learned") -> Tensor:
    """f log(beta) + (1 - f) posterior log variance, f = (v + 1) / 2 (Nichol & Dhariwal, arXiv 2102.09672, eq. 15).

    v is not clamped; beta where no variance is learned, or `variance` is "large"; the posterior's where it is "small".
    """
    channels, tables = x_t.shape[1], schedule.on(x_t.device)
    if variance == "small":
        return at(tables.posterior_log_variance_clipped, index)
    if output.shape[1] == channels or variance == "large":
        return at(tables.fixed_log_variance, index)
    share = (output[:, channels:] + 1) / 2
    largest = at(tables.log_betas, index)
    smallest = at(tables.posterior_log_variance_clipped, index)
    return share * largest + (1 - share) * smallest


def _not_last(index: Tensor, like: Tensor) -> Tensor:
    return (index != 0).to(like.dtype).reshape(-1, *[1] * (like.ndim - 1))


def _steps(predict: Predict, x_t: Tensor, schedule: Schedule) -> Iterator[tuple[int, Tensor, Predict]]:
    """From the last step to the first: its number, the same as int64 (B,) on the device, and the model function."""
    if len(schedule) < 2:
        raise ArgumentError("steps: ancestral and DDIM sampling need 2 steps or more")
    timesteps = schedule.timesteps.tolist()
    for i in reversed(range(len(schedule))):
        yield i, torch.full((len(x_t),), i, device=x_t.device), model_at(predict, timesteps[i])


def model_at(predict: Predict, timestep: float) -> Predict:
    """The model function of one step."""
    return predict.at(timestep) if isinstance(predict, PredictByStep) else predict
