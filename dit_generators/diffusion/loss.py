"""What training minimises: the error of noise or velocity, and the bound that trains the learned variance."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ..network.process import Flow, Process
from .paths import point_at, velocity_of
from .samplers import Predict, log_variance, posterior_mean, predicted_x_0
from .schedule import Schedule, at, linear_schedule

_HALF_BIN = 1 / 255
_EDGE = 0.999
_PROBABILITY_FLOOR = 1e-12


@dataclass(frozen=True)
class Loss:
    """Per image, float32 (B,), what is there.

    Attributes:
        mse: of noise or velocity.
        vb: of a learned variance, in bits a dimension.
        direction: of a velocity, 1 - cos of its angle.
    """

    mse: Tensor
    vb: Tensor | None = None
    direction: Tensor | None = None

    @property
    def total(self) -> Tensor:
        """Their sum, what is minimised."""
        return sum((part for part in (self.vb, self.direction) if part is not None), start=self.mse)


LossFunction = Callable[[Predict, Tensor, Tensor, Tensor], Loss]


def loss_of(process: Process, *, direction: bool = False) -> LossFunction:
    """The loss of a process: a function of the network, x_0, timesteps (times of a flow) and noise."""
    if isinstance(process, Flow):
        return partial(velocity_loss, flow=process, direction=direction)
    return partial(diffusion_loss, schedule=linear_schedule())


def velocity_loss(
    predict: Predict, x_0: Tensor, times: Tensor, noise: Tensor, flow: Flow, *, direction: bool = False
) -> Loss:
    """|velocity - output|^2, the mean over each image (SiT, arXiv 2401.08740, section 2.1).

    Args:
        predict: the network as a function of x_t and of what it is told as time.
        x_0: (B, C, H, W) clean images or latents.
        times: float (B,), 0 (clean) to 1 (noise), on the device of x_0.
        noise: like x_0, standard normal.
        flow: the path, and which way the network counts time.
        direction: add 1 - cos of the angle between both over the channels (LightningDiT, arXiv 2501.01423).
    """
    point = point_at(flow, times.reshape(-1, 1, 1, 1))
    output = velocity_of(predict, point.state(x_0, noise), times, flow)
    velocity = point.velocity(x_0, noise)
    angle = _mean(1 - torch.cosine_similarity(output, velocity, dim=1)) if direction else None
    return Loss(_mean((velocity - output) ** 2), direction=angle)


def add_noise(x_0: Tensor, noise: Tensor, schedule: Schedule, index: Tensor) -> Tensor:
    """x_t = sqrt(a) x_0 + sqrt(1 - a) noise (Ho et al. 2020, eq. 4)."""
    tables = schedule.on(x_0.device)
    return at(tables.signal, index) * x_0 + at(tables.noise, index) * noise


def diffusion_loss(predict: Predict, x_0: Tensor, index: Tensor, noise: Tensor, schedule: Schedule) -> Loss:
    """The hybrid loss L_simple + L_vlb (Nichol & Dhariwal, arXiv 2102.09672, eq. 16), no 1/1000 on the second.

    Args:
        predict: the network as a function of x_t and original timesteps.
        x_0: (B, C, H, W) clean images or latents.
        index: int64 (B,), steps of `schedule`, on the device of x_0.
        noise: like x_0, standard normal.
    """
    x_t = add_noise(x_0, noise, schedule, index)
    output = predict(x_t, schedule.on(x_0.device).timesteps[index])
    channels = x_0.shape[1]
    # L_simple, Ho et al. eq. 14: the squared error of the noise.
    mse = _mean((noise - output[:, :channels]) ** 2)
    if output.shape[1] == channels:
        return Loss(mse)
    # The bound trains the variance only: it sends no gradient into the noise.
    frozen = torch.cat([output[:, :channels].detach(), output[:, channels:]], dim=1)
    return Loss(mse, variational_bound(frozen, x_0, x_t, schedule, index))


def variational_bound(output: Tensor, x_0: Tensor, x_t: Tensor, schedule: Schedule, index: Tensor) -> Tensor:
    """(B,) bits per dimension: KL of the step's two Gaussians; at index 0 the likelihood of x_0 in 256 bins."""
    # q(x_{t-1} | x_t, x_0), Ho et al. eq. 6 and 7.
    true_mean = posterior_mean(x_0, x_t, schedule, index)
    true_log_variance = at(schedule.on(x_t.device).posterior_log_variance_clipped, index)
    # p(x_{t-1} | x_t): the same mean at the predicted x_0, and the variance that the network gives.
    mean = posterior_mean(predicted_x_0(output, x_t, schedule, index), x_t, schedule, index)
    spread = log_variance(output, x_t, schedule, index).expand_as(mean)
    # L_{t-1} = KL(q || p) for t > 1, eq. 5; L_0 = -log p(x_0 | x_1), eq. 13; nats to bits.
    divergence = _mean(gaussian_kl(true_mean, true_log_variance, mean, spread))
    likelihood = _mean(-discretised_log_likelihood(x_0, mean, spread))
    return torch.where(index == 0, likelihood, divergence) / math.log(2)


def gaussian_kl(mean_1: Tensor, log_variance_1: Tensor, mean_2: Tensor, log_variance_2: Tensor) -> Tensor:
    """KL(N_1 || N_2) of each element, in nats: (log(v_2 / v_1) + v_1 / v_2 + (m_1 - m_2)^2 / v_2 - 1) / 2."""
    ratio = torch.exp(log_variance_1 - log_variance_2)
    distance = (mean_1 - mean_2) ** 2 * torch.exp(-log_variance_2)
    return 0.5 * (-1 + log_variance_2 - log_variance_1 + ratio + distance)


def discretised_log_likelihood(x: Tensor, mean: Tensor, log_variance_: Tensor) -> Tensor:
    """log P of the bin of width 2/255 around each x in [-1, 1] (Ho et al., eq. 13); the outermost bins are open."""
    precision = torch.exp(-0.5 * log_variance_)
    upper = _normal_cdf((x - mean + _HALF_BIN) * precision)
    lower = _normal_cdf((x - mean - _HALF_BIN) * precision)
    inside = torch.where(x > _EDGE, 1 - lower, upper - lower)
    return torch.where(x < -_EDGE, upper, inside).clamp(min=_PROBABILITY_FLOOR).log()


def _normal_cdf(x: Tensor) -> Tensor:
    """The tanh approximation, as in the published code."""
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _mean(x: Tensor) -> Tensor:
    return x.flatten(1).mean(dim=1)
