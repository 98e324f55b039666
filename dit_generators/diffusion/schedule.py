"""The noise schedule: betas, which timesteps are kept, and everything that follows from them, in float64."""

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ArgumentError
from ..network.process import DIT_PROCESS, Diffusion

Array = NDArray[np.float64]
NUM_TRAIN_TIMESTEPS = 1000  # of every model here


@dataclass(frozen=True, eq=False)
class Schedule:
    """A diffusion of S steps; index 0 is the step that ends at x_0.

    Attributes:
        betas: float64 (S,), in (0, 1); 1 in the last step of a diffusion that ends in noise alone.
        timesteps: int64 (S,), the original timestep of each step: what the network receives.

    Formulas: Ho et al., arXiv 2006.11239; their numbers stand beside them. b = betas, a = alphas_cumprod.
    """

    betas: Array
    timesteps: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.betas)

    @cached_property
    def alphas_cumprod(self) -> Array:
        """a_t = prod (1 - b_s), s <= t: the share of signal variance left after each step (eq. 4)."""
        return np.cumprod(1 - self.betas, dtype=np.float64)

    @cached_property
    def alphas_cumprod_prev(self) -> Array:
        """The same one step earlier; 1 before the first."""
        return np.append(1.0, self.alphas_cumprod[:-1])

    @cached_property
    def posterior_variance(self) -> Array:
        """b_t (1 - a_{t-1}) / (1 - a_t): variance of q(x_{t-1} | x_t, x_0), 0 at index 0 (eq. 7)."""
        return self.betas * (1 - self.alphas_cumprod_prev) / (1 - self.alphas_cumprod)

    @cached_property
    def posterior_log_variance_clipped(self) -> Array:
        """Its logarithm; index 0 is a copy of index 1. Empty for a single step, which has no index 1."""
        return np.log(np.append(self.posterior_variance[1:2], self.posterior_variance[1:]))

    @cached_property
    def fixed_log_variance(self) -> Array:
        """The variance where none is learned: beta, and the posterior's at index 0."""
        return np.log(np.append(self.posterior_variance[1:2], self.betas[1:]))

    @cached_property
    def posterior_mean_coef1(self) -> Array:
        """b_t sqrt(a_{t-1}) / (1 - a_t): weight of x_0 in the mean of q(x_{t-1} | x_t, x_0) (eq. 7)."""
        return self.betas * np.sqrt(self.alphas_cumprod_prev) / (1 - self.alphas_cumprod)

    @cached_property
    def posterior_mean_coef2(self) -> Array:
        """(1 - a_{t-1}) sqrt(1 - b_t) / (1 - a_t): weight of x_t in it (eq. 7)."""
        return (1 - self.alphas_cumprod_prev) * np.sqrt(1 - self.betas) / (1 - self.alphas_cumprod)

    @cached_property
    def signal(self) -> Array:
        """sqrt(a): the weight of x_0 in x_t (eq. 4)."""
        return self.alphas_cumprod**0.5

    @cached_property
    def noise(self) -> Array:
        """sqrt(1 - a): the weight of the noise in x_t (eq. 4)."""
        return (1 - self.alphas_cumprod) ** 0.5

    @cached_property
    def inverse_signal(self) -> Array:
        """sqrt(1 / a): the weight of x_t in the predicted x_0 (eq. 15); infinite where a is 0."""
        with np.errstate(divide="ignore"):
            return (1 / self.alphas_cumprod) ** 0.5

    @cached_property
    def noise_to_signal(self) -> Array:
        """sqrt(1 / a - 1): the weight of the predicted noise in it (eq. 15)."""
        with np.errstate(divide="ignore"):
            return (1 / self.alphas_cumprod - 1) ** 0.5

    @cached_property
    def log_betas(self) -> Array:
        """log b: the larger bound of a learned variance."""
        return np.log(self.betas)

    def on(self, device: torch.device) -> "Tables":
        """Everything above as tensors on a device: uploaded once, so that a step of sampling uploads nothing."""
        if device not in self._on:
            tables = {field.name: getattr(self, field.name) for field in fields(Tables) if field.name != "timesteps"}
            floats = {name: torch.from_numpy(table).float().to(device) for name, table in tables.items()}
            self._on[device] = Tables(torch.from_numpy(self.timesteps).to(device), **floats)
        return self._on[device]

    @cached_property
    def _on(self) -> "dict[torch.device, Tables]":
        return {}


@dataclass(frozen=True, eq=False)
class Tables:
    """A schedule on one device: `timesteps` int64 (S,), all others float32 (S,); their meaning is in `Schedule`."""

    timesteps: Tensor
    alphas_cumprod: Tensor
    alphas_cumprod_prev: Tensor
    posterior_log_variance_clipped: Tensor
    fixed_log_variance: Tensor
    posterior_mean_coef1: Tensor
    posterior_mean_coef2: Tensor
    signal: Tensor
    noise: Tensor
    inverse_signal: Tensor
    noise_to_signal: Tensor
    log_betas: Tensor


