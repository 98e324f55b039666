"""Training as a generator: one step after another; logging, saving and sampling live with the caller."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from ..common.precision import Precision
from ..common.types import check_above_0, check_least, check_types
from ..data.batches import Batch
from ..diffusion.loss import Loss, LossFunction, loss_of
from ..diffusion.paths import TimestepSampling
from ..errors import ArgumentError, NotFiniteError
from ..network.model import DiT
from .ema import copy_model, update_average
from .faults import Faults

MakeBatch = Callable[[Sequence[int]], Batch]
_LEAST_SCALE = 1e-4  # of fp16's losses; below it they vanish


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """What decides the weights besides the pictures and the shape of the model.

    Attributes:
        batch_size: pictures a step, over all processes and accumulated parts together.
        learning_rate: of AdamW without weight decay; reached in a straight line over `warmup` steps.
        learning_rate_schedule: how it goes on: "constant", or "linear" or as half a "cosine" down to 0 at the end.
        ema_decay: of the average that is sampled.
        ema_warmup: let the decay rise to that, (1 + t) / (10 + t) in step t, so that a short run has an average, too.
        clip: largest norm of the gradient; 0 leaves it as it is.
        accumulate: parts that a process's share of a batch is cut into.
        precision: fp32, or bf16 or fp16 by autocast.
        tf32: let GPUs multiply float32 in TF32.
        timestep_sampling: of a velocity, at which times it is learned: see `training_times`.
        direction_loss: of a velocity, add 1 - cos of its direction over the channels, the mean over each image.
        recompute: keep no activations of the blocks, compute them again in the backward pass: less memory, more time.
    """

    batch_size: int = 4
    learning_rate: float = 1e-4
    warmup: int = 0
    learning_rate_schedule: Literal["constant", "linear", "cosine"] = "constant"
    ema_decay: float = 0.9999
    ema_warmup: bool = False
    clip: float = 0.0
    accumulate: int = 1
    precision: Precision = "fp32"
    tf32: bool = False
    recompute: bool = False
    timestep_sampling: TimestepSampling = "uniform"
    direction_loss: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        check_above_0(self, "batch_size", "learning_rate", "accumulate")
        check_least(self, 0, "warmup", "clip", "seed")
        if not 0 <= self.ema_decay < 1:
            raise ArgumentError(f"ema_decay: expected 0 to 1, got {self.ema_decay}")

    def rate_at(self, step: int, steps: int) -> float:
        """Share of the learning rate in a step, from 0, of a run of `steps`: warm-up, then the schedule."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        if self.learning_rate_schedule == "constant":
            return 1.0
        left = (steps - step) / max(1, steps - self.warmup)
        return left if self.learning_rate_schedule == "linear" else (1 - math.cos(math.pi * left)) / 2

    def decay_at(self, step: int) -> float:
        """The decay of the average in a step, from 0."""
        return min(self.ema_decay, (1 + step) / (10 + step)) if self.ema_warmup else self.ema_decay

    def share(self, batch: int, rank: int, count: int) -> list[list[int]]:
        """Positions of this process in a batch, in `accumulate` parts; the batch has to divide evenly."""
        parts = count * self.accumulate
        if self.batch_size % parts:
            raise ArgumentError(
                f"batch_size: expected a multiple of {parts}, {count} processes times `accumulate` {self.accumulate}, "
                f"got {self.batch_size}"
            )
        size = self.batch_size // parts
        first = batch * self.batch_size + rank * self.accumulate * size
        return [list(range(first + i * size, first + (i + 1) * size)) for i in range(self.accumulate)]


@dataclass
class TrainState:
    """What a checkpoint holds: the model, its average, the optimiser, how many steps are done, what went wrong."""

    model: DiT
    average: DiT
    optimiser: Any  # torch.optim.AdamW, or as accelerate wraps it
    step: int = 0
    faults: Faults = field(default_factory=Faults)

    @classmethod
    def start(cls, model: DiT, settings: TrainSettings) -> "TrainState":
        """Before the first step."""
        weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimiser = torch.optim.AdamW(weights, lr=settings.learning_rate, weight_decay=0.0, fused=True)
        return cls(model.train(), copy_model(model), optimiser)


@dataclass(frozen=True)
class StepResult:
    """After one step: its number from 1, mean losses over the batch, the gradient's norm, seconds, those waited."""

    step: int
    loss: float
    mse: float
    gradient_norm: float
    seconds: float
    waited: float


def train(
    state: TrainState, settings: TrainSettings, make: MakeBatch, steps: int, network: Any, accelerator: Any
) -> Iterator[StepResult]:
    """Train until `steps` steps are done and yield after each; `state` is up to date whenever a result is out.

    Args:
        make: the batch at given positions; called one step ahead in a thread.
        network: the model as `accelerator.prepare` gives it; its optimiser is in the state.
        accelerator: of accelerate; it averages gradients over processes and scales them for fp16.

    Batches that `state.faults` names are left out.

    Raises NotFiniteError when the loss or its gradient is not finite; the weights are as before the step.
    """
    rank, count = accelerator.process_index, accelerator.num_processes
    loss_function = loss_of(state.model.process, direction=settings.direction_loss)
    conditional = state.model.config.num_classes > 0
    with ThreadPoolExecutor(1) as background:

        def made(positions: Sequence[int]) -> Batch:
            batch = make(positions)
            return batch.pinned() if accelerator.device.type == "cuda" else batch

        def prepare(step: int) -> list[Future[Batch]]:
            return [background.submit(made, part) for part in settings.share(state.faults.batch(step), rank, count)]

        ahead = prepare(state.step)
        while state.step < steps:
            start = time.perf_counter()
            state.optimiser.zero_grad()
            _set_rate(state, settings, steps)
            parts, ahead = ahead, prepare(state.step + 1)
            totals, waited = _add_gradients(parts, settings, network, loss_function, conditional, accelerator)
            gradient = accelerator.clip_grad_norm_(network.parameters(), settings.clip or math.inf)
            # One read from the device a step, before the weights change.
            loss_value, mse_value, norm = torch.cat([accelerator.reduce(totals, "mean"), gradient.reshape(1)]).tolist()
            _check(state.step + 1, loss_value, norm, accelerator.scaler)
            state.optimiser.step()
            update_average(state.average, state.model, settings.decay_at(state.step))
            state.step += 1
            yield StepResult(state.step, loss_value, mse_value, norm, time.perf_counter() - start, waited)


def _add_gradients(
    parts: "Sequence[Future[Batch]]",
    settings: TrainSettings,
    network: Any,
    loss_function: LossFunction,
    conditional: bool,
    accelerator: Any,
) -> tuple[Tensor, float]:
    """Of this process's share of a batch; returns its mean loss and squared error, (2,), and the seconds it waited."""
    totals, waited = torch.zeros(2, device=accelerator.device), 0.0
    for i, part in enumerate(parts):
        start = time.perf_counter()
        batch = part.result()
        waited += time.perf_counter() - start
        # Gradients are averaged over processes with the last part only.
        with contextlib.nullcontext() if i == len(parts) - 1 else accelerator.no_sync(network):
            batch = batch.to(accelerator.device)
            with accelerator.autocast():
                loss = batch_loss(network, batch, loss_function, conditional=conditional, recompute=settings.recompute)
            accelerator.backward(loss.total.mean() / settings.accumulate)
        totals += torch.stack([loss.total.mean(), loss.mse.mean()]).detach() / settings.accumulate
    return totals, waited


def batch_loss(network: Any, batch: Batch, loss_function: LossFunction, *, conditional: bool, recompute: bool) -> Loss:
    """The loss of a batch on the network's device; `conditional` gives it the labels."""

    def predict(x_t: Tensor, timesteps: Tensor) -> Tensor:
        labels = batch.labels if conditional else None
        return network(x_t, timesteps, labels, drop=batch.drop, recompute=recompute).float()

    return loss_function(predict, batch.x_0, batch.timesteps, batch.noise)


def _check(step: int, loss: float, norm: float, scaler: Any) -> None:
    """The scaler of fp16 leaves a step of an infinite gradient out and takes a smaller scale, until there is none."""
    waits = scaler is not None and scaler.get_scale() >= _LEAST_SCALE
    if math.isfinite(loss) and (math.isfinite(norm) or waits):
        return
    if scaler is not None:
        scaler.update(scaler.get_scale())  # or it takes the next step's gradient for scaled back already
    raise NotFiniteError(step, f"the gradient's norm is {norm}" if math.isfinite(loss) else f"the loss is {loss}")


def _set_rate(state: TrainState, settings: TrainSettings, steps: int) -> None:
    rate = settings.learning_rate * settings.rate_at(state.step, steps) * state.faults.rate
    for group in state.optimiser.param_groups:
        group["lr"] = rate