def linear_schedule(num_train_timesteps: int = NUM_TRAIN_TIMESTEPS) -> Schedule:
    """Betas from 1e-4 to 0.02 in equal steps, the range scaled by 1000 / T."""
    if num_train_timesteps < 1:
        raise ArgumentError(f"num_train_timesteps: expected 1 or more, got {num_train_timesteps}")
    scale = 1000 / num_train_timesteps
    betas = np.linspace(scale * 1e-4, scale * 0.02, num_train_timesteps, dtype=np.float64)
    return Schedule(betas, np.arange(num_train_timesteps))


def schedule_of(process: Diffusion) -> Schedule:
    """The 1000 steps of a diffusion, as diffusers' schedulers have them for the same names."""
    start, end, count = process.beta_start, process.beta_end, NUM_TRAIN_TIMESTEPS
    if process == DIT_PROCESS:
        return linear_schedule()
    if process.betas == "linear":
        betas = np.linspace(start, end, count, dtype=np.float64)
    elif process.betas == "scaled_linear":
        betas = np.linspace(start**0.5, end**0.5, count, dtype=np.float64) ** 2
    else:
        betas = _cosine_betas(count)
    return Schedule(_zero_snr(betas) if process.zero_snr else betas, np.arange(count))


def _cosine_betas(count: int) -> Array:
    """1 - a_t / a_{t-1}, at most 0.999, a = cos^2((t / T + 0.008) / 1.008 pi / 2) (arXiv 2102.09672, eq. 17)."""
    alphas_cumprod = np.cos((np.arange(count + 1) / count + 0.008) / 1.008 * np.pi / 2) ** 2
    return np.minimum(1 - alphas_cumprod[1:] / alphas_cumprod[:-1], 0.999)


def _zero_snr(betas: Array) -> Array:
    """Those of sqrt(a) shifted to end at 0 and scaled to begin as before (arXiv 2305.08891, algorithm 1)."""
    signal = np.cumprod(1 - betas) ** 0.5
    signal = (signal - signal[-1]) * signal[0] / (signal[0] - signal[-1])
    return 1 - (signal / np.append(1.0, signal[:-1])) ** 2


def respace(schedule: Schedule, steps: int | str) -> Schedule:
    """Keep some of the steps and recompute the betas so that the kept alphas_cumprod stay the same.

    Args:
        steps: a number S; "ddimS", an integer stride from 0; or "a,b,c", so many from equal sections (0 from some).

    Raises:
        ArgumentError: no such steps; more of them than the schedule has.

    Source: Nichol & Dhariwal, arXiv 2102.09672, section 4.
    """
    kept = np.array(respaced_timesteps(len(schedule), steps), dtype=np.int64)
    alphas_cumprod = schedule.alphas_cumprod[kept]
    # b_i = 1 - a_i / a_{i-1} over the kept steps i.
    betas = 1 - alphas_cumprod / np.append(1.0, alphas_cumprod[:-1])
    return Schedule(betas, schedule.timesteps[kept])


def respaced_timesteps(total: int, steps: int | str) -> list[int]:
    """The kept indices of `total`, ascending, by the rules that `respace` names."""
    text = str(steps).strip()
    if text.startswith("ddim"):
        return _strided(total, _count(text.removeprefix("ddim"), text), text)
    parts = text.split(",")
    counts = [_count(part, text, least=0 if len(parts) > 1 else 1) for part in parts]
    if not any(counts):
        raise ArgumentError(f"steps: expected a step in one of the sections, got {text}; ask for more")
    kept: list[int] = []
    start = 0
    for i, count in enumerate(counts):
        size = total // len(counts) + (i < total % len(counts))
        if count > size:
            raise ArgumentError(f"steps: {count} asked for, but training had {size} there, got {text}; ask for fewer")
        kept += _section(start, size, count)
        start += size
    return sorted(set(kept))


def _section(start: int, size: int, count: int) -> list[int]:
    stride = (size - 1) / (count - 1) if count > 1 else 1.0
    position, kept = 0.0, []
    for _ in range(count):  # a running sum of floats, not k * stride: the published steps depend on its rounding
        kept.append(start + round(position))
        position += stride
    return kept


def _strided(total: int, count: int, text: str) -> list[int]:
    for stride in range(1, total):
        if len(range(0, total, stride)) == count:
            return list(range(0, total, stride))
    raise ArgumentError(
        f"steps: no whole stride through {total} timesteps gives {count} steps, got {text}; try another"
    )


def _count(part: str, text: str, least: int = 1) -> int:
    if not part.strip().isdecimal() or int(part) < least:
        raise ArgumentError(f"steps: expected a number of 1 or more, ddimN, or numbers such as 20,10,5, got {text}")
    return int(part)


def at(table: Tensor, index: Tensor) -> Tensor:
    """(B, 1, 1, 1): the table's entries for index (B,)."""
    return table[index].reshape(-1, 1, 1, 1)
